/** The ingest listener of a running engine, seen as something that events can be published to. */
import { type Dispatcher, Pool } from 'undici';
import { IngestFault, type RefusalWord, refusals } from '../core/ingest-fault.ts';
import type { Prepared } from '../core/prepare.ts';

export type RemoteResult =
  | {
      readonly kind: 'accepted';
      readonly eventId: string;
      readonly duplicate: boolean;
      readonly warnings: readonly string[];
    }
  | { readonly kind: 'refused'; readonly fault: IngestFault };

interface Problem {
  readonly code?: string;
  readonly detail?: string;
}

interface Receipt {
  readonly status?: number;
  readonly id?: string;
  readonly duplicate?: boolean;
  readonly warnings?: readonly string[];
  readonly problem?: Problem;
}

const maxRequestBytes = 900 * 1024;
const maxRequestItems = 500;

/** Requests that the listener takes: a key of one's own goes in a header, so such an event travels alone. */
function* requestsOf(items: readonly Prepared[]): Generator<readonly Prepared[]> {
  let group: Prepared[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = Buffer.byteLength(item.event.body) + 1;
    const fits = item.idempotencyKey === undefined && bytes + size <= maxRequestBytes && group.length < maxRequestItems;
    if (!fits && group.length > 0) {
      yield group;
      group = [];
      bytes = 0;
    }
    if (item.idempotencyKey !== undefined) yield [item];
    else {
      group.push(item);
      bytes += size;
    }
  }
  if (group.length > 0) yield group;
}

const isWord = (code: string | undefined): code is RefusalWord => code !== undefined && Object.hasOwn(refusals, code);

function faultOf(problem: Problem | undefined, status: number, url: string): IngestFault {
  const { code, detail } = problem ?? {};
  if (isWord(code)) return new IngestFault(code, detail ?? code);
  const word =
    status === 429 || status === 503 ? 'store_unavailable' : status >= 500 ? 'outcome_unknown' : 'bad_request';
  return new IngestFault(word, `expected status 202 from ${url}, got ${status}`);
}

/** Refused or unknown to DNS: nothing was sent. Anything else may have arrived. */
function unreachable(cause: unknown, url: string): IngestFault {
  const { code, message } = cause as Error & { code?: string };
  const sent = !['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'].includes(code ?? '');
  const detail = `expected an engine at ${url}, got ${code ?? message}`;
  return new IngestFault(sent ? 'outcome_unknown' : 'store_unavailable', detail, [], { cause });
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function resultOf(receipt: Receipt, url: string): RemoteResult {
  if (typeof receipt.id !== 'string') {
    return { kind: 'refused', fault: faultOf(receipt.problem, receipt.status ?? 500, url) };
  }
  const { id, duplicate, warnings } = receipt;
  return { kind: 'accepted', eventId: id, duplicate: duplicate === true, warnings: warnings ?? [] };
}

export interface Remote {
  /** Results in order. Rejects with {@link IngestFault} when the listener took none of them, or did not say. */
  publish(items: readonly Prepared[]): Promise<readonly RemoteResult[]>;
  close(): Promise<void>;
}

/** The form of the address only: it may hold a password. */
function endpointOf(url: string): URL {
  const protocol = URL.canParse(url) ? new URL(url).protocol : undefined;
  if (protocol === 'http:' || protocol === 'https:') return new URL('v1/events', url.endsWith('/') ? url : `${url}/`);
  const got = protocol === undefined ? 'a text that is no URL' : `one of ${protocol}`;
  throw new TypeError(
    `expected url to be the ingest address of an engine, such as http://127.0.0.1:8787, got ${got}: for a bus, give { bus: await openBus(URL) }`,
  );
}

/** `url`: base of an ingest listener, such as `http://127.0.0.1:8787`. Throws `TypeError` for anything else. */
export function openRemote(url: string, timeoutMs: number): Remote {
  const endpoint = endpointOf(url);
  const pool = new Pool(endpoint.origin, { connections: 4 });

  const request: Pool['request'] = async (options: Dispatcher.RequestOptions) => {
    try {
      return await pool.request(options);
    } catch (cause) {
      throw unreachable(cause, endpoint.href);
    }
  };

  async function post(items: readonly Prepared[], signal: AbortSignal): Promise<readonly RemoteResult[]> {
    const key = items[0]?.idempotencyKey;
    const { statusCode, body } = await request({
      method: 'POST',
      path: endpoint.pathname,
      headers: { 'content-type': 'application/x-ndjson', ...(key === undefined ? {} : { 'idempotency-key': key }) },
      body: items.map((item) => item.event.body).join('\n'),
      signal,
    });
    const answer = readJson(await body.text()) as (Problem & { results?: readonly Receipt[] }) | undefined;
    const results = answer?.results;
    if (results === undefined || results.length !== items.length) throw faultOf(answer, statusCode, endpoint.href);
    return results.map((receipt) => resultOf(receipt, endpoint.href));
  }

  async function publish(items: readonly Prepared[]): Promise<readonly RemoteResult[]> {
    const signal = AbortSignal.timeout(timeoutMs);
    const results: RemoteResult[] = [];
    for (const group of requestsOf(items)) results.push(...(await post(group, signal)));
    return results;
  }

  return { publish, close: () => pool.close() };
}
