/** Opens the database file: alone, durable, and with this version's tables. */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { EventFlowError } from '../../errors.ts';
import type { BusTime } from '../bus.ts';
import { lockFile, readOwner } from './owner.ts';
import { migrate } from './schema.ts';
import { ownTime } from './time.ts';

export type Row = Readonly<Record<string, never>>;

/** A connection, its prepared statements by their text, and the time that what is stored in it goes by. */
export class Database {
  readonly db: DatabaseSync;
  readonly time: BusTime;
  #statements = new Map<string, StatementSync>();

  constructor(db: DatabaseSync, time: BusTime) {
    this.db = db;
    this.time = time;
  }

  /** ms since the epoch. */
  now(): number {
    return this.time.clock();
  }

  sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.db.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  /** The database's file, as SQLite names it. */
  get file(): string {
    return this.db.location() ?? '';
  }

  /** First column of the first row. */
  value(text: string): unknown {
    return Object.values(this.db.prepare(text).get() ?? {})[0];
  }
}

/**
 * Throws `EF5002` when another process has the file, `EF5021` when it is of a newer version, `EF5022` when it cannot be
 * opened for any other reason.
 */
export async function openDatabase(path: string, time: BusTime = ownTime): Promise<Database> {
  const { DatabaseSync: Connection } = await importQuietly();
  let db: DatabaseSync | undefined;
  try {
    if (path !== ':memory:') await mkdir(dirname(path), { recursive: true });
    db = new Connection(path, { timeout: 0 });
    db.exec(pragmas);
    db.exec('BEGIN IMMEDIATE; COMMIT');
    migrate(db, path);
    return new Database(db, time);
  } catch (error) {
    db?.close();
    throw await explain(error, path);
  }
}

// Exclusive: the second process is kept out by the system, and SQLite needs no shared memory. Normal: a commit survives
// the death of the process; for the death of the machine see barrier.ts.
const pragmas = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  PRAGMA fullfsync = ON;
  PRAGMA wal_autocheckpoint = 2000;
  PRAGMA cache_size = -16384;
  PRAGMA temp_store = MEMORY;
`;

async function explain(error: unknown, path: string): Promise<unknown> {
  if (error instanceof EventFlowError) return error;
  const { message, errcode } = error as Error & { errcode?: number };
  if (errcode !== undefined && (errcode & 0xff) === busy) return inUse(path, error);
  const text = `expected ${path} to be a SQLite file that this process can read and write, got "${message}": check the path, its permissions and the disk`;
  return new EventFlowError('EF5022', text, { cause: error });
}

const busy = 5;

async function inUse(path: string, cause: unknown): Promise<EventFlowError> {
  const owner = await readOwner(path);
  const who = owner === undefined ? `a process that is not named in ${lockFile(path)}` : `process ${owner.pid}`;
  const instead = owner?.admin === undefined ? 'stop it first' : `talk to it at ${owner.admin}, or stop it first`;
  return new EventFlowError('EF5002', `expected to own the bus file ${path}, but ${who} has it: ${instead}`, { cause });
}

/** Node 22 warns that its SQLite is experimental; that one warning says nothing to a user of the bus. */
async function importQuietly(): Promise<typeof import('node:sqlite')> {
  const emit = process.emitWarning.bind(process);
  process.emitWarning = ((warning: string | Error, ...rest: never[]) => {
    if (!String(warning).includes('SQLite is an experimental feature')) emit(warning, ...rest);
  }) as typeof process.emitWarning;
  try {
    return await import('node:sqlite');
  } finally {
    process.emitWarning = emit;
  }
}
