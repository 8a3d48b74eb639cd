/** Leases: who may take what from whom, and how often an entry was started. */
import assert from 'node:assert/strict';
import type { Entry, Group } from '../../../engine/bus/bus.ts';
import { ack, longLease, origins, read, readOne, readSoon, retry, type Scenario, sleep, takeOver } from './room.ts';

export function leaseScenarios(scenario: Scenario): void {
  scenario('an entry whose lease is good is not taken over', async (room) => {
    const group = await room.group('p.r', ['a']);
    const peer = await room.group('p.r', ['a']);
    await room.publish('a');
    await readOne(group);
    assert.deepEqual(await peer.reclaim(longLease, 10, () => false), { entries: [], lost: [] });
  });

  scenario('an entry whose lease has run out goes to whoever reclaims it, as it was', async (room) => {
    const group = await room.group('p.r', ['a']);
    const peer = await room.group('p.r', ['a']);
    await room.publish('a');
    const { starts, slot, ...entry } = await readOne(group);
    await sleep(30);
    const { entries, lost } = await peer.reclaim(20, 10, () => false);
    const [{ starts: startsNow, slot: slotNow, ...taken } = assert.fail('nothing taken')] = entries;
    assert.deepEqual({ ...taken, id: entry.id }, entry);
    assert.deepEqual([starts, startsNow], [1, 2]);
    assert.deepEqual(lost, []);
    assert.ok(slot !== null && slotNow !== null);
    assert.deepEqual((await peer.reclaim(longLease, 10, () => false)).entries, [], 'the lease is new');
  });

  scenario('a consumer takes back what it holds without knowing, and leaves what it knows', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publishMany('a', 10);
    const held = await read(group, 10);
    const known = new Set(held.slice(0, 4).map(({ id }) => id));
    const taken: Entry[] = [];
    for (let sweep = 0; sweep < 10; sweep += 1) {
      const mine = new Set([...known, ...taken.map(({ id }) => id)]);
      taken.push(...(await group.reclaim(0, 3, (id) => mine.has(id))).entries);
    }
    assert.deepEqual([...origins(taken)].sort(), origins(held.slice(4)).toSorted());
    assert.deepEqual(
      await group.settle([...held.slice(0, 4), ...taken].map(ack), undefined),
      Array.from({ length: 10 }, () => 'done'),
    );
  });

  scenario('reclaiming goes on behind entries that are known, however many they are', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publishMany('a', 120);
    const held = await read(group, 120);
    const known = new Set(held.slice(0, 119).map(({ id }) => id));
    const taken: Entry[] = [];
    for (let sweep = 0; sweep < 130 && taken.length === 0; sweep += 1) {
      taken.push(...(await group.reclaim(0, 1, (id) => known.has(id))).entries);
    }
    assert.deepEqual(origins(taken), origins(held.slice(119)));
  });

  scenario('a retried delivery is reclaimed with its state', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    await group.settle([retry(await readOne(group), 0)], undefined);
    await sleep(5);
    await group.promote(10);
    const due = await readOne(group);
    const [taken] = (await group.reclaim(0, 10, () => false)).entries;
    assert.deepEqual([taken?.origin, taken?.stream, taken?.state], [due.origin, due.stream, due.state]);
    assert.equal(taken?.starts, 2);
    assert.deepEqual(await group.settle([ack(taken)], undefined), ['done']);
  });

  scenario('starts are counted when handed out, and from the third on only when asked, once', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    const seen = [(await readOne(group)).starts];
    let entry: Entry | undefined;
    for (let sweep = 0; sweep < 4; sweep += 1) {
      [entry] = (await group.reclaim(0, 10, () => false)).entries;
      seen.push(entry?.starts ?? 0);
    }
    assert.deepEqual(seen, [1, 2, 3, 3, 3]);
    assert.ok(entry);
    assert.equal(await group.countStart(entry), 3);
    assert.equal(await group.countStart(entry), 3, 'told again');
    const [again] = (await group.reclaim(0, 10, () => false)).entries;
    assert.equal(again?.starts, 4);
    assert.equal(await group.countStart(again), 4);
    assert.deepEqual(await group.settle([ack(again)], undefined), ['done']);
    assert.equal(await group.countStart(again), undefined);
  });

  scenario('a start of what is not ours any more is not counted', async (room) => {
    const group = await room.group('p.r', ['a']);
    const peer = await room.group('p.r', ['a']);
    await room.publish('a');
    const entry = await readOne(group);
    const [taken] = (await peer.reclaim(0, 10, () => false)).entries;
    assert.equal(await group.countStart(entry), undefined);
    assert.ok(taken);
    assert.equal(await peer.countStart(taken), 2);
  });

  scenario('a retry starts counting anew', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    await readOne(group);
    const [second] = (await group.reclaim(0, 10, () => false)).entries;
    assert.ok(second);
    await group.settle([retry(second, 0)], undefined);
    await sleep(5);
    await group.promote(10);
    assert.equal((await readOne(group)).starts, 1);
  });

  scenario('released entries go to a peer at once and count as no start', async (room) => {
    const group = await room.group('p.r', ['a']);
    const peer = await room.group('p.r', ['a']);
    await room.publish('a', 'a', 'a');
    const held = await read(group, 3);
    await group.release(held.slice(0, 2));
    const taken = await takeOver(peer, 2);
    assert.deepEqual([...origins(taken)].sort(), origins(held.slice(0, 2)).toSorted());
    assert.deepEqual(
      taken.map(({ starts }) => starts),
      [1, 1],
    );
    assert.deepEqual(await peer.settle(taken.map(ack), undefined), ['done', 'done']);
    assert.deepEqual(await group.settle(held.slice(2).map(ack), undefined), ['done']);
  });

  scenario('a release of what is not ours any more changes nothing', async (room) => {
    const group = await room.group('p.r', ['a']);
    const peer = await room.group('p.r', ['a']);
    await room.publish('a');
    const entry = await readOne(group);
    await peer.reclaim(0, 10, () => false);
    await group.release([entry]);
    assert.deepEqual((await group.reclaim(longLease, 10, () => false)).entries, []);
    assert.deepEqual(await readSoon(group, 50), []);
  });

  scenario('a heartbeat keeps the lease', async (room) => {
    const group = await room.group('p.r', ['a']);
    const peer = await room.group('p.r', ['a']);
    await room.publish('a', 'a');
    const [kept, left] = await read(group, 2);
    assert.ok(kept && left);
    await sleep(900);
    assert.deepEqual(await group.extend([kept]), []);
    await sleep(500);
    assert.deepEqual(origins((await peer.reclaim(1200, 10, () => false)).entries), [left.origin]);
  });

  scenario('a heartbeat tells what was lost and does not take it back', async (room) => {
    const group = await room.group('p.r', ['a']);
    const peer = await room.group('p.r', ['a']);
    await room.publish('a', 'a', 'a');
    const [taken, settled, ours] = await read(group, 3);
    assert.ok(taken && settled && ours);
    await peer.reclaim(0, 1, () => false);
    await group.settle([ack(settled)], undefined);
    assert.deepEqual(await group.extend([taken, settled, ours]), [taken, settled]);
    assert.deepEqual(await group.extend([]), []);
    assert.deepEqual(await group.settle([retry(taken, 0), ack(ours)], undefined), ['fenced', 'done']);
  });

  scenario('a closed group hands its pending entries to its peers', async (room) => {
    const group: Group = await room.group('p.r', ['a']);
    const peer = await room.group('p.r', ['a']);
    await room.publish('a', 'a', 'a');
    const held = await read(group, 3);
    await group.settle(held.slice(0, 1).map(ack), undefined);
    await group.close();
    const taken = await takeOver(peer, 2);
    assert.deepEqual([...origins(taken)].sort(), origins(held.slice(1)).toSorted());
    assert.ok(taken.every(({ starts }) => starts === 1));
  });

  scenario('pending entries tell how long their oldest has shown no life', async (room) => {
    const group = await room.group('p.r', ['a']);
    await room.publish('a');
    assert.equal((await group.stats()).pendingOldestMs, 0);
    const entry = await readOne(group);
    await sleep(120);
    assert.ok((await group.stats()).pendingOldestMs >= 100);
    await group.extend([entry]);
    assert.ok((await group.stats()).pendingOldestMs < 100);
    await group.settle([ack(entry)], undefined);
    assert.equal((await group.stats()).pendingOldestMs, 0);
  });
}
