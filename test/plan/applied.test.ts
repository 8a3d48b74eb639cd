/** Each plan is carried out: what happened must be what was planned. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Plan, RoutePlan } from '../../engine/operations/index.ts';
import { eventually } from '../support/eventually.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { fill, pipeline, routes, type Stage, startStage } from './stage.ts';

type Lines = Record<string, string | undefined>;

/** The routes of the stage with some of them otherwise; undefined: gone. */
const edited = (lines: Lines, head = ''): string =>
  pipeline(
    Object.values({ ...routes, ...lines }).filter((line) => line !== undefined),
    head,
  );

const swap = (id: string, from: string | RegExp, to: string): Lines => {
  const line = (routes[id] ?? '').replace(from, to);
  assert.notEqual(line, routes[id], `${String(from)} is in ${id}`);
  return { [id]: line };
};

interface Edit {
  readonly name: string;
  /** Reloaded before it is planned. */
  readonly first?: string;
  /** And then this. */
  readonly second?: string;
  readonly text: string;
  /** `group: action handler consumerGroup breaker`. */
  readonly expected: readonly string[];
}

const renamed = swap('fails', 'id: fails', 'id: failing, previousId: fails')['fails'];

const edits: readonly Edit[] = [
  { name: 'a comment', text: `# a comment\n${pipeline()}`, expected: [] },
  { name: 'the order of the routes', text: pipeline(Object.values(routes).toReversed()), expected: [] },
  { name: 'a description', text: edited({}, 'description: words\n'), expected: [] },
  { name: 'labels', text: edited({}, 'labels: { team: core }\n'), expected: [] },
  {
    name: 'an event type that is declared',
    text: edited({}, 'eventTypes: { live.event: {}, other.event: {} }\n'),
    expected: [],
  },
  {
    name: 'another onInvalid',
    first: edited({}, 'eventTypes: { live.event: {}, other.event: {} }\n'),
    text: edited({}, 'eventTypes: { live.event: { onInvalid: warn }, other.event: {} }\n'),
    expected: [],
  },
  {
    name: 'event types that are declared no more',
    first: edited({}, 'eventTypes: { live.event: {}, other.event: {} }\n'),
    text: pipeline(),
    expected: [],
  },
  {
    name: 'an option',
    text: edited(swap('fails', '/fails"', '/fails?v=2"')),
    expected: ['live.fails: change replace keep keep'],
  },
  {
    name: 'the retry policy',
    text: edited(swap('fails', 'initialInterval: 1h', 'initialInterval: 30m')),
    expected: ['live.fails: change replace keep keep'],
  },
  {
    name: 'another pattern',
    text: edited(swap('counted', '[other.event]', '[other.event, more.event]')),
    expected: ['live.counted: change replace keep keep'],
  },
  {
    name: 'another handler',
    text: edited(swap('quick', 'handler: noop', 'handler: log')),
    expected: ['live.quick: change replace keep keep'],
  },
  {
    name: 'the thresholds of an open breaker',
    text: edited(swap('held', 'consecutiveFailures: 1,', 'consecutiveFailures: 2,')),
    expected: ['live.held: change replace keep keep'],
  },
  {
    name: 'the scope of an open breaker',
    text: edited(swap('held', 'consecutiveFailures: 1,', 'scope: handler, consecutiveFailures: 1,')),
    expected: ['live.held: change replace keep reset'],
  },
  {
    name: 'an open breaker that is given up',
    text: edited(swap('held', /circuitBreaker: \{[^}]*\}/, 'circuitBreaker: false')),
    expected: ['live.held: change replace keep leave'],
  },
  {
    name: 'a breaker that there was not',
    text: edited(swap('gives-up', 'circuitBreaker: false, ', '')),
    expected: ['live.gives-up: change replace keep join'],
  },
  {
    name: 'a new route',
    text: edited({ fresh: '{ id: fresh, on: [live.event], handler: noop }' }),
    expected: ['live.fresh: add create create join'],
  },
  {
    name: 'a new route from the beginning',
    text: edited({ fresh: '{ id: fresh, on: [live.event], handler: noop, startFrom: beginning }' }),
    expected: ['live.fresh: add create create join'],
  },
  {
    name: 'a new route that is switched off',
    text: edited({ fresh: '{ id: fresh, on: [live.event], handler: noop, enabled: false }' }),
    expected: ['live.fresh: add none none none'],
  },
  {
    name: 'a route that is removed',
    text: edited({ fails: undefined }),
    expected: ['live.fails: remove close detach leave'],
  },
  {
    name: 'a route that never ran and is removed',
    text: edited({ off: undefined }),
    expected: ['live.off: remove none none none'],
  },
  {
    name: 'a route that is switched off',
    text: edited(swap('fails', 'id: fails', 'id: fails, enabled: false')),
    expected: ['live.fails: disable close rest leave'],
  },
  {
    name: 'a route that is switched on for the first time',
    text: edited(swap('off', 'enabled: false', 'enabled: true')),
    expected: ['live.off: enable create create join'],
  },
  {
    name: 'a route that is switched on again',
    first: edited(swap('fails', 'id: fails', 'id: fails, enabled: false')),
    text: pipeline(),
    expected: ['live.fails: enable create resume join'],
  },
  {
    name: 'a change of a route that stays switched off',
    text: edited(swap('off', 'handler: noop', 'handler: log')),
    expected: ['live.off: change none none none'],
  },
  {
    name: 'a route that comes back',
    first: edited({ 'gives-up': undefined }),
    text: pipeline(),
    expected: ['live.gives-up: add create resume none'],
  },
  { name: 'another name', text: edited({ fails: renamed }), expected: ['live.failing: rename replace rename keep'] },
  {
    name: 'another name, and more',
    text: edited({ fails: renamed?.replace('/fails"', '/fails?v=2"') }),
    expected: ['live.failing: rename replace rename keep'],
  },
  {
    name: 'the name from before',
    first: edited({ fails: renamed }),
    text: pipeline(),
    expected: ['live.fails: rename replace rename keep'],
  },
  {
    name: 'the name from before, when the files do not say so any more',
    first: edited({ fails: renamed }),
    second: edited({ fails: renamed?.replace(', previousId: fails', '').replace('/fails"', '/fails?v=2"') }),
    text: pipeline(),
    expected: ['live.failing: remove close rename leave', 'live.fails: add create rename join'],
  },
  {
    name: 'another name for a route that is switched off',
    first: edited(swap('fails', 'id: fails', 'id: fails, enabled: false')),
    text: edited({ fails: renamed }),
    expected: ['live.failing: rename create rename join'],
  },
  {
    name: 'everything at once',
    text: edited({
      ...swap('quick', 'handler: noop', 'handler: log'),
      ...swap('held', 'consecutiveFailures: 1,', 'consecutiveFailures: 3,'),
      fails: renamed,
      'gives-up': undefined,
      fresh: '{ id: fresh, on: [live.event], handler: noop }',
    }),
    expected: [
      'live.failing: rename replace rename keep',
      'live.fresh: add create create join',
      'live.gives-up: remove close detach none',
      'live.held: change replace keep keep',
      'live.quick: change replace keep keep',
    ],
  },
];

