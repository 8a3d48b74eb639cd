/** Faults of the configuration. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { remoteOperations } from 'eventflow';
import { Keys } from '../../../engine/bus/redis/keys.ts';
import { remoteReload } from '../../../engine/operations/remote.ts';
import { sampleOf } from '../../observe/world.ts';
import { eventually } from '../../support/eventually.ts';
import { calm, exact, type Fault, quiet, type Toll, unless, withClient } from '../fault.ts';
import { memoryOf, pageOf, tidy } from '../page.ts';
import { Service } from '../service.ts';
import type { Stage } from '../stage.ts';

const reloadNow = (stage: Stage) => remoteReload(stage.engine(0).admin);

// ── T37: which generation handled what ───────────────────────────────────────────────────────────────────────────

/** The pipeline stamped twice with `n`: a delivery with two stamps, or with an old one, was handled by no one generation. */
const stamped = (text: string, n: number): string =>
  text.replace('/main", headers: {', `/main?edit=${n}", headers: { x-edit: "${n}",`);

class Stamps {
  /** When each edit was replaced by the next. */
  readonly replacedAt: number[] = [];
  torn = 0;
  /** The longest time between a generation's end and a request of it, ms: what ran then ends with it. */
  latest = 0;

  see(path: string, header: string | readonly string[] | undefined): void {
    const edit = Number(new URL(path, 'http://sink').searchParams.get('edit'));
    if (String(edit) !== (header ?? '0')) this.torn += 1;
    const replaced = this.replacedAt[edit];
    if (replaced !== undefined) this.latest = Math.max(this.latest, Date.now() - replaced);
  }
}

/** The share of swaps that took at most 5 ms. */
async function quickSwaps(stage: Stage): Promise<{ count: number; share: number }> {
  const page = await pageOf(stage.engine(0));
  const count = sampleOf(page, 'eventflow_config_swap_seconds_count');
  return { count, share: sampleOf(page, 'eventflow_config_swap_seconds_bucket', { le: '0.005' }) / count };
}

async function manyReloads(stage: Stage, count: number, perSecond: number): Promise<Toll> {
  const stamps = new Stamps();
  stage.main.answer = (_id, headers, path) => {
    stamps.see(path, headers['x-edit']);
    return undefined;
  };
  let [refused, before] = [0, 0];
  const warm = Math.ceil(count / 10);
  const began = Date.now();
  for (let at = 1; at <= count; at += 1) {
    await stage.write(stamped(stage.text, at));
    const [report] = await Promise.all([reloadNow(stage), sleep(1_000 / perSecond)]);
    if (report.result === 'rejected') refused += 1;
    stamps.replacedAt[at - 1] = Date.now();
    if (at === warm) before = await memoryOf(stage.engine(0));
  }
  const rate = Math.round((count / (Date.now() - began)) * 1_000);
  const grown = (await memoryOf(stage.engine(0))) / before - 1;
  const swaps = await quickSwaps(stage);
  return {
    ...calm,
    notes: [
      `${count} reloads, ${rate}/s; ${(swaps.share * 100).toFixed(1)} % of the swaps within 5 ms; a replaced generation's last request came ${stamps.latest} ms after it; memory ${(grown * 100).toFixed(1)} %`,
    ],
    wrong: unless(
      [refused === 0, `expected every reload to be taken, ${refused} were refused`],
      [swaps.count > count, `expected ${count} swaps and that of the start, got ${swaps.count}`],
      [stamps.torn === 0, `${stamps.torn} deliveries were handled by more than one generation`],
      [!stage.full || stamps.latest <= 2_000, `a generation went on for ${stamps.latest} ms after it was replaced`],
      [!stage.full || swaps.share >= 0.99, `expected 99 % of the swaps within 5 ms, got ${swaps.share}`],
      [!stage.full || grown <= 0.1, `expected memory to stay within 10 %, it grew by ${(grown * 100).toFixed(1)} %`],
    ),
  };
}

// ── T38: what must never become a generation ─────────────────────────────────────────────────────────────────────

