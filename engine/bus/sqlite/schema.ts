/**
 * The tables. Ids of entries are one number, `stream * span + n`: the rows of a stream lie together and in order, so
 * that a read is a range scan and needs no second index. Stream 0 stands for the `later` table, so that one pending
 * table serves both.
 */
import type { DatabaseSync } from 'node:sqlite';
import { EventFlowError } from '../../errors.ts';

/** Entries that a stream can hold over its whole life; leaves 2^17 streams in a safe integer. */
export const span = 2 ** 36;

const tables = `
  -- base: the highest n that was trimmed away
  CREATE TABLE stream (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, base INTEGER NOT NULL) STRICT;
  CREATE TABLE entry (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL, meta TEXT) STRICT;

  -- Keys of two windows, see keys.ts.
  CREATE TABLE dedupe0 (n INTEGER PRIMARY KEY, at INTEGER NOT NULL, key TEXT NOT NULL, entry INTEGER NOT NULL,
    fingerprint TEXT NOT NULL, event TEXT NOT NULL) STRICT;
  CREATE TABLE dedupe1 (n INTEGER PRIMARY KEY, at INTEGER NOT NULL, key TEXT NOT NULL, entry INTEGER NOT NULL,
    fingerprint TEXT NOT NULL, event TEXT NOT NULL) STRICT;
  -- Which of the two is being filled, and since when.
  CREATE TABLE dedupe_window (current INTEGER NOT NULL, since INTEGER NOT NULL) STRICT;
  INSERT INTO dedupe_window VALUES (0, 0);

  -- left_streams: accepted entries of streams that the group does not read any more
  CREATE TABLE grp (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, patterns TEXT NOT NULL, activated INTEGER NOT NULL,
    retention INTEGER NOT NULL, left_streams INTEGER NOT NULL DEFAULT 0, delivered INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0, unmatched INTEGER NOT NULL DEFAULT 0, dead INTEGER NOT NULL DEFAULT 0,
    redriven INTEGER NOT NULL DEFAULT 0, discarded INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0,
    retries INTEGER NOT NULL DEFAULT 0) STRICT;
  -- start: the n before the first entry that reached the group; next: the n that is read next
  CREATE TABLE cursor (grp INTEGER NOT NULL, stream INTEGER NOT NULL, start INTEGER NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (grp, stream)) STRICT, WITHOUT ROWID;
  CREATE TABLE pending (grp INTEGER NOT NULL, id INTEGER NOT NULL, starts INTEGER NOT NULL,
    PRIMARY KEY (grp, id)) STRICT, WITHOUT ROWID;

  -- Retries and redrives. phase 0: waits for due; 1: due; 2: handed out
  CREATE TABLE later (id INTEGER PRIMARY KEY, grp INTEGER NOT NULL, phase INTEGER NOT NULL, due INTEGER NOT NULL,
    stream TEXT NOT NULL, origin TEXT NOT NULL, published INTEGER NOT NULL, body TEXT NOT NULL, meta TEXT,
    state TEXT NOT NULL) STRICT;
  CREATE INDEX later_due ON later (grp, phase, due);
  CREATE TABLE dead (id INTEGER PRIMARY KEY AUTOINCREMENT, grp INTEGER NOT NULL, at INTEGER NOT NULL,
    reason TEXT NOT NULL, event TEXT, type TEXT, stream TEXT NOT NULL, origin TEXT NOT NULL, published INTEGER NOT NULL,
    body TEXT NOT NULL, meta TEXT, words TEXT NOT NULL) STRICT;
  CREATE INDEX dead_grp ON dead (grp);
  CREATE INDEX dead_event ON dead (event);

  CREATE TABLE journal (n INTEGER PRIMARY KEY, at INTEGER NOT NULL, grp INTEGER NOT NULL, line TEXT NOT NULL) STRICT;
  CREATE TABLE tally (name TEXT NOT NULL, bucket INTEGER NOT NULL, key TEXT NOT NULL, sum REAL NOT NULL,
    PRIMARY KEY (name, bucket, key)) STRICT, WITHOUT ROWID;
  CREATE TABLE breaker (key TEXT PRIMARY KEY, version INTEGER NOT NULL, state TEXT NOT NULL) STRICT, WITHOUT ROWID;
`;

