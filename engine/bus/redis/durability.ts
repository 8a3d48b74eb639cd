/** Whether the server keeps what the durability mode promises. */
import type { BusOptions, Durability } from '../bus.ts';
import type { Connection } from './connection.ts';

type Mode = NonNullable<BusOptions['durability']>;

export async function checkDurability(commands: Connection, { mode, replicas = 1 }: Mode): Promise<Durability> {
  const reason = await weakness(commands, mode, replicas);
  return { mode, level: reason === undefined ? 'guaranteed' : 'best_effort', reason };
}

function weakness(commands: Connection, mode: Mode['mode'], replicas: number): Promise<string | undefined> | string {
  switch (mode) {
    case 'none':
      return 'durability is switched off: what was published can be lost when Redis ends';
    case 'fsync':
      return fsyncWeakness(commands);
    case 'replicated':
      return replicaWeakness(commands, replicas);
  }
}

async function fsyncWeakness(commands: Connection): Promise<string | undefined> {
  let settings: Map<string, string>;
  try {
    settings = pairs((await commands.call('CONFIG', ['GET', 'append*'])) as string[]);
  } catch (error) {
    return `Redis does not let its settings be read (${(error as Error).message}): set \`appendonly yes\` and \`appendfsync always\` there, and allow CONFIG GET`;
  }
  if (settings.get('appendonly') !== 'yes') {
    return 'Redis keeps its data in memory only: set `appendonly yes` and `appendfsync always`';
  }
  const fsync = settings.get('appendfsync');
  if (fsync === 'always') return undefined;
  return `Redis answers before its data is on disk (\`appendfsync ${fsync}\`): a power cut loses about a second; set \`appendfsync always\``;
}

async function replicaWeakness(commands: Connection, want: number): Promise<string | undefined> {
  const info = (await commands.call('INFO', ['replication'])) as string;
  const connected = info.match(/^slave\d+:.*\bstate=online\b/gm)?.length ?? 0;
  if (connected >= want) return undefined;
  return `expected ${want} connected replicas, got ${connected}: publishing is refused until they are there`;
}

function pairs(flat: readonly string[]): Map<string, string> {
  const map = new Map<string, string>();
  for (let at = 0; at + 1 < flat.length; at += 2) map.set(flat[at] as string, flat[at + 1] as string);
  return map;
}
