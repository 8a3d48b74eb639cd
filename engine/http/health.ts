/** What `/readyz` says about a running engine. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../bus/bus.ts';
import type { RouteGauges } from '../observe/signals.ts';
import type { ConfigStatus } from '../operations/operations.ts';
import type { Health } from './deps.ts';

/** How long a health check waits for the bus: a probe is itself given a second or two, a call of the bus far more. */
const probeMs = 1_000;

export interface EngineState {
  readonly ready: boolean;
  /** Number of the generation in force. */
  readonly generation: number;
  /** See `Bus.hazards`. */
  readonly hazards: readonly string[];
  /** Why new events are refused; undefined while they are welcome. */
  readonly refusal: string | undefined;
  /** How the engine stands to its files. */
  readonly config: ConfigStatus;
  /** Routes with handlers that were given up and still run. */
  readonly leaked: readonly RouteGauges[];
}

/** Never rejects. */
export async function healthOf(bus: Bus, state: EngineState): Promise<Health> {
  const { ready, generation, hazards, refusal, leaked, config } = state;
  const [answer, durability] = await Promise.all([
    soon(
      bus.ping().then(
        () => 'up',
        (error: Error) => error.message,
      ),
    ),
    soon(bus.durability().catch(() => undefined)),
  ]);
  const reach = answer === 'up' ? undefined : (answer ?? `${bus.label} did not answer within ${probeMs} ms`);
  return {
    ready: ready && reach === undefined,
    checks: [
      { name: 'engine', ok: ready, detail: ready ? `generation ${generation}` : 'starting or stopping' },
      {
        name: 'config',
        ok: config.last.result !== 'rejected' && config.pinned === undefined,
        detail: configText(config),
      },
      { name: 'bus', ok: reach === undefined, detail: reach ?? bus.label },
      {
        name: 'durability',
        ok: true,
        detail: [durability?.level ?? 'unknown', durability?.reason].filter(Boolean).join(': '),
      },
      { name: 'store', ok: hazards.length === 0, detail: hazards.length === 0 ? 'safe' : hazards.join('; ') },
      { name: 'ingest', ok: refusal === undefined, detail: refusal ?? 'open' },
      { name: 'handlers', ok: leaked.length === 0, detail: leakText(leaked) },
    ],
  };
}

function configText({ generation, pinned, last }: ConfigStatus): string {
  const refused =
    last.result === 'rejected' ? [`the files are refused: ${last.problems.join('; ').slice(0, 1_000)}`] : [];
  const parts = [...refused, ...(pinned === undefined ? [] : [pinned])];
  return parts.join('; ') || `generation ${generation}`;
}

const leakText = (leaked: readonly RouteGauges[]): string =>
  leaked.length === 0
    ? 'all end'
    : `given up and still running: ${leaked.map((of) => `${of.leaked} of ${of.route.group}`).join(', ')}`;

/** Undefined when it takes too long. Must not reject. */
const soon = <T>(part: Promise<T>): Promise<T | undefined> =>
  Promise.race([part, sleep(probeMs, undefined, { ref: false })]);
