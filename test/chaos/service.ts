/** A service that handlers call: it writes down what it got before it answers, and answers as a fault wants. */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** One event as the service saw it: when it first came, and how often. */
interface Arrival {
  readonly at: number;
  times: number;
}

/** What the service answers; undefined: 200. `hang`: nothing at all, and what came does not count as taken. */
export type Answer =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly afterMs?: number }
  | 'hang'
  | undefined;

export class Service {
  readonly arrivals = new Map<string, Arrival>();
  requests = 0;
  answer: (id: string, headers: IncomingHttpHeaders) => Answer = () => undefined;
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
    this.requests += 1;
    const answer = this.answer(id, request.headers);
    if (answer === 'hang') return;
    if (answer?.afterMs !== undefined) await sleep(answer.afterMs);
    const status = answer?.status ?? 200;
    if (status < 300) {
      this.#take(id);
      await this.taken?.(id, request.headers);
    }
    response.writeHead(status, answer?.headers).end();
  }

  #take(id: string): void {
    const known = this.arrivals.get(id);
    if (known === undefined) this.arrivals.set(id, { at: Date.now(), times: 1 });
    else known.times += 1;
  }
}
