/** What a change does to a route's work, in sentences. They say what the workers and the buses do; a test applies them. */
import { formatDuration } from '../core/duration.ts';
import type { Route } from '../core/route.ts';
import type { LiveWork, RoutePlan } from './plan.ts';

type Planned = Omit<RoutePlan, 'effects'>;

const count = (number: number, word: string): string => `${number.toLocaleString('en-US')} ${word}`;

const waitingText = ({ waiting, exact }: LiveWork): string => `${exact ? '' : 'at least '}${count(waiting, 'waiting')}`;

/** `12 waiting, 3 retrying`; empty when there is nothing. */
function amounts(live: LiveWork, kinds: readonly ('waiting' | 'pending' | 'retrying' | 'due' | 'dead')[]): string {
  const texts = kinds.flatMap((kind) => {
    if (live[kind] === 0 && (kind !== 'waiting' || live.exact)) return [];
    return [kind === 'waiting' ? waitingText(live) : count(live[kind], kind)];
  });
  return texts.join(', ');
}

const sentence = (start: string, what: string): string[] => (start === '' ? [] : [`${start} ${what}`]);

/** Of the settings of a route whose handler is replaced. */
const drains =
  'what runs ends on the old handler; what does not end in time is handed back and runs again on the new one';

function started({ live, consumerGroup, previousGroup }: Planned, { startFrom }: Route): string[] {
  switch (consumerGroup) {
    case 'create':
      return startFrom === 'new'
        ? ['starts with what is published from now on (startFrom: new)']
        : ['starts with everything that its streams still hold (startFrom: beginning)'];
    case 'rename':
      return [`takes over from ${previousGroup}: position, retries, dead letters, breaker and totals`];
    case 'resume':
    case 'keep':
    case 'rest':
    case 'detach':
    case 'none': {
      const left = live === undefined ? '' : amounts(live, ['waiting', 'retrying', 'due']);
      const letters =
        live === undefined || live.dead === 0 ? [] : [`${count(live.dead, 'dead')} can be redriven again`];
      return ['goes on where it stopped', ...sentence(left, 'go on now'), ...letters];
    }
  }
}

function stopped({ live, consumerGroup }: Planned, after: Route | undefined, removedGrace: number): string[] {
  const pending =
    live === undefined || live.pending === 0 ? 'what runs' : `${count(live.pending, 'pending')}: what runs`;
  const ends = `${pending} may end; what does not end in time is handed back and waits`;
  if (after !== undefined) {
    const rest = live === undefined ? '' : amounts(live, ['waiting', 'retrying', 'due', 'dead']);
    return [
      ends,
      ...sentence(rest, 'stay until it is enabled again'),
      'its streams keep what it has not read, and grow by it',
    ];
  }
  if (consumerGroup === 'rename')
    return [ends, 'its group goes on under the name that it had before, with all that is in it'];
  const retries = live === undefined ? '' : amounts(live, ['pending', 'retrying', 'due']);
  const waiting = live === undefined ? '' : amounts(live, ['waiting', 'dead']);
  // See worker/claims.ts: a rolling change, or a commit that is reverted at once, costs nothing.
  const nobody = `no engine has had the route for ${formatDuration(removedGrace)}`;
  return [
    ends,
    ...(retries === ''
      ? [`retries and what was handed back end as dead letters (route_removed) once ${nobody}`]
      : [`${retries} end as dead letters (route_removed) when they fall due, once ${nobody}`]),
    ...sentence(waiting, 'stay, until the route is back or somebody purges them'),
    'the group stays: the route goes on where it stopped when it comes back',
  ];
}

/** Of each field that was changed and means something to deliveries under way. */
function orderingEffect(before: Route, after: Route): string {
  if (after.ordering === undefined) return 'what stood in line runs in no order, some of it up to 5m later';
  const lines = 'what waits or retries is put in line by the new key before anything new is read';
  return before.ordering === undefined ? `one engine at a time reads the route; ${lines}` : lines;
}

