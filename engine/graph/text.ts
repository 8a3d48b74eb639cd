/** Texts of other people in the languages of graphs: no character of theirs means anything there. */

/** One line, without what cannot be shown, at most `length` characters. */
export function labelText(text: string, length: number): string {
  const line = text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029\uFFFE\uFFFF]+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  const characters = Array.from(line);
  return characters.length <= length ? line : `${characters.slice(0, length - 1).join('')}…`;
}

/** Everything but letters, digits and a few marks as `#CODE;`, which mermaid reads back as that character. */
export const mermaidText = (text: string): string =>
  text.replace(/[^\p{L}\p{M}\p{N} _.,:/()…-]/gu, (character) => `#${character.codePointAt(0)};`);

/** The inside of a quoted string of dot. */
export const dotText = (text: string): string => text.replace(/[\\"]/g, '\\$&');

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text and attribute values of XML. */
export const xmlText = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
