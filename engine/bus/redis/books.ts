/** Reading what settlements wrote beside their acks: the journal and the tallies, over all streams. */
import type { JournalLine, Tally } from '../bus.ts';
import type { Connection } from './connection.ts';
import type { Keys } from './keys.ts';

const page = 100;

/** Newest first, merged from the journals of all streams, a page of each at a time. */
export async function* readJournal(
  commands: Connection,
  keys: Keys,
  streams: readonly string[],
): AsyncIterable<JournalLine> {
  const pages = streams.map((stream) => new Pages(commands, keys.stream(stream).journal));
  const heads = await Promise.all(pages.map((pages) => pages.next()));
  for (;;) {
    let newest = -1;
    for (let at = 0; at < heads.length; at += 1) {
      const head = heads[at];
      if (head !== undefined && head.at > (heads[newest]?.at ?? -1)) newest = at;
    }
    const line = heads[newest];
    if (line === undefined) return;
    yield line;
    heads[newest] = await pages[newest]?.next();
  }
}

type JournalEntry = readonly [id: string, fields: readonly string[]];

class Pages {
  readonly #commands: Connection;
  readonly #key: string;
  #lines: JournalEntry[] = [];
  #end = '+';

  constructor(commands: Connection, key: string) {
    this.#commands = commands;
    this.#key = key;
  }

  async next(): Promise<JournalLine | undefined> {
    if (this.#lines.length === 0) {
      this.#lines = (await this.#commands.call('XREVRANGE', [
        this.#key,
        this.#end,
        '-',
        'COUNT',
        page,
      ])) as JournalEntry[];
      const last = this.#lines.at(-1);
      if (last !== undefined) this.#end = `(${last[0]}`;
    }
    const entry = this.#lines.shift();
    if (entry === undefined) return undefined;
    const [id, fields] = entry;
    return { at: Number.parseInt(id, 10), group: fields[1] ?? '', line: fields[3] ?? '' };
  }
}

/** Sums per bucket and key over all streams. */
export async function readTallies(
  commands: Connection,
  keys: Keys,
  streams: readonly string[],
  name: string,
  from: number,
  to: number,
): Promise<readonly Tally[]> {
  const sums = new Map<string, Tally>();
  for (const stream of streams) {
    const members = (await commands.call('ZRANGEBYSCORE', [keys.stream(stream).tallies, from, `(${to}`])) as string[];
    for (const member of members) {
      if (!member.startsWith(`${name}|`)) continue;
      const bucket = Number(member.slice(name.length + 1));
      const flat = (await commands.call('HGETALL', [keys.tally(stream, name, bucket)])) as string[];
      for (let at = 0; at + 1 < flat.length; at += 2) {
        const key = flat[at] as string;
        const by = Number(flat[at + 1]) + (sums.get(`${bucket}|${key}`)?.by ?? 0);
        sums.set(`${bucket}|${key}`, { name, bucket, key, by });
      }
    }
  }
  return [...sums.values()].sort((a, b) => a.bucket - b.bucket || (a.key < b.key ? -1 : 1));
}

export async function readTallyNames(
  commands: Connection,
  keys: Keys,
  streams: readonly string[],
): Promise<readonly string[]> {
  const members = await Promise.all(
    streams.map(async (stream) => (await commands.call('ZRANGE', [keys.stream(stream).tallies, 0, -1])) as string[]),
  );
  return [...new Set(members.flat().map((member) => member.slice(0, member.indexOf('|'))))].sort();
}
