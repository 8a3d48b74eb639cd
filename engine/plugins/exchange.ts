/** One HTTP request and its answer: a total deadline, an aborting caller and an answer that never ends are all met here. */
import type { Dispatcher } from 'undici';
import { type HttpResponse, hintOf, permanent, withHint } from '../plugin.ts';

const connectionCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ETIMEDOUT',
  'UND_ERR_SOCKET',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_OVERFLOW',
]);
const dnsCode = /^(ENOTFOUND|ENODATA|ESERVFAIL|EAI_[A-Z]+)$/;
const tlsCode = /^(CERT_|ERR_TLS_|ERR_SSL_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|EPROTO)/;

function wrap(origin: string, error: Error, code: string, said: string): Error {
  const message = error.message === '' ? code : error.message;
  return new Error(`${origin}: ${said}${message}`, { cause: error });
}

/** Says of a failed exchange what it was. The message names the origin only: a path can be a secret. */
function classify(origin: string, error: Error & { code?: string }): Error {
  if (Object.keys(hintOf(error)).length > 0) return error;
  const code = error.code ?? error.name;
  if (dnsCode.test(code)) return withHint(wrap(origin, error, code, ''), { kind: 'dns', code });
  if (tlsCode.test(code)) return withHint(wrap(origin, error, code, 'TLS: '), { kind: 'connection', code: 'tls' });
  if (error.name === 'HTTPParserError') {
    return withHint(wrap(origin, error, code, 'no HTTP: '), { kind: 'connection', code: 'bad_answer' });
  }
  if (connectionCodes.has(code)) return withHint(wrap(origin, error, code, ''), { kind: 'connection', code });
  if (code === 'UND_ERR_INVALID_ARG') {
    return permanent(withHint(wrap(origin, error, code, 'the request cannot be sent: '), { code: 'bad_request' }));
  }
  return withHint(wrap(origin, error, code, ''), { kind: 'connection', code });
}

const timedOut = ({ origin, timeout }: Bounds): Error =>
  withHint(new Error(`${origin}: expected an answer within ${timeout} ms, got none or only a part of one`), {
    kind: 'timeout',
    code: 'timeout',
  });

const enough = new Error('the rest of the answer is not wanted');

export interface Bounds {
  readonly origin: string;
  /** From here to the last byte of the answer, ms. */
  readonly timeout: number;
  /** Bytes of the answer that are kept. */
  readonly limit: number;
  readonly signal: AbortSignal | undefined;
}

const runOut = (exchange: Exchange): void => exchange.expire();

export class Exchange implements Dispatcher.DispatchHandler {
  readonly #bounds: Bounds;
  readonly #resolve: (response: HttpResponse) => void;
  readonly #reject: (reason: Error) => void;
  readonly #timer: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | undefined;
  #over = false;
  #status = 0;
  #headers: HttpResponse['headers'] = {};
  #chunks: Buffer[] = [];
  #size = 0;

  constructor(bounds: Bounds, resolve: (response: HttpResponse) => void, reject: (reason: Error) => void) {
    this.#bounds = bounds;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timer = setTimeout(runOut, bounds.timeout, this);
    bounds.signal?.addEventListener('abort', this);
  }

  /** Too late. */
  expire(): void {
    this.#fail(timedOut(this.#bounds));
  }

  /** The signal's abort: the exchange is its own listener, since a closure for each would cost more. */
  handleEvent(): void {
    const reason: unknown = this.#bounds.signal?.reason;
    this.#fail(reason instanceof Error ? reason : new Error('the request was aborted', { cause: reason }));
  }

  /** True the first time: whatever comes after the end changes nothing. */
  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#bounds.signal?.removeEventListener('abort', this);
    return true;
  }

  #fail(reason: Error): void {
    if (!this.#end()) return;
    this.#reject(reason);
    this.#controller?.abort(reason);
  }

  #finish(): void {
    if (!this.#end()) return;
    this.#resolve({ status: this.#status, headers: this.#headers, body: this.#text() });
  }

  #text(): string {
    const [only] = this.#chunks;
    if (only === undefined) return '';
    return (this.#chunks.length === 1 ? only : Buffer.concat(this.#chunks)).toString('utf8', 0, this.#bounds.limit);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // It may have waited for a connection for longer than its caller did: then nothing is sent.
    if (this.#over) controller.abort(enough);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: HttpResponse['headers']): void {
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size <= this.#bounds.limit) return;
    this.#finish();
    controller.abort(enough);
  }

  onResponseEnd(): void {
    this.#finish();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.refused(error);
  }

  /** It could not be sent, or broke off. */
  refused(error: Error): void {
    this.#fail(classify(this.#bounds.origin, error));
  }
}
