/** A TCP proxy that can break in the ways networks do. */
import { connect, createServer, type Socket } from 'node:net';

/**
 * `pass`; `black`: swallows both directions and closes nothing, as a half-open link does; `dropReplies`: requests
 * arrive, answers do not.
 */
export type ProxyMode = 'pass' | 'black' | 'dropReplies';

export class TcpProxy {
  mode: ProxyMode = 'pass';
  /** Added to every answer, ms. */
  delayMs = 0;
  /** Where new links lead, on 127.0.0.1. */
  target: number;
  /** Links made since the start. */
  links = 0;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #server;
  #port = 0;

  private constructor(targetPort: number) {
    this.target = targetPort;
    this.#server = createServer((client) => this.#link(client, connect(this.target, '127.0.0.1')));
  }

  static async start(targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    const address = proxy.#server.address();
    proxy.#port = typeof address === 'object' && address !== null ? address.port : 0;
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  /** Ends all links that there are now; new ones can be made. */
  cut(): void {
    for (const [client, server] of this.#pairs) {
      client.destroy();
      server.destroy();
    }
    this.#pairs.clear();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #link(client: Socket, server: Socket): void {
    this.links += 1;
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    client.on('data', (chunk) => {
      if (this.mode !== 'black') server.write(chunk);
    });
    server.on('data', (chunk) => {
      if (this.mode !== 'pass') return;
      if (this.delayMs === 0) client.write(chunk);
      else setTimeout(() => client.write(chunk), this.delayMs);
    });
    for (const [here, there] of [pair, [server, client] as const]) {
      here.on('error', () => undefined);
      here.on('close', () => {
        this.#pairs.delete(pair);
        there.destroy();
      });
    }
  }
}
