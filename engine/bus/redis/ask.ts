/** Questions about the server itself, put to every master, and how its answers are read. */
import type { Argument } from './connection.ts';

/** One reply per master, in no particular order. Rejects when one of them does not answer or refuses. */
export type AskMasters = (name: string, args: readonly Argument[]) => Promise<readonly unknown[]>;

/** The flat list of a reply such as CONFIG GET's. */
export function flatPairs(flat: readonly string[]): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (let at = 0; at + 1 < flat.length; at += 2) map.set(flat[at] as string, flat[at + 1] as string);
  return map;
}

/** The lines of INFO. */
export const infoPairs = (text: string): ReadonlyMap<string, string> =>
  new Map(Array.from(text.matchAll(/^([a-z]\w*):(.*?)\r?$/gm), ([, name = '', value = '']) => [name, value]));