function fieldEffects({ fields, live }: Planned, before: Route, after: Route): string[] {
  const touched = (name: string): boolean =>
    fields.some(({ path }) => path === name || path.startsWith(`${name}.`) || path.startsWith(`${name}[`));
  const gone = before.on.filter((pattern) => !after.on.includes(pattern));
  const come = after.on.filter((pattern) => !before.on.includes(pattern));
  const { maxAttempts } = after.retry;
  const fewer = maxAttempts < before.retry.maxAttempts;
  const older = after.maxAge !== undefined && (before.maxAge === undefined || after.maxAge < before.maxAge);
  const { maxEntries, onFull, retention } = after.deadLetter;
  const over = live === undefined ? 0 : live.dead - maxEntries;
  const spills = onFull === 'pause' ? 'the route pauses at the next one' : 'the oldest are dropped with the next one';
  return [
    ...(gone.length > 0
      ? [`what waits or retries of ${gone.join(', ')} alone is not delivered any more (unmatched)`]
      : []),
    ...(come.length > 0
      ? [
          `streams that only ${come.join(', ')} takes are joined ${after.startFrom === 'new' ? 'at their end' : 'from their beginning'}`,
        ]
      : []),
    ...(touched('ordering') ? [orderingEffect(before, after)] : []),
    ...(touched('when')
      ? ['what waits or retries is asked the new condition, and settled as unmatched if it fails']
      : []),
    ...(touched('transform') ? ['the next attempt of what retries sees the new data'] : []),
    ...(touched('rateLimit') ? ['what was postponed keeps its time, and is asked the new limit then'] : []),
    ...(fewer
      ? [`what has made ${maxAttempts} attempts or more ends as a dead letter (exhausted) when it fails again`]
      : []),
    ...(touched('retry')
      ? ['what is in the retry set keeps its time; the new policy decides from its next failure on']
      : []),
    ...(older ? [`what is older than ${formatDuration(after.maxAge ?? 0)} ends as a dead letter (expired)`] : []),
    ...(over > 0 ? [`${count(over, 'dead')} more than the dead letters may hold: ${spills}`] : []),
    ...(retention < before.deadLetter.retention
      ? [`dead letters older than ${formatDuration(retention)} are dropped`]
      : []),
    ...(touched('startFrom') ? ['startFrom decides for streams that it joins later: its group is there already'] : []),
  ];
}

function changed(plan: Planned, before: Route, after: Route): string[] {
  const rest = plan.live === undefined ? '' : amounts(plan.live, ['waiting', 'retrying', 'due']);
  return [
    drains,
    ...sentence(rest, 'go on under the new settings; attempts and times are kept'),
    ...fieldEffects(plan, before, after),
  ];
}

/** About the breaker, where there is something to say. */
function circuitEffects({ breaker, circuits, live }: Planned): string[] {
  const open = circuits.filter(({ state }) => state !== 'closed');
  const state = open.length === 0 ? 'closed' : [...new Set(open.map((circuit) => circuit.state))].sort().join(' and ');
  const held = live?.held === true && live.waiting > 0 ? `, and what it holds (${waitingText(live)}) stays held` : '';
  switch (breaker) {
    case 'keep':
      return open.length === 0 ? [] : [`its circuit stays ${state}${held}`];
    case 'reset':
      return [
        `goes on with another breaker, as the bus has it, or closed; the old one${open.length === 0 ? '' : `, now ${state},`} does not matter to it`,
      ];
    case 'leave':
      return open.length === 0 ? [] : [`its circuit, now ${state}, does not hold it any more`];
    case 'join':
      return open.length === 0 ? [] : [`its circuit is ${state}: it waits for the next probe`];
    case 'none':
      return [];
  }
}

/** `removedGrace`: how long nobody has had a route until its retries end, in ms. */
export function effectsOf(
  plan: Planned,
  before: Route | undefined,
  after: Route | undefined,
  removedGrace: number,
): string[] {
  const ran = before?.enabled === true;
  const runs = after?.enabled === true;
  if (!ran && !runs)
    return after === undefined ? stoppedAlready(plan) : ['is switched off: nothing runs, before or after'];
  if (!runs) return stopped(plan, after, removedGrace);
  if (!ran || before === undefined) return [...started(plan, after), ...circuitEffects(plan)];
  const name =
    plan.action === 'rename' ? [`keeps position, retries, dead letters, breaker and totals of ${before.group}`] : [];
  return [...name, ...changed(plan, before, after), ...circuitEffects(plan)];
}

const stoppedAlready = ({ live }: Planned): string[] =>
  live === undefined
    ? ['was switched off']
    : ['was switched off', ...sentence(amounts(live, ['waiting', 'retrying', 'due', 'dead']), 'stay with its group')];
