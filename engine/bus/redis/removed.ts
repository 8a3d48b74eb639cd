/** Groups whose route is gone: taking up what is due again in them, and removing them for good. */

import type { PurgeNote, PurgeRecord } from '../../core/purge.ts';
import { EventFlowError } from '../../errors.ts';
import type { Entry } from '../bus.ts';
import { purgeRecordOf } from '../purged.ts';
import type { Claims } from './claims.ts';
import type { Connection } from './connection.ts';
import { type Source, toEntry } from './entry.ts';
import { readStats } from './group-stats.ts';
import type { Keys } from './keys.ts';
import type { StreamReply } from './read-reply.ts';
import type { Registry } from './registry.ts';
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

/** Undefined: no such group. Rejects with EF6030 while a live engine has it. Repeating it after a fault finishes the job. */
export async function purge(
  { commands, keys, registry, claims, now }: PurgeDeps,
  group: string,
  note: PurgeNote,
): Promise<PurgeRecord | undefined> {
  const storage = await claims.storageOf(group);
  const record = await registry.group(storage);
  if (record === undefined) return undefined;
  const users = (await claims.users()).get(storage)?.engines ?? [];
  if (users.length > 0) {
    const message = `expected a group that no engine has a route for, got ${group}, which ${users.join(', ')} has`;
    throw new EventFlowError('EF6030', message);
  }
  const streams = await registry.joined(storage);
  const name = `${storage}:${record.activatedAt}`;
  const written = purgeRecordOf(group, now(), note, await readStats(commands, keys, storage, streams));
  // First, and once: a purge that was cut short finds less than there was.
  await commands.call('HSETNX', [keys.purges, name, JSON.stringify(written)]);
  for (const stream of streams) {
    const own = Object.values(keys.route(stream, storage)) as string[];
    await commands.eval(scripts.purge, [keys.stream(stream).events, ...own], [storage]);
  }
  await commands.call('UNLINK', [keys.turn(storage)]);
  // Last, so that a purge that was cut short can be repeated.
  await registry.remove(storage, record);
  return JSON.parse((await commands.call('HGET', [keys.purges, name])) as string) as PurgeRecord;
}

/** The newest first. */
export async function readPurges(commands: Connection, keys: Keys): Promise<readonly PurgeRecord[]> {
  const flat = (await commands.call('HGETALL', [keys.purges])) as string[];
  const records = flat.filter((_, at) => at % 2 === 1).map((text) => JSON.parse(text) as PurgeRecord);
  return records.sort((a, b) => b.at - a.at);
}