const line = ({ group, action, handler, consumerGroup, breaker }: RoutePlan): string =>
  `${group}: ${action} ${handler} ${consumerGroup} ${breaker}`;

/** Runs on under another name. */
const isRenamed = ({ action, handler }: RoutePlan): boolean => action === 'rename' && handler === 'replace';

const planned = ({ routes: all }: Plan, handler: RoutePlan['handler']): string[] =>
  all.filter((route) => route.handler === handler && !isRenamed(route)).map(({ group }) => group);

type Groups = Awaited<ReturnType<Stage['groups']>>;

const atRest = (groups: Groups, group: string) => {
  const stats = groups.get(group)?.stats;
  return stats && { retrying: stats.retrying, dead: stats.dead, accepted: stats.totals.accepted };
};

function checkGroup(route: RoutePlan, was: Groups, is: Groups): void {
  const former = route.previousGroup ?? route.group;
  switch (route.consumerGroup) {
    case 'create':
      assert.ok(!was.has(route.group) && is.has(route.group), `${route.group} is made`);
      return;
    case 'none':
      assert.ok(!was.has(route.group) && !is.has(route.group), `there is no ${route.group}`);
      return;
    case 'rename':
      assert.ok(was.has(former) && !is.has(former), `${former} has another name`);
      if (route.action === 'remove') return;
      assert.deepEqual(atRest(is, route.group), atRest(was, former));
      return;
    case 'keep':
    case 'resume':
    case 'rest':
    case 'detach':
      // What a breaker does not hold any more has begun to run.
      if (route.handler === 'replace' && (route.breaker === 'reset' || route.breaker === 'leave')) return;
      assert.deepEqual(atRest(is, route.group), atRest(was, route.group), `${route.group} has what it had`);
  }
}

