/**
 * Every key that EventFlow uses in Redis. Nowhere else is a key put together.
 *
 * All keys of one stream partition share one hash tag, so that every script touches one slot.
 */
/** What belongs to one stream. */
export interface StreamKeys {
  /** The stream itself. */
  readonly events: string;
  /** Stream, capped: one entry per settled batch. */
  readonly journal: string;
  /** ZSET: `name|bucket` → bucket, an index of the hashes made by `tally`. */
  readonly tallies: string;
}

/** What belongs to one route's group on one stream. */
export interface RouteKeys {
  /** Stream of retries and redrives that are back in play. */
  readonly due: string;
  /** ZSET: origin → due, ms since the epoch. */
  readonly retry: string;
  /** HASH: origin → record (see records.ts). */
  readonly retryBody: string;
  /** ZSET: letter → dead since, ms since the epoch. */
  readonly dead: string;
  /** HASH: letter → record (see records.ts). */
  readonly deadBody: string;
  /** HASH of counters, where the group was activated (`start`, `base`), and how many of `retry` are `postponed`. */
  readonly totals: string;
}

export class Keys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** SET of stream names. */
  get streams(): string {
    return `${this.#prefix}:streams`;
  }

  /** HASH: group, by the name of its storage → what it asked for and what it is called, in JSON. */
  get groups(): string {
    return `${this.#prefix}:groups`;
  }

  /** HASH: engine → its last sign of life and the groups it has, in JSON. */
  get engines(): string {
    return `${this.#prefix}:engines`;
  }

  /** HASH: group, by the name of its storage and when it was made → who threw it away, and what, in JSON. */
  get purges(): string {
    return `${this.#prefix}:purges`;
  }

  /** HASH: breaker key → `version:state`. */
  get breakers(): string {
    return `${this.#prefix}:breakers`;
  }

  /** HASH: whose turn it is on a route with ordering, until when, and the number of it. */
  turn(group: string): string {
    return `${this.#prefix}:turn:${group}`;
  }

  /** HASH: `s` → the permits of one rate limit, see lua/permits.lua. */
  permits(limit: string): string {
    return `${this.#prefix}:permits:${limit}`;
  }

  /** SET of the streams that a group has joined. */
  joined(group: string): string {
    return `${this.#prefix}:groups:${group}`;
  }

  stream(stream: string): StreamKeys {
    const slot = this.#slot(stream);
    return { events: `${slot}:events`, journal: `${slot}:journal`, tallies: `${slot}:tallies` };
  }

  route(stream: string, group: string): RouteKeys {
    const route = `${this.#slot(stream)}:r:${group}`;
    return {
      due: `${route}:due`,
      retry: `${route}:retry`,
      retryBody: `${route}:retry:body`,
      dead: `${route}:dead`,
      deadBody: `${route}:dead:body`,
      totals: `${route}:totals`,
    };
  }

  /** Two HASHes, used in turn, of what was published to a stream in one window and the one before. */
  dedupe(stream: string, windowMs: number): readonly [string, string] {
    const head = `${this.#slot(stream)}:dedupe:${windowMs}`;
    return [`${head}:0`, `${head}:1`];
  }

  /** HASH: key → sum, of one tally and time bucket. */
  tally(stream: string, name: string, bucket: number): string {
    return `${this.#slot(stream)}:tally:${name}:${bucket}`;
  }

  #slot(stream: string): string {
    return `${this.#prefix}:{${stream}:0}`;
  }
}
