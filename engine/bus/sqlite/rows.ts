/** Rows of the two tables that entries come from, and the entries that they make. */
import type { DeliveryState } from '../../core/delivery.ts';
import type { Entry } from '../bus.ts';
import { span } from './schema.ts';
import type { Lease } from './state.ts';

/**
 * Text as it is stored. Node 22 reads a text only up to its first zero character, so one that has any is stored as JSON
 * behind a mark, and so is one that starts like the mark.
 */
export const storedText = (text: string): string =>
  text.includes('\0') || text.startsWith(mark) ? mark + JSON.stringify(text) : text;

export const givenText = (stored: string): string =>
  stored.startsWith(mark) ? (JSON.parse(stored.slice(mark.length)) as string) : stored;

const mark = '\u0001';

/** A row of the `entry` table; `body` is stored text. */
export interface EntryRow {
  readonly id: number;
  readonly at: number;
  readonly body: string;
  readonly meta: string | null;
}

/** A row of the `later` table; `body` is stored text. */
export interface LaterRow {
  readonly id: number;
  readonly stream: string;
  readonly origin: string;
  readonly published: number;
  readonly body: string;
  readonly meta: string | null;
  readonly state: string;
}

export const laterColumns = 'SELECT id, stream, origin, published, body, meta, state FROM later';

/** Whether an entry came from the `later` table. */
export const isLater = ({ id }: { readonly id: number }): boolean => id < span;

export const newEntry = (row: EntryRow, stream: string, lease: Lease): Entry => ({
  stream,
  id: String(row.id),
  origin: String(row.id % span),
  body: givenText(row.body),
  meta: row.meta ?? undefined,
  state: undefined,
  publishedAt: row.at,
  starts: lease.starts,
  slot: lease,
});

export const laterEntry = (row: LaterRow, lease: Lease): Entry => ({
  stream: row.stream,
  id: String(row.id),
  origin: row.origin,
  body: givenText(row.body),
  meta: row.meta ?? undefined,
  state: JSON.parse(row.state) as DeliveryState,
  publishedAt: row.published,
  starts: lease.starts,
  slot: lease,
});
