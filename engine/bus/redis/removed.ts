/** Groups whose route is gone: taking up what is due again in them, and removing them for good. */
import { EventFlowError } from '../../errors.ts';
import type { Entry, Purged } from '../bus.ts';
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
}

/** Undefined: no such group. Rejects with EF6030 while a live engine has it. Repeating it after a fault finishes the job. */
export async function purge(
  { commands, keys, registry, claims }: PurgeDeps,
  group: string,
): Promise<Purged | undefined> {
  const storage = await claims.storageOf(group);
  const record = await registry.group(storage);
  if (record === undefined) return undefined;
  const users = (await claims.users()).get(storage)?.engines ?? [];
  if (users.length > 0) {
    const message = `expected a group that no engine has a route for, got ${group}, which ${users.join(', ')} has`;
    throw new EventFlowError('EF6030', message);
  }
  const streams = await registry.joined(storage);
  const { lag, pending, retrying, due, dead } = await readStats(commands, keys, storage, streams);
  for (const stream of streams) {
    const own = Object.values(keys.route(stream, storage)) as string[];
    await commands.eval(scripts.purge, [keys.stream(stream).events, ...own], [storage]);
  }
  await commands.call('UNLINK', [keys.turn(storage)]);
  // Last, so that a purge that was cut short can be repeated.
  await registry.remove(storage, record);
  return { waiting: lag.reduce((sum, { entries }) => sum + entries, 0), pending, retrying, due, dead };
}
