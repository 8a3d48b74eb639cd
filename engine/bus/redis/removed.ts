/** Groups whose route is gone: taking up what is due again in them, and removing them for good. */

import type { PurgeNote, PurgeRecord } from '../../core/purge.ts';
import type { Entry } from '../bus.ts';
import { assertUnused, inUse, purgeRecordOf } from '../purged.ts';
import type { Claims } from './claims.ts';
import type { Connection } from './connection.ts';
import { type Source, toEntry } from './entry.ts';
import { readStats } from './group-stats.ts';
import type { Keys } from './keys.ts';
import type { StreamReply } from './read-reply.ts';
import type { GroupRecord, Registry } from './registry.ts';
import { scripts } from './scripts.ts';

export interface DueReader {
  readonly commands: Connection;
  /** The group's storage. */
  readonly name: string;
  readonly consumer: string;
}

/** The next entries of the due streams alone, at most `limit`; does not wait for any. */
export async function readDue(reader: DueReader, sources: readonly Source[], limit: number): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  for (const source of sources) {
    const room = limit - entries.length;
    if (!source.due || room <= 0) continue;
    const args = ['GROUP', reader.name, reader.consumer, 'COUNT', room, 'STREAMS', source.key, '>'];
    const reply = (await reader.commands.call('XREADGROUP', args)) as StreamReply | null;
    const seenAt = Math.floor(performance.now());
    for (const [id, fields] of reply?.[0]?.[1] ?? []) {
      if (fields !== null) entries.push(toEntry(source, id, fields, 1, true, seenAt));
    }
  }
  return entries;
}

export interface PurgeDeps {
  readonly commands: Connection;
  readonly keys: Keys;
  readonly registry: Registry;
  readonly claims: Claims;
  readonly now: () => number;
}

/**
 * Undefined: no such group. Rejects with EF6030 while a live engine has it, and when one came back meanwhile.
 *
 * The group's record is marked first, with what there is, and removed last. So a purge that was cut short can be
 * repeated, by anybody, and still tells what there was. An engine that opens the group takes the mark away, which ends
 * the purge: the group stays, and its life goes on in the next purge's books. What was destroyed by then is gone. Where
 * that was the engine's place in a stream, it makes it again as it opens the group, or when its next read finds it
 * missing, and reads what rests there from the beginning, as after any other loss: rather twice than not at all.
 */
export async function purge(deps: PurgeDeps, group: string, note: PurgeNote): Promise<PurgeRecord | undefined> {
  const { commands, keys, registry, claims } = deps;
  const storage = await claims.storageOf(group);
  const marked = await mark(deps, storage, group, note);
  if (marked === undefined) return undefined;
  for (const stream of await registry.joined(storage)) {
    const own = Object.values(keys.route(stream, storage)) as string[];
    await commands.eval(scripts.purge, [keys.stream(stream).events, ...own], [storage]);
  }
  await commands.call('UNLINK', [keys.turn(storage)]);
  assertUnused(group, await enginesOf(claims, storage));
  // Before the record goes, which shows it: see `readPurges`.
  await commands.call('HSET', [keys.purges, lifeOf(storage, marked), JSON.stringify(marked.purging)]);
  await removeRecord(registry, storage, group, marked);
  return marked.purging;
}

type Marked = GroupRecord & { readonly purging: PurgeRecord };

const isMarked = (record: GroupRecord): record is Marked => record.purging !== undefined;

async function mark(deps: PurgeDeps, storage: string, group: string, note: PurgeNote): Promise<Marked | undefined> {
  const { commands, keys, registry, claims, now } = deps;
  const record = await registry.group(storage);
  if (record === undefined) return undefined;
  assertUnused(group, await enginesOf(claims, storage));
  if (isMarked(record)) return record;
  const stats = await readStats(commands, keys, storage, await registry.joined(storage));
  const marked = { ...record, purging: purgeRecordOf(group, now(), note, stats) };
  if (!(await registry.replace(storage, record, marked))) return await mark(deps, storage, group, note);
  // An engine that claims from now on opens the group after the mark; one that claimed before may have opened it already.
  const engines = await enginesOf(claims, storage);
  if (engines.length > 0) await registry.replace(storage, marked, record);
  assertUnused(group, engines);
  return marked;
}

/** Done as well when nothing is left: another purge went on from the same mark, or the answer to ours was lost. */
async function removeRecord(registry: Registry, storage: string, group: string, marked: Marked): Promise<void> {
  const ours = JSON.stringify(marked.purging);
  for (let record: GroupRecord | undefined = marked; record !== undefined; record = await registry.group(storage)) {
    // It may have got another name; without our mark it is somebody's again.
    if (JSON.stringify(record.purging) !== ours) throw inUse(group, 'an engine opened while it was purged');
    if (await registry.remove(storage, record)) return;
  }
}

const enginesOf = async (claims: Claims, storage: string): Promise<readonly string[]> =>
  (await claims.users()).get(storage)?.engines ?? [];

/** A group that is made again after a purge is another one. */
const lifeOf = (storage: string, { activatedAt }: GroupRecord): string => `${storage}:${activatedAt}`;

/** The newest first. What was noted of a group whose life goes on is of a purge that did not come to its end. */
export async function readPurges(
  commands: Connection,
  keys: Keys,
  registry: Registry,
): Promise<readonly PurgeRecord[]> {
  const flat = (await commands.call('HGETALL', [keys.purges])) as string[];
  const going = new Set([...(await registry.groups())].map(([storage, record]) => lifeOf(storage, record)));
  const over = flat.filter((_, at) => at % 2 === 1 && !going.has(flat[at - 1] as string));
  return over.map((text) => JSON.parse(text) as PurgeRecord).sort((a, b) => b.at - a.at);
}
