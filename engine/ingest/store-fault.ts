/** What a failed `bus.publish` means to the publisher: was anything stored, and when to try again. Pure. */
import { IngestFault, type RefusalWord } from '../core/ingest-fault.ts';
import { EventFlowError } from '../errors.ts';

/** First match wins. Redis names its reason in the first word; SQLite and the network have theirs. */
const signs: readonly (readonly [RegExp, RefusalWord])[] = [
  [/\bOOM\b|maxmemory|disk is full|SQLITE_FULL|ENOSPC/, 'store_full'],
  [/\bREADONLY\b|readonly database|SQLITE_READONLY|EROFS/, 'store_readonly'],
  [/\bMISCONF\b|\bNOREPLICAS\b|SQLITE_IOERR|disk I\/O error/, 'store_degraded'],
  [/\bLOADING\b|\bCLUSTERDOWN\b|\bMASTERDOWN\b|\bTRYAGAIN\b/, 'store_unavailable'],
];

/** What the bus itself says, where the store said nothing. */
const codes: Readonly<Record<string, RefusalWord>> = {
  EF5001: 'store_unavailable',
  EF5011: 'store_unavailable',
  EF5014: 'store_unavailable',
  EF5023: 'store_degraded',
  EF5024: 'shutting_down',
};

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as Error & { code?: unknown };
  return `${typeof code === 'string' ? code : ''} ${error.message} ${error.cause === undefined ? '' : textOf(error.cause)}`;
}

/** Anything not known to mean "nothing was stored" is `outcome_unknown`: the only answer that is always true. */
export function storeFault(error: unknown): IngestFault {
  if (error instanceof IngestFault) return error;
  const text = textOf(error);
  const sign = signs.find(([pattern]) => pattern.test(text))?.[1];
  const said = error instanceof EventFlowError ? codes[error.code] : undefined;
  const word = sign ?? said ?? 'outcome_unknown';
  return new IngestFault(word, messages[word] ?? messages.outcome_unknown, [], { cause: error });
}

/** Words only: what the store said may hold names of hosts, so it goes to the log and not to the publisher. */
const messages: Partial<Record<RefusalWord, string>> & { outcome_unknown: string } = {
  store_full: 'the store is full: nothing was stored, repeat later',
  store_readonly: 'the store takes no writes: nothing was stored, repeat in a moment',
  store_degraded: 'the store cannot persist or replicate: repeat in a moment',
  shutting_down: 'the bus is closed: nothing was stored',
  store_unavailable: 'the store cannot be reached: repeat in a moment',
  outcome_unknown:
    'the store did not say whether the event was stored: safe to repeat with the same Idempotency-Key or id',
};
