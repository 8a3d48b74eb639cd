import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog, type LogLevel } from '../../engine/observe/logs.ts';
import type { Signal } from '../../engine/observe/signals.ts';
import { attempt, deadLettered, route, turned, unavailable } from './world.ts';

interface Captured {
  readonly raw: string[];
  readonly lines: () => Record<string, unknown>[];
  readonly tell: (...signals: Signal[]) => void;
  readonly engine: ReturnType<typeof createLog>;
}

function capture(level: LogLevel = 'info', secrets: readonly string[] = []): Captured {
  const raw: string[] = [];
  const engine = createLog({ level, secrets: () => secrets, destination: { write: (line) => raw.push(line) } });
  return {
    raw,
    engine,
    lines: () => raw.map((line) => JSON.parse(line) as Record<string, unknown>),
    tell: (...signals) => {
      for (const signal of signals) engine.observer(signal);
    },
  };
}

const receipt = route('orders.receipt');
const changes = { started: ['orders.receipt'], changed: [], renamed: [], stopped: [] };
const reloaded = { kind: 'reloaded', generation: 2, hash: 'c0ffee', problems: [], changes } as const;

// ── which lines there are ────────────────────────────────────────────────────────────────────────────────────────

test('a dead letter is one line that says which, where and why', () => {
  const { tell, lines } = capture();
  tell(deadLettered(receipt));
  const [line] = lines();
  assert.equal(lines().length, 1);
  const { time, ...rest } = line ?? {};
  assert.match(String(time), /^\d{4}-\d\d-\d\dT/);
  assert.deepEqual(rest, {
    level: 'warn',
    route: 'orders.receipt',
    handler: 'webhook',
    'event.id': 'e-1',
    'event.type': 'order.paid',
    reason: 'exhausted',
    attempt: 5,
    code: 'http_503',
    status: 503,
    error: 'expected 2xx, got 503',
    msg: 'dead-lettered as exhausted after 5 attempts',
  });
});

test('data that does not fit its schema is one line for each way in which it does not', () => {
  const { tell, lines } = capture();
  const warned = (eventId: string, fault: string) =>
    ({ kind: 'data_warning', eventType: 'order.paid', eventId, faults: [fault] }) as const;
  tell(warned('e-1', '/total: expected number, got string'), warned('e-2', '/total: expected number, got string'));
  tell(warned('e-3', '/: expected the field id, got nothing'));
  assert.deepEqual(
    lines().map((line) => [line['level'], line['event.id'], line['msg']]),
    [
      ['warn', 'e-1', 'the data of order.paid does not fit its schema: /total: expected number, got string'],
      ['warn', 'e-3', 'the data of order.paid does not fit its schema: /: expected the field id, got nothing'],
    ],
  );
});

test('each change of a circuit is one line, and an opening says why and until when', () => {
  const { tell, lines } = capture();
  tell(turned(receipt, 'closed', 'open'), turned(receipt, 'open', 'half_open'), turned(receipt, 'half_open', 'closed'));
  assert.deepEqual(
    lines().map(({ level, msg, until }) => [level, msg, until]),
    [
      ['warn', 'circuit open: http_503', '2023-11-14T22:14:20.000Z'],
      ['info', 'circuit half open: probing', undefined],
      ['info', 'circuit closed', undefined],
    ],
  );
});

test('a reload tells what changed; a refused one tells every problem', () => {
  const { tell, lines } = capture();
  const problems = ['pipelines/orders.yaml:9:17: error EF2003 …', 'pipelines/orders.yaml:12:3: error EF2001 …'];
  tell({ ...reloaded, result: 'changed' }, { ...reloaded, result: 'rejected', problems });
  assert.deepEqual(lines()[0]?.['started'], ['orders.receipt']);
  assert.deepEqual([lines()[0]?.['level'], lines()[0]?.['msg']], ['info', 'generation 2 runs']);
  assert.deepEqual([lines()[1]?.['level'], lines()[1]?.['problems']], ['error', problems]);
});

