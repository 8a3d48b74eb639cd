/** One engine: the real route table, workers, breakers and reloader, on a simulated bus and a host that can die or freeze. */
import type { Signal } from '../../engine/observe/signals.ts';
import { Reloader } from '../../engine/reload.ts';
import { RouteTable } from '../../engine/worker/route-table.ts';
import { silent } from '../support/worker.ts';
import { SimulatedBus } from './bus.ts';
import type { Dice } from './dice.ts';
import { type Endpoints, scriptedHandler } from './handlers.ts';
import type { Ledger } from './ledger.ts';
import type { Network } from './network.ts';
import { drainMs, type Files, generationOf, leaseMs, removedGraceMs } from './routes.ts';
import type { Run } from './run.ts';
import { Host } from './time.ts';

const trimPause = 5_000;
/** Who changed the files looks whether it took, and tries again. */
const lookPause = 2_000;

export interface EngineDeps {
  readonly network: Network;
  readonly ledger: Ledger;
  readonly run: Run;
  readonly dice: Dice;
  readonly endpoints: Endpoints;
  readonly files: () => Files;
  readonly onDeath: (engine: SimulatedEngine) => void;
}

export class SimulatedEngine {
  readonly host: Host;
  readonly bus: SimulatedBus;
  stopping = false;
  readonly #deps: EngineDeps;
  readonly #table: RouteTable;
  readonly #reloader: Reloader;

  constructor(name: string, deps: EngineDeps) {
    const { network, ledger, dice } = deps;
    this.#deps = deps;
    this.host = new Host(name, network.time.now);
    ledger.hosts.set(name, this.host);
    this.bus = new SimulatedBus(this.host, network, ledger);
    const observer = (signal: Signal): void => this.#observe(signal);
    this.#table = new RouteTable({
      bus: this.bus,
      observer,
      logFor: () => silent,
      createHandler: (route) =>
        Promise.resolve(
          scriptedHandler({ ...deps, route, host: this.host, time: network.time, crash: () => this.crash() }),
        ),
      journal: 'all',
      leaseMs,
      removedGraceMs,
      random: dice.next,
      timers: network.time.timersOf(this.host),
    });
    this.#reloader = new Reloader({
      load: async () => ({
        ok: true,
        generation: generationOf(deps.files()),
        files: [],
        sources: new Map(),
        warnings: [],
        secrets: [],
        shownFiles: [],
        eventSchemas: new Map(),
      }),
      table: this.#table,
      observer,
      drainMs,
      allowEmpty: true,
      onSwap: () => undefined,
      onFiles: () => undefined,
    });
  }

  /** An engine that cannot start its routes ends, as the real one does. */
  async start(): Promise<void> {
    const { result } = await this.#reloader.reload();
    if (result === 'rejected') return this.crash();
    this.#every(trimPause, () => void this.bus.trim().catch(() => undefined));
    this.#every(lookPause, () => void this.reload());
  }

  #every(ms: number, act: () => void): void {
    this.#deps.network.time.after(ms, this.host, () => {
      this.#every(ms, act);
      act();
    });
  }

  async reload(): Promise<void> {
    if (this.stopping || this.#reloader.number === 0) return;
    const { result } = await this.#reloader.reload();
    this.#deps.run.cover(`reload: ${result}`);
  }

  /** Ends it as SIGTERM does. Whoever was well leaves nothing behind. */
  async stop(): Promise<void> {
    const { network, run } = this.#deps;
    const began = network.time.now;
    this.stopping = true;
    await this.#table.stop(drainMs);
    run.cover('stopped');
    this.#die();
    if (this.host.troubledAt > began - 2 * leaseMs) return;
    for (const group of network.store.model.groups.values()) {
      for (const { holder, id, at } of group.pending.values()) {
        // What has outlived its lease belongs to a route that ended in an outage, and goes to whoever runs it next.
        if (network.time.now - at < leaseMs && holder?.startsWith(`${this.host.name}#`) === true) {
          run.fail('an engine that stops hands back what it holds', `${this.host.name} ${group.name} ${id}`);
        }
      }
    }
  }

  crash(): void {
    if (this.host.state === 'dead') return;
    this.#deps.run.cover('crash');
    this.#die();
  }

  #die(): void {
    this.#deps.run.note(() => `${this.host.name} is dead`);
    this.#deps.network.time.kill(this.host);
    this.#deps.onDeath(this);
  }

  /** What it keeps in memory has bounds. */
  check(): void {
    const { run } = this.#deps;
    for (const { route, inFlight, queued } of this.#table.gauges()) {
      const fits = inFlight <= route.concurrency + 1 && queued <= 600;
      if (!fits) run.fail('what a route keeps in memory is bounded', `${route.group}: ${inFlight} run, ${queued} wait`);
    }
    if (this.host.pending > 400) {
      run.fail('what a route keeps in memory is bounded', `${this.host.name} has ${this.host.pending} timers`);
    }
  }

  #observe(signal: Signal): void {
    const { run } = this.#deps;
    switch (signal.kind) {
      case 'bus_error':
        if (!/nobody answers|answer was lost|was closed/.test(signal.message)) {
          run.fail('a route reports no fault but those of the bus', signal.message);
        }
        return run.cover('fault told');
      case 'lost':
        return run.fail('trimming removes nothing that a group needs', signal.ids.join());
      case 'attempt':
        if (signal.fault?.code === 'timeout') run.cover('timeout');
        return run.cover(`outcome: ${signal.outcome}`);
      case 'dlq_full':
        return run.cover(signal.full ? 'DLQ full' : 'DLQ has room again');
      case 'reclaimed':
        return run.cover('reclaimed', signal.count);
      default:
        return run.cover(signal.kind);
    }
  }
}
