/** Refusals as RFC 9457 problem details. */
import { IngestFault, refusals } from '../core/ingest-fault.ts';
import { catalogue, EventFlowError } from '../errors.ts';
import { storeFault } from '../ingest/store-fault.ts';

/** `code` is the stable word for programs, `errorCode` the number that `eventflow explain` knows. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly errorCode: string;
  readonly errors?: readonly { readonly pointer?: string; readonly detail: string }[];
}

export const problemType = 'application/problem+json; charset=utf-8';

export function problemOf(fault: IngestFault): Problem {
  const { status, code: errorCode } = refusals[fault.word];
  return {
    type: `urn:eventflow:problem:${fault.word}`,
    title: catalogue[errorCode].title,
    status,
    detail: fault.message.toWellFormed(),
    code: fault.word,
    errorCode,
    ...(fault.places.length === 0 ? {} : { errors: fault.places.slice(0, 20) }),
  };
}

/** Headers that an answer with this problem carries beside its content type. */
export function problemHeaders(fault: IngestFault): Readonly<Record<string, string>> {
  const refusal = refusals[fault.word];
  return 'retryAfter' in refusal ? { 'retry-after': String(refusal.retryAfter) } : {};
}

/** The whole answer in bytes, for a socket on which no request could be read. */
export function rawProblem(fault: IngestFault): string {
  const body = JSON.stringify(problemOf(fault));
  const status = refusals[fault.word].status;
  return `HTTP/1.1 ${status} ${reasons[status] ?? 'Bad Request'}\r\nContent-Type: ${problemType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}

const reasons: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};

/** The server library's own refusals, by their status. */
function fromStatus(status: number, message: string): IngestFault {
  switch (status) {
    case 413:
      return new IngestFault('too_large', message);
    case 415:
      return new IngestFault('unsupported_media_type', message);
    default:
      return new IngestFault('bad_request', message);
  }
}

/** What to answer to anything that was thrown: never more than "unknown", since something may have been stored. */
export function faultOf(error: unknown): IngestFault {
  if (error instanceof IngestFault) return error;
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  if (!(error instanceof EventFlowError) && typeof status === 'number' && status >= 400 && status < 500) {
    return fromStatus(status, (error as Error).message);
  }
  return storeFault(error);
}
