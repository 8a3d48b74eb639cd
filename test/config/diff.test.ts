import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diffGenerations } from '../../engine/core/diff.ts';
import type { Generation, Route } from '../../engine/core/route.ts';
import { breakerPolicy, retryPolicy, routeOf } from '../support/policies.ts';

const generation = (...routes: [group: string, hash: string, enabled?: boolean][]): Generation => ({
  hash: '',
  pipelines: [],
  eventTypes: new Map(),
  routes: new Map(routes.map(([group, hash, enabled = true]) => [group, { group, hash, enabled } as Route])),
});

const names = ({ start, keep, change, stop }: ReturnType<typeof diffGenerations>): Record<string, string[]> => ({
  start: start.map(({ group }) => group),
  keep: keep.map(({ group }) => group),
  change: change.map(({ before, after }) => `${after.group} ${before.hash} ${after.hash}`),
  stop: stop.map(({ group }) => group),
});

test('the first generation starts every enabled route', () => {
  const after = generation(['a.x', '1'], ['a.y', '1', false]);
  assert.deepEqual(names(diffGenerations(undefined, after)), { start: ['a.x'], keep: [], change: [], stop: [] });
});

test('routes are started, kept, changed and stopped by group and hash', () => {
  const before = generation(['a.same', '1'], ['a.other', '1'], ['a.gone', '1']);
  const after = generation(['a.new', '1'], ['a.same', '1'], ['a.other', '2']);
  assert.deepEqual(names(diffGenerations(before, after)), {
    start: ['a.new'],
    keep: ['a.same'],
    change: ['a.other 1 2'],
    stop: ['a.gone'],
  });
});

test('disabling stops and enabling starts', () => {
  const on = generation(['a.x', '1']);
  const off = generation(['a.x', '1', false]);
  assert.deepEqual(names(diffGenerations(on, off)).stop, ['a.x']);
  assert.deepEqual(names(diffGenerations(off, on)).start, ['a.x']);
  assert.deepEqual(names(diffGenerations(off, off)), { start: [], keep: [], change: [], stop: [] });
});

test('a kept route is the new one, since its place in the file may have moved', () => {
  const after = generation(['a.x', '1']);
  assert.equal(diffGenerations(generation(['a.x', '1']), after).keep[0], after.routes.get('a.x'));
});

const loaded = (...routes: Partial<Route>[]): Generation => {
  const made = routes.map((given) => routeOf({ hash: JSON.stringify(given), ...given }));
  return { hash: '', pipelines: [], eventTypes: new Map(), routes: new Map(made.map((route) => [route.group, route])) };
};

const fieldsOf = (before: Partial<Route>, after: Partial<Route>): unknown =>
  diffGenerations(loaded(before), loaded(after)).change[0]?.fields;

test('a changed route lists its fields as the language names them, durations as people write them', () => {
  const before = { timeout: 15_000, retry: retryPolicy({ maxAttempts: 5 }), options: { url: 'a', same: 1 } };
  const after = { timeout: 90_000, retry: retryPolicy({ maxAttempts: 8 }), options: { url: 'b', same: 1, more: [1] } };
  assert.deepEqual(fieldsOf(before, after), [
    { path: 'retry.maxAttempts', before: 5, after: 8 },
    { path: 'timeout', before: '15s', after: '90s' },
    { path: 'with.more', before: undefined, after: [1] },
    { path: 'with.url', before: 'a', after: 'b' },
  ]);
});

test('a breaker that comes or goes is shown whole, and one that counts otherwise in the words of the file', () => {
  const ratio = breakerPolicy({ rule: { kind: 'ratio', ratio: 0.5, minimumCalls: 20, window: 60_000 } });
  assert.deepEqual(fieldsOf({ breaker: breakerPolicy() }, { breaker: ratio }), [
    { path: 'circuitBreaker.consecutiveFailures', before: 5, after: undefined },
    { path: 'circuitBreaker.failureRatio', before: undefined, after: 0.5 },
    { path: 'circuitBreaker.minimumCalls', before: undefined, after: 20 },
    { path: 'circuitBreaker.window', before: undefined, after: '1m' },
  ]);
  const [gone] = fieldsOf({ breaker: ratio }, {}) as { path: string; before: { window: string }; after: unknown }[];
  assert.deepEqual([gone?.path, gone?.before.window, gone?.after], ['circuitBreaker', '1m', false]);
});

test('secrets are told to have changed, and not shown, wherever they stand', () => {
  const secretOptions = ['token', 'headers/authorization'];
  const before = { options: { token: 'old-1', headers: { authorization: 'old-2', accept: 'x' } }, secretOptions };
  const after = { options: { token: 'new-1', headers: 'new-2' }, secretOptions };
  const fields = fieldsOf(before, after);
  assert.deepEqual(fields, [
    { path: 'with.headers', before: '[secret]', after: '[secret]' },
    { path: 'with.token', before: '[secret]', after: '[secret]' },
  ]);
});

test('a file that an option names and that has other content is listed', () => {
  const was = { contents: { template: 'a'.repeat(64) } };
  assert.deepEqual(fieldsOf(was, { contents: { template: 'b'.repeat(64) } }), [
    { path: 'content of template', before: 'a'.repeat(12), after: 'b'.repeat(12) },
  ]);
});

test('a renamed route is neither started nor stopped, also when its old name comes back', () => {
  const old = loaded({ id: 'old' }, { id: 'other' });
  const renamed = loaded({ id: 'new', previousGroup: 'orders.old', timeout: 1_000 }, { id: 'other' });
  const there = diffGenerations(old, renamed);
  assert.deepEqual([there.start, there.stop, there.change], [[], [], []]);
  assert.deepEqual(
    there.rename.map(({ before, after, fields }) => [before.group, after.group, fields]),
    [['orders.old', 'orders.new', [{ path: 'timeout', before: '15s', after: '1s' }]]],
  );
  const back = diffGenerations(renamed, old);
  assert.deepEqual([back.start, back.stop, back.rename.map(({ after }) => after.group)], [[], [], ['orders.old']]);
});

test('a name that is still in use was not given up: its route is no rename', () => {
  const old = loaded({ id: 'old' });
  const both = loaded({ id: 'old' }, { id: 'new', previousGroup: 'orders.old' });
  const { start, rename } = diffGenerations(old, both);
  assert.deepEqual([start.map(({ id }) => id), rename], [['new'], []]);
});
