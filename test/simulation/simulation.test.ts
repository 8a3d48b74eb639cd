/** The simulation itself: seeds that hold, a seed that repeats, and faults put in on purpose that it notices. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missing } from './coverage.ts';
import { type Bug, bugs } from './model/bugs.ts';
import { failureText, runSeeds, type SeedsRequest } from './seeds.ts';
import { simulate } from './simulate.ts';

const steps = 500;

async function allHold(request: SeedsRequest): Promise<ReadonlyMap<string, number>> {
  const { failures, coverage, seeds, seconds } = await runSeeds(request);
  console.log(`# ${seeds} seeds from ${request.first} × ${steps} steps in ${seconds.toFixed(1)} s`);
  assert.deepEqual(
    failures.map((outcome) => failureText(outcome, request)),
    [],
  );
  return coverage;
}

/** The same ones every time, so that what fails is what was changed; `npm run simulate -- --seed N` tries others. */
test('every promise holds in known seeds, and each kind of fault was among them', async () => {
  assert.deepEqual(missing(await allHold({ first: 1, count: 200, steps })), []);
});

test('two runs of one seed are the same to the last line of their trace', async () => {
  const [first, again, other] = [await simulate(17, 200), await simulate(17, 200), await simulate(18, 200)];
  assert.equal(first.hash, again.hash);
  assert.notEqual(first.hash, other.hash);
});

/** By what it is caught, one of these: which one comes first hangs on the seed. */
const caughtBy: Readonly<Record<Bug, readonly string[]>> = {
  'ack before park': ['accepted = settled + resting', 'an acknowledged event is never gone'],
  'no fence on retry': ['only the owner settles a retry or a dead letter'],
  'MAXLEN on the stream': [
    'accepted = settled + resting',
    'an acknowledged event is never gone',
    'trimming removes nothing that a group needs',
  ],
  'forgets the dedupe key': ['a resent publish makes no second event'],
  'retries come early': ['no retry runs before its time'],
  'promotes twice': [
    'a delivery is in one place',
    'accepted = settled + resting',
    'only the owner settles a retry or a dead letter',
  ],
  'reclaims before the lease ends': ['who is well keeps its leases'],
  'trims what is pending': [
    'trimming removes nothing that a group needs',
    'an acknowledged event is never gone',
    'accepted = settled + resting',
  ],
  'a full DLQ takes more': ['a DLQ is never above its limit'],
  'every engine wins the probe': ['no more probes than the policy allows'],
  'gives permits to every engine': ['no span has more starts than the limit says'],
  'lets a wait cost an attempt': ['a wait spends no attempt', 'a retry waits as its policy says'],
  'the heartbeat does nothing': ['who is well keeps its leases'],
  'everybody has the turn': ['one key after another', 'a key is settled in its order'],
};

for (const bug of bugs) {
  test(`a bus that ${sentenceOf(bug)} is caught`, async () => {
    const request = { first: 1, count: 60, steps, bug };
    const { failures, seeds } = await runSeeds(request);
    const [caught] = failures;
    assert.ok(caught, `expected one of ${seeds} seeds to fail`);
    console.log(`# seed=${caught.seed} step=${caught.failedAt} ${caught.message}`);
    assert.ok(caughtBy[bug].includes(caught.invariant ?? ''), failureText(caught, request));
  });
}

function sentenceOf(bug: Bug): string {
  switch (bug) {
    case 'ack before park':
      return 'acks before it parks a retry';
    case 'no fence on retry':
      return 'has no fence on retries';
    case 'MAXLEN on the stream':
      return 'has MAXLEN on its streams';
    case 'retries come early':
      return 'promotes retries early';
    case 'a full DLQ takes more':
      return 'puts more into a full DLQ';
    case 'every engine wins the probe':
      return 'lets every engine win the probe';
    case 'everybody has the turn':
      return 'gives the turn to everybody';
    case 'the heartbeat does nothing':
      return 'has a heartbeat that does nothing';
    case 'forgets the dedupe key':
    case 'gives permits to every engine':
    case 'lets a wait cost an attempt':
    case 'promotes twice':
    case 'reclaims before the lease ends':
    case 'trims what is pending':
      return bug;
  }
}