test('single deliveries are told at debug only', () => {
  const perDelivery: Signal[] = [
    attempt(receipt),
    attempt(receipt, { outcome: 'failed', fault: unavailable }),
    { kind: 'retry_scheduled', route: receipt, eventId: 'e', attempt: 1, delayMs: 5, fault: unavailable },
    { kind: 'published', eventType: 'order.paid', source: '/shop', count: 1 },
    { kind: 'duplicate_suppressed', eventType: 'order.paid' },
    { kind: 'unmatched', route: receipt, count: 1 },
    { kind: 'fenced', route: receipt, count: 1 },
    { kind: 'route_started', route: receipt },
    { kind: 'route_stopped', route: receipt },
  ];
  const quiet = capture('info');
  quiet.tell(...perDelivery);
  assert.deepEqual(quiet.raw, []);
  const loud = capture('debug');
  loud.tell(...perDelivery);
  assert.equal(loud.raw.length, perDelivery.length);
  assert.deepEqual(
    [loud.lines()[1]?.['outcome'], loud.lines()[1]?.['code'], loud.lines()[1]?.['event.id']],
    ['failed', 'http_503', 'e-1'],
  );
});

test("no line carries a route's options, where secrets are in clear", () => {
  const secretive = route('orders.receipt', { options: { url: 'https://x.example', hmac: 'in-the-clear' } });
  const { tell, raw } = capture('debug');
  tell(attempt(secretive), deadLettered(secretive), turned(secretive, 'closed', 'open'));
  tell({ kind: 'dlq_full', route: secretive, full: true }, { kind: 'route_started', route: secretive });
  tell({ kind: 'lost', route: secretive, ids: ['1-0'] }, { kind: 'misbehaved', route: secretive, what: 'late throw' });
  assert.equal(raw.length, 7);
  assert.doesNotMatch(raw.join(''), /in-the-clear/);
});

// ── repeats ──────────────────────────────────────────────────────────────────────────────────────────────────────

const down = (error: string): Signal => ({ kind: 'bus_up', up: false, label: 'redis://h', error });
const up: Signal = { kind: 'bus_up', up: true, label: 'redis://h', error: undefined };

test('an error that repeats is told once until it changes, and the change tells how often it was', () => {
  const { tell, lines } = capture();
  tell(down('ECONNREFUSED 127.0.0.1:6379'), down('ECONNREFUSED 127.0.0.1:6380'), down('ECONNREFUSED 127.0.0.1:6381'));
  tell(down('LOADING'));
  assert.deepEqual(
    lines().map(({ msg, repeatedBefore }) => [msg, repeatedBefore]),
    [
      ['bus is down: ECONNREFUSED 127.0.0.1:6379', undefined],
      ['bus is down: LOADING', 2],
    ],
  );
});

test('faults of the bus that alternate are told once each, and the end of one with how long and how often', () => {
  const { tell, lines } = capture();
  const fault = (message: string): Signal => ({ kind: 'bus_error', errorKind: 'worker', message });
  for (let n = 0; n < 50; n += 1) tell(fault(`no link within ${n} ms`), fault('max retries'));
  tell({ kind: 'bus_recovered', errorKind: 'worker', message: 'no link within 1 ms', seconds: 7, times: 100 });
  tell(fault('max retries'));
  assert.deepEqual(
    lines().map(({ level, msg }) => [level, msg]),
    [
      ['error', 'no link within 0 ms'],
      ['error', 'max retries'],
      ['info', 'over, after 7 s and 100 times: no link within 1 ms'],
      ['error', 'max retries'],
    ],
  );
});

