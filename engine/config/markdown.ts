/** Pipelines in Markdown documents: blocks between fences of ```yaml that say `apiVersion: eventflow/v1`. */

const opening = /^([ \t]*(?:>[ \t]?)*)(`{3,}|~{3,})[ \t]*ya?ml\b/i;
const isPipeline = /^[ \t>]*apiVersion:[ \t]*["']?eventflow\/v1\b/m;

interface Fence {
  readonly mark: string;
  readonly first: number;
}

const isClosing = (line: string, { mark }: Fence): boolean => {
  const trimmed = line.replace(/^[ \t>]*/, '').trimEnd();
  return trimmed.length >= mark.length && trimmed === (mark[0] ?? '').repeat(trimmed.length);
};

/** The lines of a block and blanks for all others, so that every place in it is the place in the document. */
const alone = (lines: readonly string[], from: number, to: number): string =>
  lines
    .map((line, at) => {
      if (at < from || at >= to) return '';
      return line.replace(/^[ \t]*(?:>[ \t]?)+/, (quote) => ' '.repeat(quote.length));
    })
    .join('\n');

/** The text of each pipeline with as many lines as the document has, and everything in its place. */
export function pipelinesInMarkdown(markdown: string): string[] {
  const lines = markdown.split(/\r?\n/);
  const found: string[] = [];
  let fence: Fence | undefined;
  for (const [at, line] of lines.entries()) {
    if (fence === undefined) {
      const [, , mark] = opening.exec(line) ?? [];
      if (mark !== undefined) fence = { mark, first: at + 1 };
    } else if (isClosing(line, fence)) {
      const text = alone(lines, fence.first, at);
      if (isPipeline.test(text)) found.push(text);
      fence = undefined;
    }
  }
  return found;
}
