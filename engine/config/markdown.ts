/** Pipelines in Markdown documents: blocks between fences of ```yaml that say `apiVersion: eventflow/v1`. */

/** What quotes it, the fence, and what is said behind it; behind backticks there are none, or it is code in a line. */
const opening = /^([ \t]*(?:>[ \t]*)*)(`{3,}(?=[^`]*$)|~{3,})(.*)$/;
const isYaml = /^[ \t]*ya?ml\b/i;
const isPipeline = /^[ \t]*apiVersion:[ \t]*["']?eventflow\/v1\b/m;

interface Fence {
  readonly mark: string;
  readonly isYaml: boolean;
  /** How many `>` stand in front of each of its lines. */
  readonly depth: number;
  /** The line after the fence, from 0. */
  readonly first: number;
}

function openedBy(line: string, at: number): Fence | undefined {
  const [, quote = '', mark, said = ''] = opening.exec(line) ?? [];
  if (mark === undefined) return undefined;
  return { mark, isYaml: isYaml.test(said), depth: quote.split('>').length - 1, first: at + 1 };
}

/** The line with blanks for the `>` that quote it; undefined when fewer do. */
function unquoted(line: string, { depth }: Fence): string | undefined {
  const quote = new RegExp(`^(?:[ \\t]*>){${depth}}`).exec(line);
  return quote === null ? undefined : ' '.repeat(quote[0].length) + line.slice(quote[0].length);
}

/** The same character, at least as often, and nothing else. */
function isClosing(line: string, { mark }: Fence): boolean {
  const trimmed = line.trim();
  return trimmed.length >= mark.length && trimmed === (mark[0] ?? '').repeat(trimmed.length);
}

/** The lines of a block and blanks for all others, so that every place in it is the place in the document. */
const alone = (lines: readonly string[], fence: Fence, until: number): string =>
  lines.map((line, at) => (at < fence.first || at >= until ? '' : (unquoted(line, fence) ?? ''))).join('\n');

/** The text of each pipeline with as many lines as the document has, and everything in its place. */
export function pipelinesInMarkdown(markdown: string): string[] {
  const lines = markdown.split(/\r?\n/);
  const found: string[] = [];
  let fence: Fence | undefined;
  const close = (until: number): void => {
    const text = fence?.isYaml === true ? alone(lines, fence, until) : '';
    if (isPipeline.test(text)) found.push(text);
    fence = undefined;
  };
  for (const [at, line] of lines.entries()) {
    const inside = fence === undefined ? undefined : unquoted(line, fence);
    if (fence !== undefined && inside !== undefined) {
      if (isClosing(inside, fence)) close(at);
      continue;
    }
    // A quotation that ends, ends the fence in it.
    close(at);
    fence = openedBy(line, at);
  }
  close(lines.length);
  return found;
}