/** Ways to break a file, by what is wrong then. */
const breaks: Readonly<Record<string, (text: string) => string>> = {
  'an unknown handler': (text) => text.replace('handler: webhook', 'handler: webhok'),
  'an unknown field': (text) => text.replace('startFrom:', 'startsFrom:'),
  'an unknown option': (text) => text.replace('with: { url', 'with: { urll'),
  'no YAML': (text) => text.replace('on: [chaos.event]', 'on: [chaos.event'),
  'a tab': (text) => text.replace('    on:', '\ton:'),
  'half a file': (text) => text.slice(0, text.indexOf('handler:') + 4),
  'a wrong duration': (text) => text.replace('startFrom: beginning', 'startFrom: beginning\n    timeout: soon'),
  'two routes of one name': (text) => text.replace('id: other', 'id: main'),
  'another kind': (text) => text.replace('kind: Pipeline', 'kind: Pipelines'),
  'no version': (text) => text.replace('apiVersion: eventflow/v1', ''),
  'a field twice': (text) => text.replace('name: chaos', 'name: chaos\nname: chaos'),
  'an unset variable': (text) => text.replace('startFrom: beginning', 'startFrom: "${NO_SUCH_VARIABLE}"'),
  'an alias of nothing': (text) => text.replace('startFrom: beginning', 'startFrom: *nothing'),
  'bytes that are no text': (text) => text.replace('name: chaos', 'name: ch\0aos'),
  'ten thousand brackets': (text) => `${text}\nx-deep: ${'['.repeat(10_000)}`,
  'a wrong address': (text) => text.replace(/url: "[^"]*"/, 'url: "no address"'),
};

const place = /chaos\.yaml:\d+:\d+: /;

async function badReloads(stage: Stage, rounds: number): Promise<Toll> {
  const wrong = new Set<string>();
  let generation = (await reloadNow(stage)).generation;
  for (let round = 0; round < rounds; round += 1) {
    for (const [what, spoil] of Object.entries(breaks)) {
      await stage.write(spoil(stage.text));
      const bad = await reloadNow(stage);
      if (bad.result !== 'rejected') wrong.add(`${what}: expected to be refused, it was ${bad.result}`);
      if (bad.generation !== generation) wrong.add(`${what}: another generation runs`);
      if (!place.test(bad.problems.join('\n'))) wrong.add(`${what}: no place is named: ${bad.problems.join(' ')}`);
      generation += 1;
      await stage.write(stamped(stage.text, generation));
      const good = await reloadNow(stage);
      if (good.generation !== generation) wrong.add(`after ${what}: a good file was ${good.result}`);
    }
  }
  const alive = stage.engine(0).child.exitCode === null;
  return {
    ...exact,
    notes: [`${rounds * Object.keys(breaks).length} broken files, each followed by a good one`],
    wrong: [...wrong, ...unless([alive, 'expected the engine to live on, it ended'])],
  };
}

// ── T42, T43: routes that go and come ────────────────────────────────────────────────────────────────────────────

async function balanceOfMain(stage: Stage) {
  const { groups } = await remoteOperations(stage.engine(0).admin).verify();
  const balance = groups.find(({ group }) => group === 'chaos.main');
  if (balance === undefined) throw new Error('expected the bus to remember the group of a removed route');
  return balance;
}

const withoutMain = (text: string): string =>
  text.slice(0, text.indexOf('  - id: main')) + text.slice(text.indexOf('  - id: other'));

async function removeAndBringBack(stage: Stage): Promise<Toll> {
  const turnedAway = new Set<string>();
  const wrong: string[] = [];
  stage.main.answer = (id) => {
    if (Number(id.slice(1)) % 20 !== 0 || turnedAway.has(id)) return undefined;
    turnedAway.add(id);
    return { status: 503 };
  };
  const depths: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    await sleep(700);
    await stage.write(withoutMain(stage.text));
    const { stopped } = (await reloadNow(stage)).changes;
    if (!stopped.includes('chaos.main')) wrong.push(`expected chaos.main to be stopped, got ${stopped.join()}`);
    await quiet(stage.main);
    const before = { requests: stage.main.requests, ...(await balanceOfMain(stage)) };
    await sleep(700);
    const after = { requests: stage.main.requests, ...(await balanceOfMain(stage)) };
    if (after.requests !== before.requests) wrong.push('a removed route went on');
    const held = ({ waiting, pending, retrying, due }: typeof after) => waiting + pending + retrying + due;
    const [had, came] = [held(before), after.accepted - before.accepted];
    if (held(after) !== had + came) wrong.push(`its depth went from ${had} to ${held(after)} while ${came} came`);
    depths.push(held(after));
    await stage.write(stage.text);
    await reloadNow(stage);
  }
  return { ...exact, notes: [`brought back with ${depths.join(', ')} deliveries waiting`], wrong };
}

const added = (url: string, n: number): string => `
apiVersion: eventflow/v1
kind: Pipeline
name: added
routes:
  - id: n${n}
    on: [chaos.event]
    handler: webhook
    startFrom: new
    with: { url: "${url}/n${n}" }
`;

/** Entry ids in the order of the stream, with the events' own; and where each added route was activated. */
async function whatHappened(stage: Stage, count: number) {
  const keys = new Keys('ef');
  return await withClient(stage, async (client) => {
    const entries = await client.xrange(keys.stream('chaos.event').events, '-', '+');
    const starts: string[] = [];
    for (let n = 0; n < count; n += 1) {
      starts.push((await client.hget(keys.route('chaos.event', `added.n${n}`).totals, 'start')) ?? 'nowhere');
    }
    return { entries: entries.map(([entry, fields]) => ({ entry: sortable(entry), id: idOf(fields) })), starts };
  });
}

