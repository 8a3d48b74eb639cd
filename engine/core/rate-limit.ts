/**
 * A limit that all engines share: at most `limit` starts in any span of `per`, wherever the span begins. Pure: the bus keeps
 * the state of each key, and runs `take` with its own clock in one step.
 *
 * A token bucket of size `limit` lets twice the limit through in one span: a whole bucket at its beginning, and what flows in
 * until its end. So starts are counted in a window that slides, as in "An alternative approach to rate limiting" (Figma,
 * 2017), with two things added:
 *
 * - A permit may be used until `leadMs` after it was given, so it counts from its giving until `leadMs + per` later: then no
 *   span of `per` can hold `limit + 1` starts. Ends are rounded up to slots of `per / 64`, so the state has a bounded size.
 * - Who gets no permit gets a time to come back, and everybody another one: the *line*, whose end moves on by
 *   `(per + leadMs + slot) / limit` for each, as the theoretical arrival time of the generic cell rate algorithm does
 *   (ITU-T I.371, Annex A). A hundred thousand that wait come back one by one, in the order in which they came.
 *
 * Places are no permits. Who comes back in time finds one, since nobody new is let past a line; who comes back late may have
 * to try again, and gets a time within two spans as long as there are any, then the end of the line.
 */

export interface RateLimit {
  readonly limit: number;
  /** ms. */
  readonly per: number;
}

export interface PermitRequest extends RateLimit {
  /** How many permits are wanted. */
  readonly wanted: number;
  /** Of those: for deliveries that have waited before. */
  readonly returning: number;
  /** Whether those that get none stand in line, and want to know when to come back. */
  readonly line: boolean;
  /** For how long after the bus has given them permits may be used, ms. */
  readonly leadMs: number;
}

export interface Permits {
  readonly granted: number;
  /** Until the next permit can be had, ms from now; 0: now. */
  readonly nextInMs: number;
  /** With `line`: for each that got none, those that return first, when to come back, ms from now. */
  readonly waits: readonly number[];
}

/** Times are ms since the epoch, by the bus's clock. */
export interface PermitState {
  readonly limit: number;
  readonly per: number;
  /** The end of the line: when the next newcomer would come back. */
  readonly line: number;
  /** Until then freed permits are meant for those that came back and got none. */
  readonly soon: number;
  /** Permits that count, by the time until which they do, ascending. */
  readonly held: readonly (readonly [until: number, count: number])[];
}

export const noPermits: PermitState = { limit: 0, per: 0, line: 0, soon: 0, held: [] };

const slotOf = (per: number): number => Math.max(1, Math.ceil(per / 64));

/** Permits are for those that return first. `lua/permits.lua` says the same to Redis. */
export function take(
  before: PermitState,
  request: PermitRequest,
  now: number,
): { readonly state: PermitState; readonly permits: Permits } {
  const { limit, per, wanted, returning } = request;
  // With another limit the places that were given say nothing about when there will be permits.
  const same = before.limit === limit && before.per === per;
  const ends = same ? { line: before.line, soon: before.soon } : { line: 0, soon: 0 };
  const counting = before.held.filter(([until]) => until > now);
  const free = Math.max(0, limit - sum(counting));
  const granted = Math.min(free, ends.line > now ? Math.min(returning, wanted) : wanted);
  const held = granted === 0 ? counting : hold(counting, request, granted, now);
  const nextAt = freeAt(held, limit, now);
  const waits = request.line ? queue(ends, request, granted, now, nextAt) : [];
  return { state: { limit, per, ...ends, held }, permits: { granted, nextInMs: nextAt - now, waits } };
}

/** From then on the state says nothing any more, ms since the epoch. */
export const endOf = ({ line, soon, held }: PermitState): number => Math.max(line, soon, held.at(-1)?.[0] ?? 0);

const sum = (held: PermitState['held']): number => held.reduce((total, [, count]) => total + count, 0);

/** Never until before the last one: engines may ask for different leads. */
function hold(
  held: PermitState['held'],
  { per, leadMs }: PermitRequest,
  count: number,
  now: number,
): PermitState['held'] {
  const slot = slotOf(per);
  const [lastUntil, lastCount] = held.at(-1) ?? [0, 0];
  const until = Math.max(lastUntil, Math.ceil((now + leadMs + per) / slot) * slot);
  return until === lastUntil ? [...held.slice(0, -1), [until, lastCount + count]] : [...held, [until, count]];
}

/** When fewer than `limit` count. */
function freeAt(held: PermitState['held'], limit: number, now: number): number {
  let count = sum(held);
  let at = now;
  for (let next = 0; count >= limit && next < held.length; next += 1) {
    const [until, some] = held[next] as PermitState['held'][number];
    count -= some;
    at = until;
  }
  return at;
}

/** Gives everybody without a permit a time of its own, and moves the ends. */
function queue(
  ends: { line: number; soon: number },
  { limit, per, leadMs, wanted, returning }: PermitRequest,
  granted: number,
  now: number,
  nextAt: number,
): number[] {
  const step = (per + leadMs + slotOf(per)) / limit;
  const waits: number[] = [];
  for (let at = granted; at < wanted; at += 1) {
    const soon = Math.max(ends.soon, nextAt);
    if (at < returning && soon <= now + 2 * per) {
      waits.push(Math.ceil(soon - now));
      ends.soon = soon + step;
    } else {
      const place = Math.max(ends.line, ends.soon, nextAt);
      waits.push(Math.ceil(place - now));
      ends.line = place + step;
    }
  }
  return waits;
}
