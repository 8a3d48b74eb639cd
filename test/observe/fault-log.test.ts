/** A bus that is away for hours says so in a few lines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BusFault } from '../../engine/bus/bus.ts';
import { FaultLog } from '../../engine/bus/fault-log.ts';

function capture(): { log: FaultLog; told: BusFault[]; pass: (ms: number) => void } {
  const told: BusFault[] = [];
  let now = 0;
  const log = new FaultLog(
    (fault) => told.push(fault),
    () => now,
  );
  return { log, told, pass: (ms) => (now += ms) };
}

test('a fault that goes on for three minutes is told three times and once when it is over', () => {
  const { log, told, pass } = capture();
  for (let second = 0; second < 180; second += 1) {
    log.report('connection', 'connection', 'connect ECONNREFUSED 127.0.0.1:6379');
    pass(1_000);
  }
  log.clear('connection');
  assert.deepEqual(told, [
    { kind: 'connection', message: 'connect ECONNREFUSED 127.0.0.1:6379' },
    { kind: 'connection', message: 'connect ECONNREFUSED 127.0.0.1:6379 (61 times in 60 s)' },
    { kind: 'connection', message: 'connect ECONNREFUSED 127.0.0.1:6379 (121 times in 120 s)' },
    {
      kind: 'connection',
      message: 'connect ECONNREFUSED 127.0.0.1:6379',
      over: { seconds: 179, times: 180 },
    },
  ]);
  log.close();
});

test('one fault of many connections is one line, and over when the last of them works', () => {
  const { log, told } = capture();
  for (let route = 0; route < 50; route += 1) log.report(`read p.r${route}`, 'readonly', `p.r${route}: READONLY`);
  for (let route = 0; route < 49; route += 1) log.clear(`read p.r${route}`);
  assert.equal(told.length, 1);
  log.clear('read p.r49');
  assert.deepEqual(told[1]?.over, { seconds: 0, times: 50 });
  log.close();
});

test('what nobody has met for a while is over by itself, and is news when it comes again', () => {
  const { log, told, pass } = capture();
  log.report('write', 'oom', 'OOM');
  pass(14_000);
  log.look();
  assert.equal(told.length, 1);
  pass(1_000);
  log.look();
  log.report('write', 'oom', 'OOM');
  assert.deepEqual(
    told.map(({ kind, over }) => [kind, over?.times]),
    [
      ['oom', undefined],
      ['oom', 1],
      ['oom', undefined],
    ],
  );
  log.close();
});

test('lost groups are told one by one, and unknown faults by what they say, whatever numbers are in them', () => {
  const { log, told } = capture();
  log.report('read a', 'nogroup', 'a: NOGROUP');
  log.report('read b', 'nogroup', 'b: NOGROUP');
  log.report('x', 'other', 'ERR wrong 1');
  log.report('x', 'other', 'ERR wrong 2');
  log.report('x', 'other', 'ERR another');
  assert.deepEqual(
    told.map(({ message }) => message),
    ['a: NOGROUP', 'b: NOGROUP', 'ERR wrong 1', 'ERR another'],
  );
  log.close();
});

test('a closed log tells nothing more', () => {
  const { log, told } = capture();
  log.report('write', 'oom', 'OOM');
  log.close();
  log.clear('write');
  log.look();
  assert.equal(told.length, 1);
});
