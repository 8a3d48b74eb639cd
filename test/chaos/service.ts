/** A service that handlers call: it writes down what it got before it answers, and answers as a fault wants. */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** One event as the service saw it: when it first came, and how often. */
interface Arrival {
  readonly at: number;
  times: number;
}

/**
 * What the service answers; undefined: 200. `hang`: nothing at all, and `drip`: a body of a byte each 300 ms that never
 * ends: neither counts as taken. `flood`: a success whose body never ends, as fast as it is read.
 */
export type Answer =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly afterMs?: number }
  | 'hang'
  | 'drip'
  | 'flood'
  | undefined;

export class Service {
  readonly arrivals = new Map<string, Arrival>();
  requests = 0;
  /** Requests that wait for their answer, and the most that ever did. */
  open = 0;
  mostOpen = 0;
  /** Answers that had no end, when the client had enough of them: after how many ms, and of which length. */
  readonly cut: { readonly how: 'hang' | 'drip' | 'flood'; readonly ms: number; readonly bytes: number }[] = [];
  answer: (id: string, headers: IncomingHttpHeaders, path: string) => Answer = () => undefined;
  /** Called when an event was written down and nothing has been answered yet; the answer waits for it. */
  taken: ((id: string, headers: IncomingHttpHeaders) => Promise<void> | undefined) | undefined;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response).catch(() => undefined));
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { id } = JSON.parse(Buffer.concat(chunks).toString()) as { id: string };
    this.#opened(response);
    const answer = this.answer(id, request.headers, request.url ?? '/');
    if (answer === 'flood') this.#take(id);
    if (answer === 'hang' || answer === 'drip' || answer === 'flood') return this.#goOn(response, answer);
    if (answer?.afterMs !== undefined) await sleep(answer.afterMs, undefined, { ref: false });
    if (response.destroyed) return; // Whoever asked has gone: nothing was done.
    const status = answer?.status ?? 200;
    if (status < 300) {
      this.#take(id);
      await this.taken?.(id, request.headers);
    }
    response.writeHead(status, answer?.headers).end();
  }

  #opened(response: ServerResponse): void {
    this.requests += 1;
    this.open += 1;
    // When what came at the same moment has been seen too: a request that was given up makes room for this one.
    setImmediate(() =>
      setImmediate(() => {
        this.mostOpen = Math.max(this.mostOpen, this.open);
      }),
    );
    response.once('close', () => {
      this.open -= 1;
    });
  }

  /** Ends with the link. */
  #goOn(response: ServerResponse, how: 'hang' | 'drip' | 'flood'): void {
    const began = Date.now();
    let bytes = 0;
    const body = bodies[how]();
    body.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    response.once('close', () => {
      body.destroy();
      this.cut.push({ how, ms: Date.now() - began, bytes });
    });
    if (how !== 'hang') response.writeHead(200, { 'content-length': String(2 ** 30) });
    body.pipe(response);
  }

  #take(id: string): void {
    const known = this.arrivals.get(id);
    if (known === undefined) this.arrivals.set(id, { at: Date.now(), times: 1 });
    else known.times += 1;
  }
}

async function* drops(): AsyncGenerator<Buffer> {
  for (;;) {
    yield Buffer.from('.');
    await sleep(300);
  }
}

const chunk = Buffer.alloc(16 * 1024, '.');

const bodies = {
  hang: () => new Readable({ read: () => undefined }),
  drip: () => Readable.from(drops()),
  flood: () =>
    new Readable({
      read() {
        this.push(chunk);
      },
    }),
};