const idOf = (fields: readonly string[]): string => {
  const body = fields.find((field) => field.startsWith('{')) ?? '{}';
  return (JSON.parse(body) as { id: string }).id;
};

/** What a route that was activated at `start` got: the first event after it, and then each, until the route went. */
function gapOf(entries: readonly { entry: string; id: string }[], start: string, got: ReadonlySet<string>): string[] {
  const after = sortable(start);
  const from = entries.findIndex(({ entry }) => entry > after);
  const expected = entries.slice(from, from + got.size).filter(({ id }) => !got.has(id));
  return expected.map(({ id }) => id);
}

/** Entry ids as texts that sort as the ids do. */
const sortable = (entryId: string): string => {
  const [ms = '', sequence = ''] = entryId.split('-');
  return `${ms.padStart(16, '0')}-${sequence.padStart(20, '0')}`;
};

/** Publishes more when everything has been sent. */
function goOn({ publisher }: Stage): true {
  if (publisher.due.size >= publisher.asked) void publisher.publish(2_000, 400);
  return true;
}

/** What has been settled by every group is trimmed: one that never reads keeps the stream as it is. */
const keepAll = (stage: Stage): Promise<unknown> =>
  withClient(stage, (client) =>
    client.xgroup('CREATE', new Keys('ef').stream('chaos.event').events, 'keeper', '0', 'MKSTREAM'),
  );

async function addRoutes(stage: Stage, count: number): Promise<Toll> {
  await keepAll(stage);
  const service = new Service();
  const got = Array.from({ length: count }, () => new Set<string>());
  service.answer = (id, _headers, path) => {
    got[Number(path.slice(2))]?.add(id);
    return undefined;
  };
  const url = await service.start();
  const file = join(stage.folder, 'added.yaml');
  const began = Date.now();
  let perSecond = 0;
  try {
    for (let n = 0; n < count; n += 1) {
      await writeFile(file, added(url, n));
      await reloadNow(stage);
      await eventually(
        'the added route to get its first events',
        () => goOn(stage) && (got[n]?.size ?? 0) >= 3,
        20_000,
      );
    }
    perSecond = Math.round(count / ((Date.now() - began) / 1_000));
    await rm(file);
    await reloadNow(stage);
    await quiet(service);
    await eventually('all to be published', () => stage.publisher.done, 60_000);
  } finally {
    service.stop();
  }
  const { entries, starts } = await whatHappened(stage, count);
  const gaps = starts.map((start, n) => gapOf(entries, start, got[n] ?? new Set()));
  const failing = gaps.filter((gap) => gap.length > 0).length;
  const total = got.reduce((sum, { size }) => sum + size, 0);
  return {
    ...exact,
    notes: [`${count} routes added, ${perSecond}/s, with ${total} deliveries of their own`],
    wrong: unless([
      failing === 0,
      `${failing} added routes got other events than those after their activation, such as without ${gaps.find((gap) => gap.length > 0)?.[0]}`,
    ]),
  };
}

export const reload: readonly Fault[] = [
  {
    id: 'T37',
    what: 'hot reloads, one after another',
    tier: 'quick',
    stage: { env: tidy },
    load: { events: 75_000, perSecond: 300 },
    patience: 600_000,
    inject: (stage) => manyReloads(stage, stage.full ? 10_000 : 150, 40),
  },
  {
    id: 'T37e',
    what: 'hot reloads, one after another',
    tier: 'full',
    stage: { env: tidy, embedded: true },
    load: { events: 20_000, perSecond: 300 },
    inject: (stage) => manyReloads(stage, stage.full ? 1_000 : 150, 20),
  },
  {
    id: 'T38',
    what: 'broken reloads between good ones',
    tier: 'quick',
    shares: true,
    inject: (stage, _random, scale) => badReloads(stage, scale),
  },
  {
    id: 'T42',
    what: 'route removed and brought back',
    tier: 'quick',
    shares: true,
    quickLoad: { events: 3_000, perSecond: 300 },
    stage: { route: 'circuitBreaker: false\n    retry: { initialInterval: 2s, jitter: none }' },
    inject: removeAndBringBack,
  },
  {
    id: 'T43',
    what: 'routes added with startFrom: new',
    tier: 'quick',
    shares: true,
    load: { events: 30_000, perSecond: 400 },
    patience: 600_000,
    inject: (stage) => addRoutes(stage, stage.full ? 1_000 : 30),
  },
];
