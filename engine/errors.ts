/**
 * The error catalogue: one stable code, one title, one explanation each. A retired code is listed in `retiredCodes`
 * and never used again. Messages say: expected X, got Y, at this place, do this.
 *
 * EF1xxx the YAML text · EF2xxx the pipeline · EF3xxx plugins · EF4xxx ingest · EF5xxx the bus · EF6xxx engine and CLI
 */

export interface CatalogueEntry {
  /** What went wrong, in one line. */
  readonly title: string;
  /** Why it is an error, and what to do. Markdown, shown by `eventflow explain CODE`. */
  readonly help: string;
}

export const catalogue = {
  EF5001: {
    title: 'the bus is unreachable',
    help: 'The engine could not reach its bus. Check the URL in `--bus`, and that the server answers there.',
  },
  EF5002: {
    title: 'the embedded bus is in use',
    help: 'Another process owns this bus file. Talk to it over its admin address, or stop it first.',
  },
  EF5003: { title: 'unknown bus URL', help: 'Expected `sqlite:PATH`, `sqlite::memory:` or `redis://HOST:PORT/DB`.' },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof catalogue;

/** Codes that once were in use, with the version that dropped them. */
export const retiredCodes: Readonly<Record<string, string>> = {};

/** An error whose code is in the catalogue. `message` is for people; `code` is for programs. */
export class EventFlowError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EventFlowError';
    this.code = code;
  }
}

/** Bytes on a stream that are no event. Never leaves the worker: it becomes a dead letter. */
export class UndecodableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UndecodableError';
  }
}
