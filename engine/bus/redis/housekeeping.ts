/** What keeps the store small, done by any engine at any time. Nothing here touches what one group still needs. */
import { readsStream, type StreamRule } from '../../core/match.ts';
import type { Connection } from './connection.ts';
import type { Keys } from './keys.ts';
import type { Registry } from './registry.ts';
import { scripts } from './scripts.ts';

const batch = 10_000;
/** Consumers that hold nothing and were silent for so long are gone, ms. */
const reapAfterMs = 3_600_000;

export interface HousekeepingDeps {
  readonly commands: Connection;
  readonly keys: Keys;
  readonly registry: Registry;
  readonly rules: readonly StreamRule[];
  readonly now: () => number;
  readonly retentionMs: number;
  readonly journalRetentionMs: number;
}

/** Resolves to the number of events removed. */
export async function keepHouse(deps: HousekeepingDeps): Promise<number> {
  const { registry } = deps;
  await registry.refresh();
  const groups = await registry.groups();
  const readers = new Map([...registry.streams].map((stream) => [stream, [] as string[]]));
  for (const [group, { deadLetter, patterns }] of groups) {
    const joined = new Set(await registry.joined(group));
    for (const stream of joined) await tidyRoute(deps, stream, group, deadLetter.retention);
    for (const [stream, names] of readers) {
      // A group that has not joined yet will, from the beginning: until then nothing goes.
      if (joined.has(stream) || readsStream(patterns, deps.rules, stream)) names.push(group);
    }
  }
  let removed = 0;
  for (const [stream, names] of readers) removed += await trimStream(deps, stream, names);
  return removed;
}

async function trimStream(deps: HousekeepingDeps, stream: string, groups: readonly string[]): Promise<number> {
  const { commands, keys, retentionMs, journalRetentionMs, now } = deps;
  const { events, journal } = keys.stream(stream);
  const oldestLine = Math.max(0, now() - journalRetentionMs);
  await commands.call('XTRIM', [journal, 'MINID', '~', `${oldestLine}-0`]);
  let removed = 0;
  for (;;) {
    const some = (await commands.eval(scripts.trim, [events], [retentionMs, batch, ...groups])) as number;
    removed += some;
    if (some < batch) return removed;
  }
}

async function tidyRoute(deps: HousekeepingDeps, stream: string, group: string, retention: number): Promise<void> {
  const { commands, keys } = deps;
  const route = keys.route(stream, group);
  const letters = [route.dead, route.deadBody, route.totals];
  while (((await commands.eval(scripts.expire, letters, [retention, 1_000])) as number) === 1_000);
  for (const key of [keys.stream(stream).events, route.due]) {
    await commands.eval(scripts.reap, [key], [group, reapAfterMs]).catch((error: Error) => {
      // A lost group has no consumers; it is made again by whoever reads it.
      if (!error.message.includes('NOGROUP')) throw error;
    });
  }
}
