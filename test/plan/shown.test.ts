/** Plans as people read them: whatever stands in a file, it steers neither a terminal nor a pull request. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planMarkdown, planText } from '../../engine/cli/plan-text.ts';
import type { Generation, OrderingRule, Route } from '../../engine/core/route.ts';
import { type Live, type Plan, planReload } from '../../engine/operations/index.ts';
import type { PlanInput } from '../../engine/operations/plan-reload.ts';
import { breakerPolicy, retryPolicy, routeOf } from '../support/policies.ts';

const generation = (routes: readonly Route[], description?: string): Generation => ({
  hash: routes.map(({ hash }) => hash).join(),
  pipelines: [{ name: 'orders', description, labels: {}, file: 'orders.yaml', routes }],
  routes: new Map(routes.map((route) => [route.group, route])),
  eventTypes: new Map(),
});

const planOf = (before: Generation, after: Generation, live?: Live, more: Partial<PlanInput> = {}): Plan =>
  planReload({
    before,
    after,
    from: { kind: 'files', name: 'a' },
    to: { kind: 'files', name: 'b' },
    live,
    settings: [],
    removedGrace: 300_000,
    mask: (_, value) => value,
    ...more,
  });

test('a plan on a terminal says each thing in one line', () => {
  const before = routeOf({ retry: retryPolicy({ maxAttempts: 8 }), breaker: breakerPolicy() });
  const after = routeOf({ retry: retryPolicy({ maxAttempts: 5 }), breaker: breakerPolicy(), hash: 'h2' });
  const stats = {
    ...{ lag: [{ stream: 's', entries: 40, known: true }], pending: 3, pendingOldestMs: 0, retrying: 12, postponed: 0 },
    ...{ retryOverdueMs: 0, due: 0, dead: 1, deadOldestAt: undefined },
    totals: {
      ...{ accepted: 0, delivered: 0, skipped: 0, unmatched: 0, dead: 0, redriven: 0, discarded: 0, dropped: 0 },
      retries: 0,
    },
  };
  const status = {
    ...{
      group: 'orders.receipt',
      storage: 'orders.old',
      former: ['orders.old'],
      engines: [],
      disabled: false,
      removedAt: undefined,
    },
    ...{ patterns: [], streams: [], activatedAt: 0, stats },
  };
  const circuit = {
    ...{ key: 'route:orders.old', state: 'open' as const, why: 'x', since: 0, nextProbeAt: 0, failures: 5 },
  };
  const plan = planOf(generation([before]), generation([after]), { routes: [status], circuits: [circuit] });
  assert.deepEqual(
    planText(plan)
      .split('\n')
      .filter((line) => line !== ''),
    [
      'a → b',
      '~ orders.receipt  orders.yaml:1',
      '    retry.maxAttempts  8 → 5',
      '    group kept, handler replaced, breaker kept (open)',
      '    now: 40 waiting (held), 3 pending, 12 retrying, 1 dead',
      '    · what runs ends on the old handler; what does not end in time is handed back and runs again on the new one',
      '    · 40 waiting, 12 retrying go on under the new settings; attempts and times are kept',
      '    · what has made 5 attempts or more ends as a dead letter (exhausted) when it fails again',
      '    · what is in the retry set keeps its time; the new policy decides from its next failure on',
      '    · its circuit stays open, and what it holds (40 waiting) stays held',
      'routes: 1 changed, 0 unchanged',
    ],
  );
});

const effectsBetween = (before: Partial<Route>, after: Partial<Route>): readonly string[] => {
  const [route] = planOf(generation([routeOf(before)]), generation([routeOf({ hash: 'h2', ...after })])).routes;
  return (route?.effects ?? []).slice(1);
};
const by = (source: string): { readonly ordering: OrderingRule } => ({ ordering: { source, key: () => '' } });

test('what ordering does is said once, and of a key only where there is one', () => {
  const put = 'what waits or retries is put in line by the new key before anything new is read';
  assert.deepEqual(effectsBetween(by('event.subject'), {}), [
    'what stood in line runs in no order, some of it up to 5m later',
  ]);
  assert.deepEqual(effectsBetween(by('event.subject'), by('event.source')), [put]);
  assert.deepEqual(effectsBetween({}, by('event.source')), [`one engine at a time reads the route; ${put}`]);
});

test('how long a route may be away is what the settings say', () => {
  const plan = planOf(generation([routeOf()]), generation([]), undefined, { removedGrace: 90_000 });
  assert.match(planText(plan), /end as dead letters \(route_removed\) once no engine has had the route for 90s$/m);
});

test('a long value is cut around what changes in it', () => {
  const long = (tail: string): Partial<Route> => ({ options: { to: `${'x'.repeat(300)}${tail}` } });
  const shown = (before: string, after: string): readonly (readonly string[])[] => {
    const plan = planOf(generation([routeOf(long(before))]), generation([routeOf({ hash: 'h2', ...long(after) })]));
    const text = /^ {4}with\.to {2}(.*) → (.*)$/m.exec(planText(plan));
    const markdown = /^\| `with\.to` \| `(.*)` \| `(.*)` \|$/m.exec(planMarkdown(plan));
    return [text?.slice(1) ?? [], markdown?.slice(1) ?? []];
  };
  const [text = [], markdown = []] = shown(`/v1/${'y'.repeat(300)}`, `/v2/${'y'.repeat(300)}`);
  for (const [old = '', now = ''] of [text, markdown]) {
    assert.match(old, /^…x+\/v1\/y+…$/);
    assert.match(now, /^…x+\/v2\/y+…$/);
  }
  assert.deepEqual(
    [...text, ...markdown].map(({ length }) => length),
    [60, 60, 200, 200],
  );
  assert.deepEqual(shown('', ' and more')[0], [`…${'x'.repeat(29)}"`, `…${'x'.repeat(29)} and more"`]);
});

const hostile = 'x | y ``` <img src=x onerror=alert(1)> \u001b[2J [a](b) @team #1 \r\n# head';

const steered = (): Plan =>
  planOf(
    generation([routeOf({ options: { to: 'plain' } })], 'before'),
    generation([routeOf({ options: { to: hostile, [hostile]: '`' }, hash: 'h2' })], hostile),
  );

test('what stands in a file cannot steer the terminal', () => {
  assert.doesNotMatch(planText(steered()), /(?!\n)[\p{Cc}\u2028\u2029]/u);
});

/** The inside of code spans taken out, as Markdown reads them: a span ends at as many ticks as began it. */
const outsideOfCode = (line: string): string => line.replace(/(?<!`)(`+)(?!`)([\s\S]*?[^`])\1(?!`)/g, '');

test('diagnostics of what was there before stay in their block', () => {
  const fromProblems = ['a.yaml:1:1: error\n 1 | ```\n   | ^ @team', '\u001b[2J'];
  const plan = planOf(generation([]), generation([routeOf()]), undefined, { fromProblems });
  assert.doesNotMatch(planText(plan), /(?!\n)[\p{Cc}\u2028\u2029]/u);
  const [, inside, outside = ''] = /\n````text\n([\s\S]*?)\n````\n([\s\S]*)$/.exec(planMarkdown(plan)) ?? [];
  assert.equal(inside, 'a.yaml:1:1: error\n 1 | ```\n   | ^ @team\n\n');
  assert.match(outside, /^\n#### ➕ `orders\.receipt` added\n/);
});

test('what stands in a file means nothing in Markdown', () => {
  for (const line of planMarkdown(steered()).split('\n')) {
    const rest = outsideOfCode(line);
    assert.doesNotMatch(rest, /<img|onerror|\[a\]|@team|`/, line);
    if (line.startsWith('|')) assert.equal(line.replaceAll('\\|', '').match(/\|/g)?.length, 4, line);
  }
});
