/**
 * The bus as one host sees it: the port, with a network in between. A call takes time, may find nobody there, and its answer
 * may be lost although the thing was done. What reaches the store happens even if its sender dies meanwhile.
 */
import type {
  Bus,
  DeadLetterStore,
  Durability,
  Entry,
  Group,
  GroupInfo,
  GroupOrder,
  GroupSpec,
  GroupStats,
  JournalLine,
  LimitStore,
  Publication,
  PublishResult,
  Reclaimed,
  SettleItem,
  SettleResult,
  Tally,
} from '../../engine/bus/bus.ts';
import type { ClaimResult, Claims, EngineInfo } from '../../engine/core/claims.ts';
import { EventFlowError } from '../../engine/errors.ts';
import type { Ledger } from './ledger.ts';
import type { BusModel } from './model/bus-model.ts';
import type { Network } from './network.ts';
import { breakersOf, deadLettersOf, limitsOf } from './shelves.ts';
import { readPatience, type Waiter } from './store.ts';
import type { Host } from './time.ts';

export class SimulatedBus implements Bus {
  readonly label = 'simulated:';
  readonly breakers: Bus['breakers'];
  readonly limits: LimitStore;
  readonly deadLetters: DeadLetterStore;
  readonly #host: Host;
  readonly #network: Network;
  readonly #ledger: Ledger;
  #opened = 0;
  #storages: ReadonlyMap<string, string> = new Map();

  constructor(host: Host, network: Network, ledger: Ledger) {
    this.#host = host;
    this.#network = network;
    this.#ledger = ledger;
    this.breakers = breakersOf(host, network, ledger);
    this.limits = limitsOf(host, network);
    this.deadLetters = deadLettersOf(host, network, ledger);
  }

  now(): number {
    return this.#network.time.now;
  }

  /** Answered once the replica has it, where there is one. */
  publish(items: readonly Publication[]): Promise<readonly PublishResult[]> {
    const { time } = this.#network;
    return this.#network.call(
      this.#host,
      'publish',
      ({ store }) => {
        const { now } = time;
        const results = store.apply((model) => model.publish(items, now));
        this.#ledger.published(store.model, items, results);
        store.wake();
        return results;
      },
      'confirmed',
    );
  }

  async openGroup(spec: GroupSpec): Promise<Group> {
    const storage = this.#storages.get(spec.group) ?? spec.group;
    const stored = { ...spec, group: storage };
    await this.#network.call(this.#host, `open ${spec.group}`, ({ store }) => {
      store.apply((model) => model.open(stored, spec.group));
      // Taken as confirmed: that a lost group is made again is the business of a bus, and in its own tests.
      store.replicate();
      this.#ledger.opened(store.model, storage);
    });
    this.#opened += 1;
    return new SimulatedGroup(stored, `${this.#host.name}#${this.#opened}`, this.#host, this.#network, this.#ledger);
  }

  async claim(claims: Claims): Promise<ClaimResult> {
    const plan = await this.#network.call(this.#host, 'claim', ({ store }) => {
      this.#ledger.claimed(claims.routes.map(({ group }) => group));
      return store.apply((model) => model.claim(this.#host.name, claims, this.now()));
    });
    this.#storages = plan.storages;
    return { renamed: plan.renames.map(({ from, to }) => ({ from, to })), unknown: plan.unknown };
  }

  engines(): Promise<readonly EngineInfo[]> {
    return this.#read((model) => model.engines(this.now()));
  }

  async markRemoved(group: string, at: number | undefined): Promise<void> {
    await this.#network.call(this.#host, 'mark', ({ store }) => store.apply((model) => model.markRemoved(group, at)));
  }

  async openRemoved(name: string): Promise<Group | undefined> {
    const spec = await this.#read((model) => {
      const group = model.groups.get(model.storageOf(name));
      return group && { group: group.name, patterns: group.patterns, deadLetter: group.policy };
    });
    if (spec === undefined) return undefined;
    this.#opened += 1;
    const consumer = `${this.#host.name}#${this.#opened}`;
    const stored = { ...spec, startFrom: 'new' } as const;
    return new SimulatedGroup(stored, consumer, this.#host, this.#network, this.#ledger, true);
  }

  /** Nobody purges here: a person decides that, and then nothing is promised any more. */
  purge(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  purges(): Promise<readonly []> {
    return Promise.resolve([]);
  }

  groups(): Promise<readonly GroupInfo[]> {
    return this.#read((model) => model.infos(this.now()));
  }

  groupStats(group: string): Promise<GroupStats | undefined> {
    return this.#read((model) => {
      const storage = model.storageOf(group);
      return model.groups.has(storage) ? model.stats(storage, this.now()) : undefined;
    });
  }

  streams(): ReturnType<Bus['streams']> {
    return this.#read((model) => [...model.streams.sizes()]);
  }

  trim(): Promise<number> {
    return this.#network.call(this.#host, 'trim', ({ store }) => store.apply((model) => model.streams.trim()));
  }

  async *journal(): AsyncIterable<JournalLine> {}

  tallies(): Promise<readonly Tally[]> {
    return Promise.resolve([]);
  }

  tallyNames(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  durability(): Promise<Durability> {
    return Promise.resolve({ mode: 'none', level: 'guaranteed', reason: undefined });
  }

  async ping(): Promise<void> {
    await this.#read(() => undefined);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #read<T>(act: (model: BusModel) => T): Promise<T> {
    return this.#network.call(this.#host, 'look', ({ store }) => act(store.model));
  }
}

