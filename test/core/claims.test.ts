import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Claim, type Holding, holdingOf, planClaims } from '../../engine/core/claims.ts';

const holding = (storage: string, name = storage, ...former: string[]): Holding => ({
  storage,
  name,
  former,
  removed: false,
});

const plan = (holdings: readonly Holding[], claims: readonly Claim[], calledSo: readonly string[] = []) => {
  const { storages, renames, unknown } = planClaims(holdings, claims, new Set(calledSo));
  return {
    storages: Object.fromEntries(storages),
    renames: renames.map(({ storage, from, to, former }) => [storage, from, to, ...former]),
    unknown: unknown.map(({ group }) => group),
  };
};

/** What the registry holds once a plan has been carried out and its groups have been opened. */
const after = (holdings: readonly Holding[], claims: readonly Claim[], calledSo: readonly string[] = []): Holding[] => {
  const { storages, renames } = planClaims(holdings, claims, new Set(calledSo));
  const known = new Set(holdings.map(({ storage }) => storage));
  const renamed = holdings.map((one) => {
    const rename = renames.find(({ storage }) => storage === one.storage);
    return rename === undefined ? one : { ...one, name: rename.to, former: rename.former };
  });
  const made = [...storages].filter(([, storage]) => !known.has(storage));
  return [...renamed, ...made.map(([group, storage]) => holding(storage, group))];
};

test('a group that nobody knows rests under its own name', () => {
  assert.deepEqual(plan([], [{ group: 'p.a' }]), { storages: { 'p.a': 'p.a' }, renames: [], unknown: [] });
});

test('a renamed route keeps its storage, and the plan is the same once it has been carried out', () => {
  const claims = [{ group: 'p.b', previous: 'p.a' }];
  const before = [holding('p.a')];
  assert.deepEqual(plan(before, claims), {
    storages: { 'p.b': 'p.a' },
    renames: [['p.a', 'p.a', 'p.b', 'p.a']],
    unknown: [],
  });
  assert.deepEqual(plan(after(before, claims), claims), { storages: { 'p.b': 'p.a' }, renames: [], unknown: [] });
});

test('the old id given to a new route starts with nothing, and both keep what is theirs', () => {
  const renamed = after([holding('p.a')], [{ group: 'p.b', previous: 'p.a' }]);
  const both = [{ group: 'p.a' }, { group: 'p.b' }];
  assert.deepEqual(plan(renamed, both).storages, { 'p.a': 'p.a~2', 'p.b': 'p.a' });
  assert.deepEqual(plan(after(renamed, both), both), {
    storages: { 'p.a': 'p.a~2', 'p.b': 'p.a' },
    renames: [],
    unknown: [],
  });
});

test('a reverted rename goes back to its storage, from either side of a restart', () => {
  const renamed = after([holding('p.a')], [{ group: 'p.b', previous: 'p.a' }]);
  const reverted = after(renamed, [{ group: 'p.a' }]);
  assert.deepEqual(reverted, [holding('p.a', 'p.a', 'p.b')]);
});

test('while another engine has the new name, one that still has the old works beside it and takes no name away', () => {
  const renamed = after([holding('p.a')], [{ group: 'p.b', previous: 'p.a' }]);
  assert.deepEqual(plan(renamed, [{ group: 'p.a' }], ['p.a']), {
    storages: { 'p.a': 'p.a' },
    renames: [],
    unknown: [],
  });
});

test('a second rename finds the storage also when the engines of the first went back for a while', () => {
  const flipped = after(after([holding('p.a')], [{ group: 'p.b', previous: 'p.a' }]), [{ group: 'p.a' }]);
  assert.equal(plan(flipped, [{ group: 'p.c', previous: 'p.b' }]).storages['p.c'], 'p.a');
});

test('a route that was removed under its new name leaves nothing to one that has its first name later', () => {
  const [renamed] = after([holding('p.a')], [{ group: 'p.b', previous: 'p.a' }]);
  assert.ok(renamed !== undefined);
  const removed = { ...renamed, removed: true };
  assert.equal(plan([removed], [{ group: 'p.a' }]).storages['p.a'], 'p.a~2');
  assert.equal(plan([removed], [{ group: 'p.b' }]).storages['p.b'], 'p.a', 'its own name brings it back');
  assert.equal(plan([removed], [{ group: 'p.c', previous: 'p.b' }]).storages['p.c'], 'p.a', 'and so does a rename');
});

test('a previous name that leads nowhere is told, once, until the route has a storage of its own', () => {
  const claims = [{ group: 'p.b', previous: 'p.typo' }];
  assert.deepEqual(plan([], claims), { storages: { 'p.b': 'p.b' }, renames: [], unknown: ['p.b'] });
  assert.deepEqual(plan(after([], claims), claims).unknown, []);
});

test('whatever is claimed in whatever order, no two routes share a storage and what is carried out is at rest', () => {
  const names = ['p.a', 'p.b', 'p.c', 'q.a'];
  let seed = 1;
  const dice = (n: number): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % n;
  };
  for (let round = 0; round < 3_000; round += 1) {
    let holdings: Holding[] = [];
    for (let step = 0; step < 8; step += 1) {
      const groups = names.filter(() => dice(2) === 0);
      const gone = names.filter((name) => !groups.includes(name));
      const claims = groups.map((group): Claim => {
        const previous = dice(2) === 0 ? gone.splice(dice(gone.length + 1), 1)[0] : undefined;
        return previous === undefined ? { group } : { group, previous };
      });
      const { storages } = planClaims(holdings, claims, new Set());
      assert.equal(new Set(storages.values()).size, claims.length);
      for (const one of holdings) {
        if (groups.includes(one.name))
          assert.equal(storages.get(one.name), one.storage, 'a name that is kept keeps its state');
      }
      holdings = after(holdings, claims);
      assert.equal(new Set(holdings.map(({ name }) => name)).size, holdings.length);
      const again = planClaims(holdings, claims, new Set());
      assert.deepEqual([again.renames, [...again.storages].sort()], [[], [...storages].sort()]);
    }
  }
});

test('a name means the holding that has it, else the one that had it last', () => {
  const holdings = [holding('p.a', 'p.c', 'p.b', 'p.a'), holding('p.a~2', 'p.a')];
  assert.equal(holdingOf(holdings, 'p.a')?.storage, 'p.a~2');
  assert.equal(holdingOf(holdings, 'p.b')?.storage, 'p.a');
  assert.equal(holdingOf(holdings, 'p.x'), undefined);
});