test('a fault of the bus with ever new words does not fill the log', () => {
  const { tell, raw } = capture();
  const word = (n: number): string => String.fromCharCode(...Array.from(String(n), (digit) => 97 + Number(digit)));
  for (let n = 0; n < 500; n += 1) tell({ kind: 'bus_error', errorKind: 'other', message: `fault ${word(n)}` });
  assert.ok(raw.length <= 11, `${raw.length} lines`);
});

test('new events that are refused, and a store that is unsafe, are told as errors until it is over', () => {
  const { tell, lines } = capture();
  tell({ kind: 'store_hazards', hazards: [] });
  tell({ kind: 'store_hazards', hazards: ['a', 'b'] }, { kind: 'store_hazards', hazards: [] });
  const door = { kind: 'ingest', reason: 'memory', detail: 'the store is 91 % full' } as const;
  tell({ ...door, closed: true }, { ...door, closed: false });
  assert.deepEqual(
    lines().map(({ level, msg }) => [level, msg]),
    [
      ['error', 'the store is unsafe: a; and b'],
      ['info', 'the store is safe again'],
      ['error', 'new events are refused: the store is 91 % full; deliveries go on'],
      ['info', 'new events are welcome again: the store is 91 % full'],
    ],
  );
});

test('what was well again in between is told again', () => {
  const { tell, lines } = capture();
  tell(down('ECONNREFUSED'), up, down('ECONNREFUSED'));
  assert.deepEqual(
    lines().map(({ level }) => level),
    ['error', 'info', 'error'],
  );
});

test('a file that stays broken is told once, until it breaks in another way or is mended', () => {
  const broken = (problem: string): Signal => ({ ...reloaded, result: 'rejected', problems: [problem] });
  const { tell, lines } = capture();
  tell(broken('a.yaml: x'), broken('a.yaml: x'), broken('a.yaml: y'), { ...reloaded, result: 'changed' });
  tell(broken('a.yaml: y'));
  assert.deepEqual(
    lines().map(({ level }) => level),
    ['error', 'error', 'info', 'error'],
  );
});

test('one route that misbehaves does not hide another', () => {
  const { tell, raw } = capture();
  for (const group of ['orders.receipt', 'orders.audit', 'orders.receipt']) {
    tell({ kind: 'misbehaved', route: route(group), what: 'rejected after its delivery had ended' });
  }
  assert.equal(raw.length, 2);
});

// ── secrets and signs ────────────────────────────────────────────────────────────────────────────────────────────

for (const key of ['authorization', 'Proxy-Authorization', 'password', 'smtpPassword', 'api_key', 'apiKey', 'token']) {
  test(`the value under ${key} is not written, whatever its type and however deep`, () => {
    const { engine, raw, lines } = capture();
    engine.log.info({ deep: [{ [key]: { parts: ['open sesame'] } }], [key]: 4711 }, 'x');
    assert.doesNotMatch(raw.join(''), /sesame|4711/);
    assert.deepEqual(lines()[0]?.['deep'], [{ [key]: '[secret]' }]);
  });
}

const secret = 'p"ss/wörd\n1';
const disguises: Readonly<Record<string, string>> = {
  'as it is': secret,
  'in a longer text': `login with ${secret} failed`,
  'percent-encoded': `https://x.example/?q=${encodeURIComponent(secret)}`,
  'inside JSON text': JSON.stringify({ a: secret }),
  'in base64': Buffer.from(secret).toString('base64'),
};

for (const [how, text] of Object.entries(disguises)) {
  test(`a known secret is masked ${how}, in fields, keys, messages, errors and child loggers`, () => {
    const { engine, raw } = capture('info', [secret]);
    engine.log.info({ field: text, list: [text], [text]: 1 }, text);
    engine.log.error(new Error(text, { cause: new Error(text) }));
    engine.log.child({ bound: text }).warn('%s', text);
    engine.logFor(receipt).info({ text }, text);
    engine.observer(deadLettered(receipt, { fault: { ...unavailable, message: text, body: text } }));
    assert.equal(raw.length, 5);
    for (const form of Object.values(disguises)) assert.ok(!raw.some((line) => line.includes(form)), raw.join(''));
    const strings = raw.map((line) => JSON.stringify(JSON.parse(line)));
    assert.ok(!strings.some((line) => line.includes(JSON.stringify(text).slice(1, -1))), strings.join('\n'));
  });
}