function checkLive({ routes: all }: Plan, was: Groups): void {
  for (const { group, previousGroup, live } of all) {
    const stats = was.get(previousGroup ?? group)?.stats;
    assert.equal(live === undefined, stats === undefined, group);
    if (live === undefined || stats === undefined) continue;
    const waiting = stats.lag.reduce((sum, { entries }) => sum + entries, 0);
    const { retrying, due, dead } = stats;
    assert.deepEqual(
      { waiting: live.waiting + live.pending, retrying: live.retrying, due: live.due, dead: live.dead },
      { waiting: waiting + stats.pending, retrying, due, dead },
    );
  }
}

async function carryOut(stage: Stage, { text, expected }: Edit): Promise<Plan> {
  await stage.write(text);
  const was = await stage.groups();
  const plan = await stage.plan();
  assert.deepEqual(plan.routes.map(line), expected);
  checkLive(plan, was);
  assert.ok(plan.routes.every(({ effects }) => effects.length > 0));

  const begun = stage.signals.length;
  const report = await stage.engine.reload();
  assert.equal(report.result, plan.changes ? 'changed' : 'unchanged');
  assert.deepEqual([...report.changes.started].sort(), planned(plan, 'create'));
  assert.deepEqual([...report.changes.changed].sort(), planned(plan, 'replace'));
  assert.deepEqual([...report.changes.stopped].sort(), planned(plan, 'close'));
  assert.deepEqual(
    report.changes.renamed,
    plan.routes.filter(isRenamed).map(({ previousGroup, group }) => ({ from: previousGroup, to: group })),
  );
  const told = stage.signals
    .slice(begun)
    .flatMap((signal) => (signal.kind === 'route_started' ? [signal.route.group] : []));
  const made = plan.routes.filter(({ handler }) => handler === 'create' || handler === 'replace');
  assert.deepEqual(
    told.sort(),
    made.map(({ group }) => group),
    'handlers are made for these and for no other',
  );
  const is = await stage.groups();
  for (const route of plan.routes) checkGroup(route, was, is);
  assert.equal((await stage.plan()).changes, false, 'nothing is left to do');
  return plan;
}

/** An open circuit that stays open lets nothing through; one that is left or replaced lets through what it held. */
async function checkBreaker(stage: Stage, plan: Plan, callsBefore: number): Promise<void> {
  const held = plan.routes.find(({ group }) => group === 'live.held');
  switch (held?.breaker) {
    case 'reset':
    case 'leave':
      await eventually('what was held to be tried', () => stage.calls('/held') > callsBefore);
      return;
    case 'keep':
      assert.deepEqual(
        held.circuits.map(({ state }) => state),
        ['open'],
      );
      assert.equal(held.live?.held, true);
      // What another route gets in the meantime, this one would have got as well.
      await stage.publish(1);
      await eventually('another route to be tried', async () => {
        const stats = await stage.engine.bus.groupStats('live.counted');
        await stage.publish(1, 'other.event');
        return (stats?.totals.delivered ?? 0) > 2;
      });
      assert.equal(stage.calls('/held'), callsBefore);
      return;
    case 'join':
    case 'none':
    case undefined:
  }
}

function matrix(bus: () => string): void {
  for (const edit of edits) {
    test(`${edit.name}: the reload does what was planned`, async (t) => {
      const stage = await startStage(bus());
      t.after(() => stage.close());
      await fill(stage);
      for (const text of [edit.first, edit.second].filter((given) => given !== undefined)) {
        await stage.write(text);
        assert.equal((await stage.engine.reload()).result, 'changed');
      }
      const calls = stage.calls('/held');
      const plan = await carryOut(stage, edit);
      await checkBreaker(stage, plan, calls);
    });
  }
}

describe('on the embedded bus', () => matrix(() => 'sqlite::memory:'));

describe('on Redis', () => {
  let redis: TestRedis;
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.stop());
  matrix(() => redis.url);
});

test('a file that is wrong is refused by the plan as by the reload, with the same words', async (t) => {
  const stage = await startStage('sqlite::memory:');
  t.after(() => stage.close());
  await stage.write(pipeline().replace('handler: webhook', 'handler: webhok'));
  const answer = await stage.ask();
  const report = await stage.engine.reload();
  assert.deepEqual([answer.ok, report.result], [false, 'rejected']);
  assert.deepEqual(answer.ok ? [] : answer.problems, report.problems);
});
