/** From Redis's replies to entries. This is the hot path. */
import type { Entry } from '../bus.ts';
import type { DueState } from './records.ts';

/** One stream that a group reads: the events themselves, or what came back to life. */
export interface Source {
  readonly stream: string;
  readonly key: string;
  readonly due: boolean;
  /** Head of its entries' ids, so that they are unique within the group. */
  readonly tag: string;
}

/** What the bus remembers of an entry that it handed out. */
export class Slot {
  readonly source: Source;
  readonly id: string;
  /** Last sign of life, ms of `performance.now()`. */
  seenAt: number;
  /** Whether this hand-out was counted as a start. */
  counted: boolean;
  settled = false;
  /** The settlement that it is part of, so that it is not part of one twice. */
  settling: object | undefined;

  constructor(source: Source, id: string, seenAt: number, counted: boolean) {
    this.source = source;
    this.id = id;
    this.seenAt = seenAt;
    this.counted = counted;
  }
}

export const slotOf = (entry: Entry): Slot => entry.slot as Slot;

/** Field, value, field, value … */
type RawFields = readonly string[];

/** ms of a Redis stream id. */
const timeOf = (id: string): number => Number.parseInt(id, 10);

interface Content {
  readonly body: string;
  readonly meta: string | undefined;
  readonly due: DueState | undefined;
}

export function toEntry(
  source: Source,
  id: string,
  fields: RawFields,
  starts: number,
  counted: boolean,
  seenAt: number,
): Entry {
  const slot = new Slot(source, id, seenAt, counted);
  if (fields.length === 2 && fields[0] === 'd') return plain(slot, fields[1] ?? '', undefined, starts);
  const { body, meta, due } = contentOf(source, id, fields);
  if (due === undefined) return plain(slot, body, meta, starts);
  const { origin, publishedAt, meta: dueMeta, ...state } = due;
  return { stream: source.stream, id: source.tag + id, origin, body, meta: dueMeta, state, publishedAt, starts, slot };
}

function plain(slot: Slot, body: string, meta: string | undefined, starts: number): Entry {
  const { source, id } = slot;
  return {
    stream: source.stream,
    id: source.tag + id,
    origin: id,
    body,
    meta,
    state: undefined,
    publishedAt: timeOf(id),
    starts,
    slot,
  };
}

function contentOf(source: Source, id: string, fields: RawFields): Content {
  const named = new Map<string, string>();
  for (let at = 0; at + 1 < fields.length; at += 2) named.set(fields[at] ?? '', fields[at + 1] ?? '');
  const body = named.get('d');
  if (body !== undefined) return { body, meta: named.get('m'), due: dueOf(source, named.get('s')) };
  const type = named.get('type');
  if (type !== undefined) return foreign(source, id, type, named);
  // Neither ours nor an event: handed out as it is, so that it is dead-lettered with what it held.
  return { body: JSON.stringify(Object.fromEntries(named)), meta: undefined, due: undefined };
}

function dueOf(source: Source, state: string | undefined): DueState | undefined {
  if (!source.due || state === undefined) return undefined;
  return JSON.parse(state) as DueState;
}

/** `XADD key * type order.paid data '{…}'`: every field but `data` is an attribute. */
function foreign(source: Source, id: string, type: string, named: ReadonlyMap<string, string>): Content {
  const attributes: Record<string, string> = {
    specversion: '1.0',
    id,
    source: `/streams/${source.stream}`,
    type,
    time: new Date(timeOf(id)).toISOString(),
  };
  for (const [name, value] of named) {
    if (name !== 'data' && value !== '' && /^[a-z0-9]{1,20}$/.test(name)) attributes[name] = value;
  }
  return { body: named.get('data') ?? '', meta: JSON.stringify({ form: 'data', attributes }), due: undefined };
}