test('a secret that comes with a reload is masked from then on', () => {
  const secrets: string[] = [];
  const raw: string[] = [];
  const { log } = createLog({
    level: 'info',
    secrets: () => secrets,
    destination: { write: (line) => raw.push(line) },
  });
  secrets.push('brand-new-key');
  log.info('brand-new-key');
  assert.match(raw[0] ?? '', /"msg":"\[secret\]"/);
});

test('credentials in a URL and in a header are masked though nobody declared them', () => {
  const { engine, lines } = capture();
  engine.log.warn(
    { to: 'redis://user:hunter2@cache:6379/0?sentinelPassword=hunter2&x=1' },
    'sent Authorization: Bearer abc.def-ghi',
  );
  assert.deepEqual(
    [lines()[0]?.['to'], lines()[0]?.['msg']],
    ['redis://[secret]@cache:6379/0?sentinelPassword=[secret]&x=1', 'sent Authorization: Bearer [secret]'],
  );
});

test('a secret that looks like JSON or like a level leaves a line that is JSON', () => {
  const { engine, lines } = capture('info', ['":"', '30', 'info', 'msg', '[secret]']);
  engine.log.info({ a: '":"', n: 30 }, 'level 30 info');
  assert.equal(lines().length, 1);
});

test('one event is one line, without a sign that a terminal obeys', () => {
  const { engine, raw, lines } = capture();
  const nasty = 'a\r\nlevel=error \u001b[31mred\u001b[0m \u009b2J \u0007 \u2028 \u202egnp.exe';
  engine.log.info({ nasty }, nasty);
  assert.equal(raw.length, 1);
  const [line = ''] = raw;
  assert.ok(line.endsWith('\n'));
  assert.match(line.slice(0, -1), /^[ -~]+$/);
  assert.equal(lines()[0]?.['nasty'], nasty, 'and nothing of it is lost');
});

// ── handlers ─────────────────────────────────────────────────────────────────────────────────────────────────────

test("a handler's lines carry its route, and cannot pass for another's or for another level", () => {
  const { engine, lines } = capture();
  engine.logFor(receipt).warn({ route: 'billing.secret', level: 'fatal', msg: 'forged', order: 7 }, 'slow target');
  const { time: _time, ...line } = lines()[0] ?? {};
  assert.deepEqual(line, { level: 'warn', order: 7, route: 'orders.receipt', handler: 'webhook', msg: 'slow target' });
});

test('a handler may log an error, or nonsense, without breaking its delivery', () => {
  const { engine, lines } = capture();
  const log = engine.logFor(receipt);
  log.error(new Error('no route to host'), 'failed');
  const circle: Record<string, unknown> = { big: 10n ** 30n };
  circle['self'] = circle;
  log.info(circle, 'round');
  log.info(undefined as never, undefined as never);
  const messages = lines().map(({ err }) => (err as { message: string } | undefined)?.message);
  assert.deepEqual(messages, ['no route to host', undefined, undefined]);
});

test('a durability that is best effort is a warning with its reason, said once until it changes', () => {
  const { tell, lines } = capture();
  const weak = { kind: 'durability', mode: 'fsync', level: 'best_effort', reason: 'appendfsync is everysec' } as const;
  tell(weak, weak, { kind: 'durability', mode: 'fsync', level: 'guaranteed', reason: undefined });
  assert.deepEqual(
    lines().map(({ level, msg }) => [level, msg]),
    [
      ['warn', 'durability: best_effort. appendfsync is everysec'],
      ['info', 'durability: fsync, verified'],
    ],
  );
});
