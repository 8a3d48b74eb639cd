/**
 * The stage of one fault: a Redis of its own behind a proxy, engines as processes, a publisher that repeats until it is
 * acknowledged, and a service that writes down what it got before it answers.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EngineChild, spawnEngine } from '../support/engine-process.ts';
import { TcpProxy } from '../support/proxy.ts';
import { type RedisProcess, startRedisProcess } from '../support/redis.ts';

/** The tests' lease: short, so that recovery can be waited for. */
export const leaseMs = 3_000;
/** Lease, one sweep, and a second for everything else. */
export const recoveryBound = leaseMs + 1_000 + 1_000;

/** One event as the service saw it: when it first came, and how often. */
interface Arrival {
  readonly at: number;
  times: number;
}

/** What the service answers; undefined: 200. `hang`: nothing at all. */
export type Answer =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly afterMs?: number }
  | 'hang'
  | undefined;

export class Service {
  readonly arrivals = new Map<string, Arrival>();
  requests = 0;
  answer: (id: string) => Answer = () => undefined;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
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
    const answer = this.answer(id);
    if (answer === 'hang') return;
    if (answer?.afterMs !== undefined) await sleep(answer.afterMs);
    const status = answer?.status ?? 200;
    if (status < 300) this.#take(id);
    response.writeHead(status, answer?.headers).end();
  }

  #take(id: string): void {
    const known = this.arrivals.get(id);
    if (known === undefined) this.arrivals.set(id, { at: Date.now(), times: 1 });
    else known.times += 1;
  }
}

export interface StageOptions {
  readonly engines: number;
  /** Whether the engines reach Redis through a proxy that can break. */
  readonly proxied: boolean;
  readonly redisArgs: readonly string[];
  /** Fields of the route, in YAML. */
  readonly route: string;
}

const pipeline = (url: string, route: string): string => `
apiVersion: eventflow/v1
kind: Pipeline
name: chaos
routes:
  - id: main
    on: [chaos.event]
    handler: webhook
    startFrom: beginning
    ${route}
    with: { url: "${url}/main" }
  - id: other
    on: [chaos.event]
    handler: webhook
    startFrom: beginning
    circuitBreaker: false
    retry: { maxAttempts: 50, initialInterval: 50ms, maxInterval: 500ms }
    with: { url: "OTHER/other" }
`;

export class Stage {
  readonly folder: string;
  readonly redis: RedisProcess;
  readonly proxy: TcpProxy | undefined;
  readonly main: Service;
  /** A second route on the same events, whose service never fails: what the fault must not touch. */
  readonly other: Service;
  readonly engines: (EngineChild | undefined)[] = [];
  /** When each event was acknowledged to its publisher, by id. */
  readonly acknowledged = new Map<string, number>();
  readonly #text: string;

  private constructor(
    folder: string,
    redis: RedisProcess,
    proxy: TcpProxy | undefined,
    main: Service,
    other: Service,
    text: string,
  ) {
    this.folder = folder;
    this.redis = redis;
    this.proxy = proxy;
    this.main = main;
    this.other = other;
    this.#text = text;
  }

  static async open({ engines, proxied, redisArgs, route }: StageOptions): Promise<Stage> {
    const folder = await mkdtemp(join(tmpdir(), 'eventflow-chaos-'));
    const redis = await startRedisProcess({ args: redisArgs });
    const proxy = proxied ? await TcpProxy.start(redis.port) : undefined;
    const [main, other] = [new Service(), new Service()];
    const text = pipeline(await main.start(), route).replace('OTHER', await other.start());
    await writeFile(join(folder, 'chaos.yaml'), text);
    const stage = new Stage(folder, redis, proxy, main, other, text);
    for (let at = 0; at < engines; at += 1) await stage.startEngine(at);
    return stage;
  }

  get busUrl(): string {
    return this.proxy === undefined ? this.redis.url : `redis://127.0.0.1:${this.proxy.port}/0`;
  }

  async startEngine(at: number): Promise<void> {
    this.engines[at] = await spawnEngine(['--bus', this.busUrl, '--pipelines', this.folder], {
      EVENTFLOW_HTTP_EGRESS_ALLOW_PRIVATE_NETWORKS: 'true',
      EVENTFLOW_DELIVERY_LEASE: `${leaseMs}ms`,
    });
  }

  engine(at: number): EngineChild {
    const engine = this.engines[at];
    if (engine === undefined) throw new Error(`expected engine ${at} to run, it does not`);
    return engine;
  }

  async killEngine(at: number): Promise<void> {
    const engine = this.engine(at);
    this.engines[at] = undefined;
    await engine.kill();
  }

  /** Writes the pipeline again, changed so that its `main` route is another one, or broken. */
  async edit(n: number, broken: boolean): Promise<void> {
    const text = this.#text.replace('/main"', `/main?edit=${n}"`);
    await writeFile(
      join(this.folder, 'chaos.yaml'),
      broken ? text.replace('handler: webhook', 'handler: webhok') : text,
    );
  }

  /** Publishes `count` events at `perSecond`, each repeated with its id until some engine has acknowledged it. */
  async publish(count: number, perSecond: number): Promise<void> {
    const began = Date.now();
    const size = Math.max(1, Math.round(perSecond / 50));
    const open: Promise<void>[] = [];
    for (let at = 0; at < count; at += size) {
      const ids = Array.from({ length: Math.min(size, count - at) }, (_, n) => `c${at + n}`);
      open.push(this.#publishUntilTaken(ids));
      const ahead = began + ((at + size) / perSecond) * 1_000 - Date.now();
      if (ahead > 0) await sleep(ahead);
    }
    await Promise.all(open);
  }

  async #publishUntilTaken(ids: readonly string[]): Promise<void> {
    const body = JSON.stringify(ids.map((id) => ({ id, type: 'chaos.event', source: '/chaos', data: { id } })));
    const headers = { 'content-type': 'application/json' };
    for (let turn = 0; ; turn += 1) {
      const running = this.engines.filter((engine) => engine !== undefined);
      const engine = running[turn % Math.max(running.length, 1)];
      try {
        if (engine === undefined) throw new Error('no engine runs');
        const signal = AbortSignal.timeout(5_000);
        const response = await fetch(`${engine.ingest}/v1/events`, { method: 'POST', headers, body, signal });
        await response.text();
        if (response.status === 202) {
          for (const id of ids) this.acknowledged.set(id, Date.now());
          return;
        }
      } catch {
        // Unknown whether it was stored: the ids make a repeat harmless.
      }
      await sleep(100);
    }
  }

  /** Waits until both services have everything that was acknowledged, or `ms` are over. */
  async settle(ms: number, dead: () => Promise<number>): Promise<void> {
    const end = Date.now() + ms;
    while (Date.now() < end) {
      const open =
        this.acknowledged.size -
        this.other.arrivals.size +
        (this.acknowledged.size - this.main.arrivals.size - (await dead()));
      if (open <= 0) return;
      await sleep(100);
    }
  }

  async close(): Promise<void> {
    this.proxy?.cut();
    await Promise.all(this.engines.flatMap((engine) => engine?.kill() ?? []));
    this.main.stop();
    this.other.stop();
    await this.proxy?.stop();
    await this.redis.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
