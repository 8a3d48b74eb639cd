/** Whether the server keeps what the durability mode promises. Asked of every master: the weakest one counts. */
import type { BusOptions, Durability } from '../bus.ts';
import { type AskMasters, flatPairs, infoPairs } from './ask.ts';

type Mode = NonNullable<BusOptions['durability']>;

export async function checkDurability(ask: AskMasters, { mode, replicas = 1 }: Mode): Promise<Durability> {
  const reason = await weakness(ask, mode, replicas);
  return { mode, level: reason === undefined ? 'guaranteed' : 'best_effort', reason };
}

async function weakness(ask: AskMasters, mode: Mode['mode'], replicas: number): Promise<string | undefined> {
  switch (mode) {
    case 'none':
      return 'switched off by `durability.mode: none`: what was published can be lost when Redis ends';
    case 'fsync':
      return (await unsyncedFile(ask)) ?? (await fileWeakness(ask));
    case 'replicated':
      return await replicaWeakness(ask, replicas);
  }
}

const settings = ['appendonly', 'appendfsync', 'no-appendfsync-on-rewrite'] as const;

/** What the settings of the append-only file leave open. */
async function unsyncedFile(ask: AskMasters): Promise<string | undefined> {
  try {
    for (const reply of await ask('CONFIG', ['GET', ...settings])) {
      const found = settingsWeakness(flatPairs(reply as readonly string[]));
      if (found !== undefined) return found;
    }
    return undefined;
  } catch (error) {
    const text = (error as Error).message;
    if (!isRefusal(text)) throw error;
    return `Redis does not let its settings be read (${text}), so nobody knows whether it syncs: set \`appendonly yes\` and \`appendfsync always\` there, and allow this user CONFIG GET (\`+config|get\`)`;
  }
}

/** NOPERM, or the name of the command was taken away: managed servers do so. */
const isRefusal = (text: string): boolean => /\bNOPERM\b|\bunknown command\b/i.test(text);

function settingsWeakness(of: ReadonlyMap<string, string>): string | undefined {
  if (of.get('appendonly') !== 'yes') {
    return 'Redis keeps its data in memory only: set `appendonly yes` and `appendfsync always`';
  }
  const fsync = of.get('appendfsync');
  if (fsync !== 'always') {
    return `Redis answers before its data is on disk (\`appendfsync ${fsync}\`): a power cut loses about a second; set \`appendfsync always\``;
  }
  if (of.get('no-appendfsync-on-rewrite') === 'yes') {
    return 'Redis does not sync while it rewrites its append-only file (`no-appendfsync-on-rewrite yes`): a power cut then loses what was written since; set it to `no`';
  }
  return undefined;
}

/** What happened to the append-only file, whatever its settings say. */
async function fileWeakness(ask: AskMasters): Promise<string | undefined> {
  for (const reply of await ask('INFO', ['persistence'])) {
    const of = infoPairs(reply as string);
    if (of.get('aof_enabled') === '0')
      return 'Redis has no append-only file open: look at its log, and set `appendonly yes`';
    if (of.get('aof_last_write_status') === 'err') {
      return 'Redis could not write its append-only file the last time: look at its disk and its log';
    }
  }
  return undefined;
}

async function replicaWeakness(ask: AskMasters, want: number): Promise<string | undefined> {
  for (const reply of await ask('INFO', ['replication'])) {
    const connected = (reply as string).match(/^slave\d+:.*\bstate=online\b/gm)?.length ?? 0;
    if (connected < want) {
      return `expected ${want} connected replicas, got ${connected}: publishing is refused until they are there`;
    }
  }
  return undefined;
}
