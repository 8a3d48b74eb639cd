import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diffGenerations } from '../../engine/core/diff.ts';
import type { Generation, Route } from '../../engine/core/route.ts';

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
