/**
 * Says which routes this engine has, as a sign of life too; and looks after the groups that no engine has a route for.
 *
 * A group is *removed* when somebody knows that its route was taken out of the files, not merely when nobody is there: an
 * engine that dropped the route in a reload, or one whose files have the pipeline without the route. That is written down
 * with its time once no live engine has the route any more, and forgotten as soon as one has. Only after `graceMs` of it
 * do retries become dead letters. So neither a rolling change, in which some engines still have the route, nor a fleet
 * that is switched off for a night while another one shares its store, costs a delivery anything.
 */
import type { Bus, GroupInfo } from '../bus/bus.ts';
import type { Claim, Claims } from '../core/claims.ts';
import type { Generation } from '../core/route.ts';
import type { Timer, Timers } from '../core/timers.ts';
import type { Observer } from '../observe/signals.ts';
import { clearRemoved } from './removed.ts';

/** Well within `engineLifeMs`: three beats may be lost. A shorter grace is looked at as often. */
const beatMs = 5_000;
/** How often the groups without a route are counted, in beats. */
const beatsPerCount = 6;

export interface ClaimKeeperDeps {
  readonly bus: Bus;
  readonly observer: Observer;
  readonly timers: Timers;
  readonly leaseMs: number;
  /** How long a route is gone before its retries become dead letters, ms. */
  readonly graceMs: number;
}

const claimsOf = (generation: Generation, number: number): Claims => ({
  routes: [...generation.routes.values()].map(
    ({ group, previousGroup, enabled }): Claim => ({
      group,
      ...(previousGroup === undefined ? {} : { previous: previousGroup }),
      ...(enabled ? {} : { disabled: true }),
    }),
  ),
  generation: number,
  hash: generation.hash,
});

const pipelineOf = (group: string): string => group.slice(0, group.indexOf('.'));

export class ClaimKeeper {
  readonly #deps: ClaimKeeperDeps;
  #claims: Claims = { routes: [], generation: 0, hash: '' };
  #pipelines: ReadonlySet<string> = new Set();
  /** Groups that this engine had once and has no more. */
  readonly #dropped = new Set<string>();
  #timer: Timer | undefined;
  #beats = 0;
  #claiming = false;
  #beating: Promise<void> | undefined;
  #closed = false;
  readonly #told = new Set<string>();

  constructor(deps: ClaimKeeperDeps) {
    this.#deps = deps;
  }

  /** To be called before the groups of a generation are opened. Rejects when the bus does not answer. */
  async claim(generation: Generation, number: number): Promise<void> {
    const before = this.#claims;
    const claims = claimsOf(generation, number);
    this.#claiming = true;
    try {
      await this.#send(claims);
    } finally {
      this.#claiming = false;
    }
    this.#claims = claims;
    this.#adopt(before, generation);
    if (this.#timer === undefined) this.#later();
  }

  /**
   * The generation that was claimed did not come to be: claims what runs, which may have been taken for removed meanwhile.
   * What fails here is made good by the next beat.
   */
  async takeBack(generation: Generation | undefined, number: number): Promise<void> {
    if (generation === undefined || number === 0) return;
    try {
      await this.claim(generation, number);
      for (const info of await this.#deps.bus.groups()) if (info.engines.length > 0) await this.#look(info);
    } catch {
      // As said above.
    }
  }

  /** Resolves when nothing is under way any more, so that what was taken up to be dead-lettered has been handed back. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#deps.timers.cancel(this.#timer);
    await this.#beating;
  }

  #adopt(before: Claims, generation: Generation): void {
    const renamed = new Set(this.#claims.routes.map(({ previous }) => previous));
    for (const { group } of before.routes) if (!renamed.has(group)) this.#dropped.add(group);
    for (const { group } of this.#claims.routes) this.#dropped.delete(group);
    this.#pipelines = new Set([...generation.routes.keys()].map(pipelineOf));
  }

  async #send(claims: Claims): Promise<void> {
    const { renamed, unknown } = await this.#deps.bus.claim(claims);
    for (const { from, to } of renamed) this.#deps.observer({ kind: 'group_renamed', from, to });
    for (const { group, previous = '' } of unknown) {
      if (this.#told.has(`${previous} ${group}`)) continue;
      this.#told.add(`${previous} ${group}`);
      this.#deps.observer({ kind: 'previous_unknown', group, previous });
    }
  }

  /** The next beat comes whether this one is answered or not. A claim that is under way is a sign of life itself. */
  #later(): void {
    const { timers, graceMs } = this.#deps;
    this.#timer = timers.after(Math.min(beatMs, graceMs), () => {
      this.#later();
      if (this.#claiming) return;
      this.#beating ??= this.#beat().finally(() => {
        this.#beating = undefined;
      });
    });
  }

  async #beat(): Promise<void> {
    try {
      await this.#send(this.#claims);
      const groups = await this.#deps.bus.groups();
      for (const info of groups) if (!this.#closed) await this.#look(info);
      if (this.#beats % beatsPerCount === 0) await this.#count(groups);
      this.#beats += 1;
    } catch (error) {
      if (!this.#closed)
        this.#deps.observer({ kind: 'bus_error', errorKind: 'claim', message: (error as Error).message });
    }
  }

  async #look(info: GroupInfo): Promise<void> {
    const { bus, graceMs } = this.#deps;
    const { group, removedAt } = info;
    if (info.engines.length > 0) return removedAt === undefined ? undefined : bus.markRemoved(group, undefined);
    if (removedAt === undefined) return this.#knows(info) ? bus.markRemoved(group, bus.now()) : undefined;
    if (bus.now() - removedAt >= graceMs) await this.#clear(info);
  }

  /** Whether it is we who can tell that the route was taken out of the files. */
  #knows({ group, former }: GroupInfo): boolean {
    return this.#pipelines.has(pipelineOf(group)) || [group, ...former].some((name) => this.#dropped.has(name));
  }

  async #clear(info: GroupInfo): Promise<void> {
    const { bus, leaseMs, observer } = this.#deps;
    const stats = await bus.groupStats(info.group);
    if (stats === undefined || stats.retrying + stats.due + stats.pending === 0) return;
    const isGone = async (): Promise<boolean> => {
      const now = (await bus.groups()).find(({ storage }) => storage === info.storage);
      return !this.#closed && now !== undefined && now.removedAt !== undefined && now.engines.length === 0;
    };
    const count = await clearRemoved({ bus, leaseMs, isGone }, info);
    if (count > 0) observer({ kind: 'route_removed', group: info.group, count });
  }

  async #count(groups: readonly GroupInfo[]): Promise<void> {
    const detached = groups.filter(({ engines }) => engines.length === 0);
    let entries = 0;
    for (const { group } of detached) {
      if (this.#closed) return;
      const stats = await this.#deps.bus.groupStats(group);
      if (stats === undefined) continue;
      const waiting = stats.lag.reduce((sum, stream) => sum + stream.entries, 0);
      entries += waiting + stats.pending + stats.retrying + stats.due;
    }
    this.#deps.observer({ kind: 'detached', groups: detached.length, entries });
  }
}