class SimulatedGroup implements Group {
  readonly name: string;
  readonly storage: string;
  readonly order: GroupOrder;
  readonly #spec: GroupSpec;
  readonly #consumer: string;
  readonly #host: Host;
  readonly #network: Network;
  readonly #ledger: Ledger;
  readonly #dueOnly: boolean;
  #closed = false;
  /** The answer to a read was lost. */
  #gap = false;

  constructor(spec: GroupSpec, consumer: string, host: Host, network: Network, ledger: Ledger, dueOnly = false) {
    this.name = spec.group;
    this.storage = spec.group;
    this.#dueOnly = dueOnly;
    this.#spec = spec;
    this.#consumer = consumer;
    this.#host = host;
    this.#network = network;
    this.#ledger = ledger;
    this.order = this.#orderOf();
  }

  read(limit: number, signal: AbortSignal): Promise<readonly Entry[]> {
    if (this.#closed) return Promise.reject(new EventFlowError('EF5024', `the group ${this.name} was closed`));
    if (signal.aborted) return Promise.resolve([]);
    const { time, store } = this.#network;
    return new Promise((resolve, refused) => {
      const reject = (error: Error): void => {
        this.#gap = true;
        refused(error);
      };
      this.#network.send(this.#host, `read ${this.name}`, reject, () => {
        const answer = (entries: readonly Entry[]): void =>
          this.#network.reply(this.#host, `read ${this.name} ${entries.length}`, () => resolve(entries), reject);
        const serve = (): void => answer(this.#hand(limit));
        if (this.#dueOnly || store.model.hasSomething(this.name)) return serve();
        const waiter: Waiter = {
          group: this.name,
          host: this.#host,
          serve,
          fail: () => this.#network.refuse(this.#host, reject),
        };
        const giveUp = (): void => {
          if (store.unwait(waiter)) answer([]);
        };
        if (signal.aborted || this.#closed) return answer([]);
        store.wait(waiter);
        time.after(readPatience, undefined, giveUp);
        signal.addEventListener('abort', () => void time.after(1, undefined, giveUp), { once: true });
      });
    });
  }

  #hand(limit: number): readonly Entry[] {
    const { time, store } = this.#network;
    const { now } = time;
    const entries = store.apply((model) => model.read(this.name, this.#consumer, limit, now, this.#dueOnly));
    this.#ledger.handedOut(this.name, this.#consumer, entries);
    return entries;
  }

  settle(items: readonly SettleItem[]): Promise<readonly SettleResult[]> {
    return this.#call(
      'settle',
      (model, now) => model.settle(this.name, this.#consumer, items, now),
      (settled) => {
        this.#ledger.settled(this.#spec, this.#consumer, items, settled);
        this.#finishParking();
      },
    ).then(({ results }) => results);
  }

  /** With the bug that acks before it parks: the second half follows a moment later, if there is still somebody. */
  #finishParking(): void {
    const { time, store } = this.#network;
    if (store.model.bug !== 'ack before park') return;
    time.after(2, undefined, () => store.apply((model) => model.finishParking(this.#host.state !== 'dead')));
  }

  extend(entries: readonly Entry[]): Promise<readonly Entry[]> {
    return this.#call('extend', (model, now) => model.extend(this.name, this.#consumer, entries, now));
  }

  release(entries: readonly Entry[]): Promise<void> {
    return this.#call('release', (model) => model.release(this.name, this.#consumer, entries));
  }

  promote(limit: number): Promise<number> {
    return this.#call(
      'promote',
      (model, now) => model.promote(this.name, limit, now),
      (moved) => {
        this.#ledger.promoted(moved);
        if (moved > 0) this.#network.store.wake();
      },
    );
  }

  reclaim(minIdleMs: number, limit: number, owned: (id: string) => boolean): Promise<Reclaimed> {
    return this.#call(
      'reclaim',
      (model, now) => model.reclaim(this.name, this.#consumer, minIdleMs, limit, owned, now),
      (swept) => this.#ledger.reclaimed(this.name, this.#consumer, minIdleMs, swept),
    );
  }

  countStart(entry: Entry): Promise<number | undefined> {
    return this.#call('start', (model, now) => model.countStart(this.name, this.#consumer, entry, now));
  }

  #orderOf(): GroupOrder {
    const { name } = this;
    const consumer = this.#consumer;
    const gap = (): boolean => this.#gap;
    const rest = () => this.#call('resting', (model) => model.resting(name));
    return {
      hold: (ttlMs) => this.#call('hold', (model, now) => model.hold(name, consumer, ttlMs, now)),
      giveBack: () => this.#call('give back', (model) => model.giveBack(name, consumer)),
      get mayHaveMissed() {
        return gap();
      },
      missed: (owned) => {
        this.#gap = false;
        return this.#call(
          'missed',
          (model, now) => model.missed(name, consumer, owned, now),
          (swept) => this.#ledger.missed(name, consumer, swept),
        );
      },
      elsewhere: () => this.#call('elsewhere', (model) => model.elsewhere(name, consumer)),
      resting: async function* () {
        yield await rest();
      },
      recall: async (deliveries) => {
        await this.#call(
          'recall',
          (model, now) => model.recall(name, deliveries, now),
          (origins) => {
            this.#ledger.recalled(name, origins);
            this.#network.store.wake();
          },
        );
      },
    };
  }

  stats(): Promise<GroupStats> {
    return this.#call('stats', (model, now) => model.stats(this.name, now));
  }

  /** Like the bus on Redis it does not wait for a server that is away, and does not fail. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#ledger.left.add(this.#consumer);
    await this.#call('leave', (model) => model.leave(this.name, this.#consumer)).catch(() => undefined);
  }

  #call<T>(
    name: string,
    act: (model: BusModel, now: number) => T,
    note: (result: T) => void = () => undefined,
  ): Promise<T> {
    const { time, store } = this.#network;
    return this.#network.call(this.#host, `${name} ${this.name}`, () => {
      const { now } = time;
      const result = store.apply((model) => act(model, now));
      note(result);
      return result;
    });
  }
}
