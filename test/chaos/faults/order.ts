/** T50: order by a key, over two engines that are killed again and again. */
import { openBus } from '../../../engine/bus/open.ts';
import { type Fault, perHit, pick, type Toll, times, unless } from '../fault.ts';
import { recoveryBound, type Stage } from '../stage.ts';

/** The last two characters of an id: about a hundred keys. */
const keyOf = (id: string): string => id.slice(-2);

const route = `ordering: { key: event.id.substring(event.id.size() - 2) }
    circuitBreaker: false
    retry: { maxAttempts: 50, initialInterval: 50ms, maxInterval: 500ms }`;

interface Request {
  readonly id: string;
  readonly well: boolean;
}

/** The order in which the store took the events: what comes over HTTP at once has no other. Keeps them from being trimmed. */
async function keepOrder(stage: Stage): Promise<() => Promise<readonly string[]>> {
  const bus = await openBus(stage.store.busUrl, {});
  const deadLetter = { retention: 3_600_000, maxEntries: 1, onFull: 'pause' } as const;
  const keeper = await bus.openGroup({
    group: 'chaos.keeper',
    patterns: ['chaos.event'],
    startFrom: 'beginning',
    deadLetter,
  });
  return async () => {
    const ids: string[] = [];
    for (;;) {
      const entries = await keeper.read(500, AbortSignal.timeout(2_000));
      if (entries.length === 0) break;
      ids.push(...entries.map(({ body }) => (JSON.parse(body) as { id: string }).id));
      await keeper.settle(
        entries.map((entry) => ({ kind: 'ack', entry, status: 'skipped' }) as const),
        undefined,
      );
    }
    await bus.close();
    return ids;
  };
}

/** Requests that came while an older one of their key had not been taken. */
function inversions(order: readonly string[], requests: readonly Request[]): readonly string[] {
  const lines = new Map<string, string[]>();
  for (const id of order) lines.set(keyOf(id), [...(lines.get(keyOf(id)) ?? []), id]);
  const taken = new Set<string>();
  const next = new Map<string, number>();
  return requests.flatMap(({ id, well }) => {
    const line = lines.get(keyOf(id)) ?? [];
    let at = next.get(keyOf(id)) ?? 0;
    while (at < line.length && taken.has(line[at] as string)) at += 1;
    next.set(keyOf(id), at);
    const early = !taken.has(id) && line[at] !== id;
    if (well) taken.add(id);
    return early ? [`${id} before ${line[at] ?? 'anything'}`] : [];
  });
}

async function killInOrder(stage: Stage, random: () => number, scale: number): Promise<Toll> {
  const requests: Request[] = [];
  const failed = new Set<string>();
  stage.main.answer = (id) => {
    const fails = Number(id.slice(1)) % 10 === 3 && !failed.has(id);
    if (fails) failed.add(id);
    requests.push({ id, well: !fails });
    return fails ? { status: 503 } : undefined;
  };
  const orderOf = await keepOrder(stage);
  const hits = 3 * scale;
  await times(hits, 1_500, random, async () => {
    const at = pick(2, random);
    await stage.killEngine(at);
    await stage.startEngine(at);
  });
  return {
    duplicates: hits * perHit,
    recovery: recoveryBound,
    atRest: async () => {
      const order = await orderOf();
      const wrong = inversions(order, requests);
      return unless(
        [
          order.length >= stage.acknowledged.size,
          `the keeper has ${order.length} of ${stage.acknowledged.size} events`,
        ],
        [failed.size > 0, 'expected deliveries that fail at first'],
        [wrong.length === 0, `${wrong.length} deliveries out of order: ${wrong.slice(0, 5).join(', ')}`],
      );
    },
  };
}

export const order: readonly Fault[] = [
  {
    id: 'T50',
    what: 'an ordered route, 10 % fail at first: kill -9 of two engines',
    tier: 'quick',
    stage: { engines: 2, route },
    shares: true,
    inject: killInOrder,
  },
];
