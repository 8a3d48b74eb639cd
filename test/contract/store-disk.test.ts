/** The embedded bus on a disk that loses power or is full. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import type { GroupStats } from '../../engine/bus/bus.ts';
import { openSqliteBus } from '../../engine/bus/sqlite/bus.ts';
import { fillDisk, freeDisk, type SmallDisk, smallDisk, withShim } from '../chaos/places.ts';
import { temporaryFolder } from '../support/children.ts';
import { startInside } from '../support/engine-inside.ts';
import { eventually } from '../support/eventually.ts';
import { residue } from './exam/room.ts';

const fixture = join(import.meta.dirname, 'fixtures', 'embedded-engine.ts');

/** Publishes for a moment, ends like a machine that loses power, and tells what was acknowledged and what is left. */
async function cutPowerUnder(mode: 'fsync' | 'none'): Promise<{ acknowledged: number; left: number; residue: number }> {
  const folder = await temporaryFolder('eventflow-power-');
  const shim = await withShim('power-cut', { POWER_CUT_SUFFIX: '-wal' });
  const file = join(folder.path, 'bus.db');
  try {
    const child = spawn(process.execPath, ['--conditions=eventflow-source', fixture, `sqlite:${file}`, mode], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...shim.redis?.env },
    });
    let highest = 0;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { fact, id } = JSON.parse(line) as { fact: string; id: string };
      if (fact === 'accepted') highest = Math.max(highest, Number(id));
    });
    await eventually('some are acknowledged', () => highest >= 200, 30_000);
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
    const synced = await readFile(`${file}-wal.synced`, 'utf8').catch(() => '0');
    await truncate(`${file}-wal`, Number(synced));
    const bus = await openSqliteBus(`sqlite:${file}`);
    const stats = await bus.groupStats('p.r');
    await bus.close();
    return {
      acknowledged: highest,
      left: stats?.totals.accepted ?? 0,
      residue: stats === undefined ? 0 : residue(stats),
    };
  } finally {
    await shim.end();
    await folder.remove();
  }
}

test('durability fsync: a power cut loses no event that was acknowledged', { timeout: 120_000 }, async () => {
  const { acknowledged, left, residue: missing } = await cutPowerUnder('fsync');
  assert.ok(left >= acknowledged, `${left} of ${acknowledged} are left`);
  assert.equal(missing, 0);
});

test('durability none: a power cut loses what was acknowledged lately, which is why it is told as best effort', {
  timeout: 120_000,
}, async () => {
  const { acknowledged, left, residue: missing } = await cutPowerUnder('none');
  assert.ok(left < acknowledged, `${left} of ${acknowledged} are left`);
  assert.equal(missing, 0);
});

/** A tmpfs, or, for a user who may not mount one, the file's own limit of pages: SQLite says the same of both. */
const asRoot = process.getuid?.() === 0;

test('a full disk refuses new events as store_full, keeps what is settled, and recovers by itself', {
  timeout: 120_000,
}, async (t) => {
  if (!asRoot) t.diagnostic('not root, so no disk can be filled: the limit of pages in commits.test.ts stands for it');
  const disk = asRoot ? await smallDisk(16) : undefined;
  const folder = await temporaryFolder('eventflow-full-');
  const place = disk?.folder ?? folder.path;
  const inside = await startInside({
    bus: `sqlite:${join(place, 'bus.db')}`,
    routes: '  - { id: all, on: [order.paid], handler: noop, startFrom: beginning }\n',
  });
  try {
    if (disk === undefined) return assert.equal((await inside.post({ type: 'order.paid', data: {} })).status, 202);
    await onFullDisk(disk, inside);
  } finally {
    await inside.stop();
    await disk?.end();
    await folder.remove();
  }
});

async function onFullDisk(disk: SmallDisk, inside: Awaited<ReturnType<typeof startInside>>): Promise<void> {
  const accepted: string[] = [];
  const publish = async (n: number, size = 50_000): Promise<Response> => {
    const answer = await inside.post({ type: 'order.paid', id: `e-${n}`, source: '/test', data: 'x'.repeat(size) });
    if (answer.status === 202) accepted.push(`e-${n}`);
    return answer;
  };
  assert.equal((await publish(0)).status, 202);
  await fillDisk(disk);
  let n = 1;
  const refused = await eventually('an event is refused', async () => {
    const answer = await publish(n);
    n += 1;
    return answer.status === 503 && answer;
  });
  assert.equal(refused.headers.get('retry-after'), '10');
  assert.equal(((await refused.json()) as { code: string }).code, 'store_full');
  assert.ok(
    inside.lines.some(({ kind }) => kind === 'disk'),
    'the log names it',
  );
  for (let more = 0; more < 30; more += 1) assert.equal((await publish(n + more)).status, 503);
  const lines = inside.lines.filter(({ kind }) => kind === 'disk').length;
  assert.ok(lines <= 3, `${lines} lines for one full disk`);
  await freeDisk(disk);
  await eventually('events are taken again', async () => (await publish(1_000)).status === 202, 30_000);
  const stats = await eventually(
    'all of them are delivered',
    async () => {
      const now = (await inside.engine.bus.groupStats('test.all')) as GroupStats;
      return now.totals.delivered === accepted.length && now;
    },
    30_000,
  );
  assert.deepEqual([stats.totals.accepted, residue(stats)], [accepted.length, 0]);
}
