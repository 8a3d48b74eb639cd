/** Why an expression came to its answer: evaluated once more, with an eye on each of its parts. */
import type { EventEnvelope } from '../event.ts';
import { compileWatched } from './cel/compile.ts';
import { toJson } from './cel/json.ts';
import { type CelNode, partsOf, textOf } from './cel/node.ts';

type Seen = { readonly value: unknown } | { readonly error: string };

const longestValue = 80;

function shown(seen: Seen | undefined): string {
  if (seen === undefined) return 'not asked';
  if ('error' in seen) return seen.error;
  try {
    const text = JSON.stringify(toJson(seen.value)) ?? 'nothing';
    return text.length > longestValue ? `${text.slice(0, longestValue)}…` : text;
  } catch {
    return 'something that JSON cannot show';
  }
}

/** The parts that decided: of `a && b` the first that is not true, of a comparison both sides, of an error its cause. */
function decisive(node: CelNode, seen: ReadonlyMap<CelNode, Seen>): readonly CelNode[] {
  const parts = partsOf(node).filter((part) => part.op !== 'value' && seen.has(part));
  if (node.op !== '&&' && node.op !== '||') return parts.filter((part) => part.op !== 'list');
  const neutral = node.op === '&&';
  const other = parts.find((part) => {
    const found = seen.get(part);
    return found !== undefined && (!('value' in found) || found.value !== neutral);
  });
  return other === undefined ? parts : [other];
}

const opaque: ReadonlySet<string> = new Set(['id', '.', '.?', '[]', '[?]', 'value', 'call', 'rcall', 'map', 'list']);

/** From the whole to the smallest part that decided. Holds values of the event. */
export function whyOf(source: string, event: EventEnvelope): readonly string[] {
  const seen = new Map<CelNode, Seen>();
  const { root, evaluate } = compileWatched(source, (node, found) => seen.set(node, found));
  try {
    evaluate(event);
  } catch {
    // The part that it comes from has it.
  }
  const lines: string[] = [];
  const tell = (node: CelNode): void => {
    lines.push(`${textOf(source, node)}: ${shown(seen.get(node))}`);
    if (opaque.has(node.op)) return;
    for (const part of decisive(node, seen)) tell(part);
  };
  tell(root);
  return [...new Set(lines)];
}
