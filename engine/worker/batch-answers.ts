/** What a handler said about each event of a batch. An array of another length says nothing about any of them. */
import { type Skip, skipReason, withHint } from '../plugin.ts';

export type Answer =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'skipped'; readonly skip: Skip }
  | { readonly kind: 'failed'; readonly reason: Error }
  | { readonly kind: 'none'; readonly what: string };

export const isThrough = (answer: Answer | undefined): boolean =>
  answer?.kind === 'delivered' || answer?.kind === 'skipped';

/** `count` answers, whatever came back. */
export function answersOf(results: unknown, count: number): readonly Answer[] {
  if (Array.isArray(results) && results.length === count) {
    return Array.from({ length: count }, (_, at) => answerOf(results[at], at));
  }
  const got = Array.isArray(results) ? `${results.length}` : `a value of type ${typeof results}`;
  const what = `expected handleBatch to resolve to an array of ${count} results, one for each event, got ${got}`;
  return Array.from({ length: count }, () => ({ kind: 'none', what }));
}

function answerOf(result: unknown, at: number): Answer {
  if (result === 'delivered') return { kind: 'delivered' };
  if (result instanceof Error) return { kind: 'failed', reason: result };
  if (skipReason(result) !== undefined) return { kind: 'skipped', skip: result as Skip };
  const got = typeof result === 'string' ? JSON.stringify(result.slice(0, 60)) : `a value of type ${typeof result}`;
  const what = `expected each result of handleBatch to be 'delivered', skip(reason) or an Error, got ${got} at index ${at}`;
  return { kind: 'none', what };
}

/** It is tried again: nobody knows what became of it. */
export const noAnswer = (what: string): Error => withHint(new Error(what), { code: 'no_answer' });
