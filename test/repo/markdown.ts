/** Blocks, commands and links of a Markdown document. */

export interface Block {
  readonly language: string;
  /** Of its first line, from 1. */
  readonly line: number;
  readonly text: string;
}

export function blocksOf(text: string): readonly Block[] {
  return [...text.matchAll(/^( *)```(\w+)[^\n]*\n([\s\S]*?)^ *```\s*$/gm)].map((match) => {
    const [, indent = '', language = '', body = ''] = match;
    const line = text.slice(0, match.index).split('\n').length + 1;
    return { language, line, text: body.replace(new RegExp(`^${indent}`, 'gm'), '') };
  });
}

export interface ShellCommand {
  readonly line: number;
  readonly words: readonly string[];
}

const shells = new Set(['sh', 'bash', 'shell', 'console']);

/** Words as a shell would part them; enough for documents. */
const partWords = (text: string): string[] =>
  [...text.matchAll(/(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+/g)].map(([word]) =>
    word.replace(
      /'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)/g,
      (_, single, double, escaped) => single ?? double?.replace(/\\(.)/g, '$1') ?? escaped,
    ),
  );

/** One command of a line: without prompt, variables in front, what it is piped into and where its output goes. */
function commandOf(text: string): string[] {
  const words = partWords(text.replace(/^\s*\$ /, ''));
  const start = words.findIndex((word) => !/^[A-Z_]+=/.test(word));
  const end = words.findIndex((word) => /^(#|[0-9]?>|<|&$)/.test(word));
  return words.slice(Math.max(start, 0), end === -1 ? undefined : end);
}

/** Every command of the document's shell blocks. */
export function commandsOf(markdown: string): readonly ShellCommand[] {
  return blocksOf(markdown)
    .filter(({ language }) => shells.has(language))
    .flatMap(({ line, text }) =>
      text
        .replace(/\\\n/g, '  ')
        .split('\n')
        .flatMap((one, at) =>
          one.split(/ (?:\||\|\||&&|;) /).map((part) => ({ line: line + at, words: commandOf(part) })),
        ),
    )
    .filter(({ words }) => words.length > 0);
}

/** Relative links, without their anchors. */
export const linksOf = (markdown: string): readonly string[] =>
  [...markdown.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^([a-z]+:|#)/i.test(target))
    .map((target) => target.replace(/#.*$/, ''));
