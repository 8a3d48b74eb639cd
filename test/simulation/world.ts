/** Everything that one seed makes: the store, a network, a few engines, a publisher, a person, and the weather. */
import type { Publication } from '../../engine/bus/bus.ts';
import type { Route } from '../../engine/core/route.ts';
import { SimulatedBus } from './bus.ts';
import { Dice } from './dice.ts';
import { SimulatedEngine } from './engine.ts';
import type { Endpoints } from './handlers.ts';
import { checkStore } from './invariants.ts';
import { Ledger } from './ledger.ts';
import type { Bug } from './model/bugs.ts';
import { BusModel } from './model/bus-model.ts';
import { Network } from './network.ts';
import { type Files, publicationOf, someRoutes, streamRules, types } from './routes.ts';
import { Run } from './run.ts';
import { Store } from './store.ts';
import { FakeTime, Host } from './time.ts';

export interface WorldOptions {
  readonly seed: number;
  readonly bug?: Bug | undefined;
  readonly print?: ((line: string) => void) | undefined;
}

export class World {
  readonly seed: number;
  readonly dice: Dice;
  readonly time = new FakeTime();
  readonly run: Run;
  readonly store: Store;
  readonly network: Network;
  readonly ledger: Ledger;
  readonly endpoints: Endpoints;
  /** Those that are not dead. */
  readonly engines = new Set<SimulatedEngine>();
  /** Publishes, and works the dead letters. */
  readonly people: SimulatedBus;
  readonly peopleHost: Host;
  /** Those that its files may speak of. */
  readonly routes: readonly Route[];
  files: Files;
  /** Everything that was ever published, and what has no answer yet. */
  readonly published: Publication[] = [];
  #named = 0;
  #version = 1;

  constructor({ seed, bug, print }: WorldOptions) {
    this.seed = seed;
    this.dice = new Dice(seed);
    this.routes = someRoutes(this.dice);
    this.files = new Map(this.routes.map(({ group }) => [group, 1]));
    this.run = new Run(() => this.time.now, print);
    this.store = new Store(new BusModel(streamRules, bug), this.dice.chance(0.5));
    this.network = new Network(this.time, this.store, this.dice, this.run);
    this.ledger = new Ledger(this.run, this.time);
    this.endpoints = { down: new Set(), seed };
    this.peopleHost = new Host('people', this.time.now);
    this.people = new SimulatedBus(this.peopleHost, this.network, this.ledger);
    for (let count = this.dice.between(2, 3); count > 0; count -= 1) this.startEngine();
  }

  startEngine(): void {
    this.#named += 1;
    const engine = new SimulatedEngine(`e${this.#named}`, {
      network: this.network,
      ledger: this.ledger,
      run: this.run,
      dice: this.dice,
      endpoints: this.endpoints,
      files: () => this.files,
      onDeath: (dead) => this.#died(dead),
    });
    this.engines.add(engine);
    void engine.start();
  }

  /** Somebody starts another in its place. */
  #died(engine: SimulatedEngine): void {
    this.engines.delete(engine);
    this.time.after(this.dice.between(50, 1_500), undefined, () => {
      this.run.cover('restart');
      this.startEngine();
    });
  }

  /** An engine in `state`, by the dice. */
  some(state: 'up' | 'frozen' = 'up'): SimulatedEngine | undefined {
    return this.dice.some([...this.engines].filter(({ host, stopping }) => host.state === state && !stopping));
  }

  nextVersion(): number {
    this.#version += 1;
    return this.#version;
  }

  // ── what people do ─────────────────────────────────────────────────────────────────────────────────────────────

  publish(count: number): void {
    const fresh = Array.from({ length: count }, (_, at) =>
      publicationOf(`n${this.published.length + at}`, this.dice.pick(types)),
    );
    this.published.push(...fresh);
    this.send(fresh);
  }

  /** Publishes until there is an answer: who does not hear that it is stored tries again. */
  send(publications: readonly Publication[]): void {
    this.people.publish(publications).then(
      (results) => {
        this.ledger.confirmed(results);
        for (const { kind } of results) this.run.cover(`publish: ${kind}`);
      },
      () => void this.time.after(400, undefined, () => this.send(publications)),
    );
  }

  /** The same id with another body is told apart, whatever became of the first. */
  sendConflict(publication: Publication): void {
    const other = publicationOf(publication.eventId, publication.type, 1);
    // After a failover a first that was never confirmed may be gone, and then it is no conflict.
    if (!this.store.model.streams.knows(publication)) return;
    const { epoch } = this.store;
    this.people.publish([other]).then(
      ([result]) => {
        if (result === undefined || this.store.epoch !== epoch) return;
        this.run.cover(`publish: ${result.kind}`);
        if (result.kind !== 'conflict') this.run.fail('another body under the same id is a conflict', other.eventId);
      },
      () => undefined,
    );
  }

  // ── checks ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Lets time pass, and then asks whether everything still holds. */
  async pass(ms: number): Promise<void> {
    await this.time.pass(ms);
    checkStore(this.store.model, this.ledger, this.run, this.time.now);
    for (const engine of this.engines) engine.check();
  }
}