/** What each version of the schema added to the one before it; a file keeps its version and is brought up to the last. */
const versions: readonly string[] = [
  tables,
  `ALTER TABLE later ADD COLUMN postponed INTEGER NOT NULL DEFAULT 0;
   CREATE INDEX later_postponed ON later (grp) WHERE phase = 0 AND postponed = 1;
   -- Permits of rate limits; ends: from then on the row says nothing any more.
   CREATE TABLE permits (key TEXT PRIMARY KEY, ends INTEGER NOT NULL, state TEXT NOT NULL) STRICT, WITHOUT ROWID;`,
  `DROP INDEX later_postponed;
   CREATE INDEX later_postponed ON later (grp, origin) WHERE phase = 0 AND postponed = 1;`,
  `-- storage: the group's name when it was made, and the same for all names that it gets; former: those it had, in JSON;
   -- removed: since when its route is gone
   ALTER TABLE grp ADD COLUMN storage TEXT NOT NULL DEFAULT '';
   ALTER TABLE grp ADD COLUMN former TEXT NOT NULL DEFAULT '[]';
   ALTER TABLE grp ADD COLUMN removed INTEGER;
   UPDATE grp SET storage = name;
   CREATE UNIQUE INDEX grp_storage ON grp (storage);`,
  `-- Groups that a person threw away: who, why and what, in JSON.
   CREATE TABLE purge (id INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;`,
  `-- The number of a group that was thrown away is never given again, and what it left behind goes.
   CREATE TABLE grp_next (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, patterns TEXT NOT NULL,
     activated INTEGER NOT NULL, retention INTEGER NOT NULL, left_streams INTEGER NOT NULL DEFAULT 0,
     delivered INTEGER NOT NULL DEFAULT 0, skipped INTEGER NOT NULL DEFAULT 0, unmatched INTEGER NOT NULL DEFAULT 0,
     dead INTEGER NOT NULL DEFAULT 0, redriven INTEGER NOT NULL DEFAULT 0, discarded INTEGER NOT NULL DEFAULT 0,
     dropped INTEGER NOT NULL DEFAULT 0, retries INTEGER NOT NULL DEFAULT 0, storage TEXT NOT NULL,
     former TEXT NOT NULL DEFAULT '[]', removed INTEGER) STRICT;
   INSERT INTO grp_next SELECT id, name, patterns, activated, retention, left_streams, delivered, skipped, unmatched,
     dead, redriven, discarded, dropped, retries, storage, former, removed FROM grp;
   DROP TABLE grp;
   ALTER TABLE grp_next RENAME TO grp;
   CREATE UNIQUE INDEX grp_storage ON grp (storage);
   DELETE FROM later WHERE grp NOT IN (SELECT id FROM grp);
   DELETE FROM dead WHERE grp NOT IN (SELECT id FROM grp);
   DELETE FROM pending WHERE grp NOT IN (SELECT id FROM grp);
   DELETE FROM cursor WHERE grp NOT IN (SELECT id FROM grp);
   DELETE FROM journal WHERE grp NOT IN (SELECT id FROM grp);`,
];

/** Makes the tables that the file does not have yet. Throws `EF5021` for a file of a newer version. */
export function migrate(db: DatabaseSync, path: string): void {
  const found = Number(Object.values(db.prepare('PRAGMA user_version').get() ?? {})[0]);
  if (found > versions.length) {
    const message = `expected a bus file of schema ${versions.length} or older, got schema ${found}, in ${path}: start the EventFlow version that wrote it, or name another file`;
    throw new EventFlowError('EF5021', message);
  }
  if (found === versions.length) return;
  db.exec(`BEGIN IMMEDIATE; ${versions.slice(found).join('')} PRAGMA user_version = ${versions.length}; COMMIT`);
}
