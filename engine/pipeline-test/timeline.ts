/** What happened in a run, as data: what expectations look at, and what people are shown when one is not met. */
import type { DeadReason } from '../core/delivery.ts';
import type { Fault } from '../core/outcome.ts';
import { formatTime } from './words.ts';

interface InRoute {
  /** The route's group: `<pipeline>.<route>`. */
  readonly route: string;
  readonly event: string;
}

type What =
  | { readonly kind: 'published'; readonly event: string; readonly type: string }
  | { readonly kind: 'rejected'; readonly event: string; readonly type: string; readonly why: string }
  /** As the store said it: the same event was published before. */
  | { readonly kind: 'repeated'; readonly event: string; readonly type: string }
  | (InRoute & { readonly kind: 'started'; readonly attempt: number; readonly options: unknown })
  | (InRoute & {
      readonly kind: 'ended';
      readonly attempt: number;
      readonly outcome: 'delivered' | 'skipped' | 'failed';
      readonly fault: Fault | undefined;
    })
  | (InRoute & { readonly kind: 'retry'; readonly delayMs: number; readonly odds: string })
  | (InRoute & { readonly kind: 'postponed'; readonly delayMs: number })
  | (InRoute & { readonly kind: 'settled'; readonly status: 'delivered' | 'skipped' | 'unmatched' })
  | (InRoute & {
      readonly kind: 'dead';
      readonly reason: DeadReason;
      readonly attempts: number;
      readonly fault: Fault;
    })
  | {
      readonly kind: 'breaker';
      readonly route: string;
      /** Of a breaker that is one host's or key's alone. */
      readonly key: string | undefined;
      readonly to: 'closed' | 'open' | 'half_open';
      readonly why: string;
    }
  /** Something that a route noticed and that no test is about. */
  | { readonly kind: 'noticed'; readonly route: string; readonly what: string };

export type Happening = What & {
  /** ms from the start. */
  readonly at: number;
};

export type Letter = Extract<Happening, { kind: 'dead' }>;

/** What becomes of an event when its turn to be published has come. */
export const tries = ['published', 'rejected', 'repeated'] as const;

export class Timeline {
  readonly happenings: readonly Happening[];
  readonly #known = new Map<string, readonly Happening[]>();
  /** The last that happened to an event in a route. */
  #lasts: ReadonlyMap<string, Happening> | undefined;
  #tried: ReadonlySet<string> | undefined;

  constructor(happenings: readonly Happening[]) {
    this.happenings = happenings;
  }

  /** What had happened by then; `at` in ms from the start. */
  upTo(at: number): Timeline {
    return new Timeline(this.happenings.filter((one) => one.at <= at));
  }

  /** Dead letters that are still there: one that was redriven went on. Of all routes, or of one group. */
  letters(route?: string): readonly Letter[] {
    this.#lasts ??= new Map(
      this.happenings.flatMap((one) =>
        'route' in one && 'event' in one ? [[JSON.stringify([one.route, one.event]), one] as const] : [],
      ),
    );
    const lasts = this.#lasts;
    return this.of('dead', route).filter((one) => lasts.get(JSON.stringify([one.route, one.event])) === one);
  }

  /** Whether its turn to be published has come, whatever came of it. */
  hasTried(event: string): boolean {
    this.#tried ??= new Set(tries.flatMap((kind) => this.of(kind).map((one) => one.event)));
    return this.#tried.has(event);
  }

  /** Asked often, of runs with thousands of events: each answer is looked for once. */
  of<Kind extends What['kind']>(kind: Kind, route?: string): readonly Extract<Happening, { kind: Kind }>[] {
    const key = `${kind} ${route ?? ''}`;
    const found = this.#known.get(key) ?? this.happenings.filter((one) => isOf(one, kind, route));
    this.#known.set(key, found);
    return found as readonly Extract<Happening, { kind: Kind }>[];
  }
}

const isOf = (one: Happening, kind: What['kind'], route: string | undefined): boolean =>
  one.kind === kind && (route === undefined || ('route' in one && one.route === route));

/** How an attempt ended, in a word or two: `503`, `timeout`, `delivered`. */
export function endingWords(ended: Extract<Happening, { kind: 'ended' }>): string {
  const { outcome, fault } = ended;
  if (fault === undefined) return outcome;
  if (fault.kind === 'status' && fault.status !== undefined) return String(fault.status);
  return fault.code === fault.kind
    ? `${fault.code}: ${fault.message}`
    : `${fault.kind} ${fault.code}: ${fault.message}`;
}

function sentence(one: Happening): string | undefined {
  switch (one.kind) {
    case 'published':
      return `${one.type} is published`;
    case 'rejected':
      return `${one.type} is rejected: ${one.why}`;
    case 'repeated':
      return `${one.type} is a repeat: nothing is stored`;
    case 'started':
      return undefined;
    case 'ended':
      return `attempt ${one.attempt}: ${endingWords(one)}`;
    case 'retry':
      return `retry in ${formatTime(one.delayMs)}${one.odds}`;
    case 'postponed':
      return `has to wait ${formatTime(one.delayMs)}`;
    case 'settled':
      return one.status === 'unmatched' ? 'is not for this route' : undefined;
    case 'dead':
      return `dead letter: ${one.reason}${one.attempts === 0 ? ` (${one.fault.message})` : ''}`;
    case 'breaker':
      return `breaker ${one.key === undefined ? '' : `of ${one.key} `}${one.to}: ${one.why}`;
    case 'noticed':
      return one.what;
  }
}

/** An attempt that took no time is told by one line; the others begin with one of their own. */
function beginnings({ happenings }: Timeline): Set<Happening> {
  const open = new Map<string, Happening>();
  const told = new Set<Happening>();
  for (const one of happenings) {
    if (one.kind !== 'started' && one.kind !== 'ended') continue;
    const key = JSON.stringify([one.route, one.event]);
    if (one.kind === 'started') open.set(key, one);
    const start = open.get(key);
    if (one.kind === 'started' || start === undefined) continue;
    open.delete(key);
    if (start.at < one.at) told.add(start);
  }
  return new Set([...told, ...open.values()]);
}

/** One line each: time, event, route, what happened. `mask` takes secrets out. */
export function tellTimeline(timeline: Timeline, mask: (text: string) => string): string[] {
  const begun = beginnings(timeline);
  const rows = timeline.happenings.flatMap((one) => {
    const said = one.kind === 'started' && begun.has(one) ? `attempt ${one.attempt} begins` : sentence(one);
    if (said === undefined) return [];
    const event = 'event' in one ? one.event : '';
    return [[formatTime(one.at), event, 'route' in one ? one.route : '', mask(said)] as const];
  });
  const widths = [0, 1, 2].map((column) => rows.reduce((most, row) => Math.max(most, row[column as 0].length), 0));
  return rows.map(([at, event, route, said]) =>
    [at.padStart(widths[0] ?? 0), event.padEnd(widths[1] ?? 0), route.padEnd(widths[2] ?? 0), said]
      .join('  ')
      .trimEnd(),
  );
}
