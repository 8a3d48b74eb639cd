/**
 * Events per second through HTTP against bare fastify with one XADD per event (auto-pipelined), both in processes of
 * their own on the same Redis. The load comes from plain sockets, one request at a time each, so that it costs little
 * beside the servers. Rounds are interleaved; the ratio is the median of the rounds' ratios.
 *
 * Run: node --conditions=eventflow-source test/bench/ingest.ts REDIS_URL
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Redis } from 'ioredis';

export interface IngestRow {
  readonly name: string;
  /** What the ratio must reach, and what it should. */
  readonly bar: number;
  readonly goal: number;
  readonly ratio: number;
  /** Events per second, medians. */
  readonly ours: number;
  readonly theirs: number;
}

interface Case {
  readonly name: string;
  readonly connections: number;
  /** Requests per round. */
  readonly requests: number;
  readonly eventsPerRequest: number;
  readonly body: string;
}

const rounds = 7;

/** About 300 bytes. */
const event = JSON.stringify({
  type: 'order.paid',
  source: '/shop',
  data: {
    order_id: 4711,
    total: 129.9,
    currency: 'EUR',
    customer: { name: 'Ada Example', email: 'ada@example.com', country: 'DE' },
    note: 'x'.repeat(120),
  },
});

const cases: readonly Case[] = [
  { name: 'HTTP ingest, single, 50 connections', connections: 50, requests: 10_000, eventsPerRequest: 1, body: event },
  {
    name: 'HTTP ingest, batch 100, 10 connections',
    connections: 10,
    requests: 400,
    eventsPerRequest: 100,
    body: `[${Array.from({ length: 100 }, () => event).join(',')}]`,
  },
];

interface Server {
  readonly child: ChildProcess;
  readonly address: string;
}

async function startServer(which: 'ours' | 'bare', redisUrl: string): Promise<Server> {
  const child = fork(new URL('ingest-server.ts', import.meta.url), [which, redisUrl], {
    execArgv: ['--conditions=eventflow-source', '--disable-warning=ExperimentalWarning'],
  });
  const [address] = (await once(child, 'message')) as [string];
  return { child, address };
}

async function openSocket(address: string): Promise<Socket> {
  const { hostname, port } = new URL(address);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  return socket;
}

const separator = Buffer.from('\r\n\r\n');

/** Length of the first whole answer in `bytes`; undefined as long as it is not whole. Throws unless its status is 202. */
function answerLength(bytes: Buffer): number | undefined {
  const end = bytes.indexOf(separator);
  if (end === -1) return undefined;
  const head = bytes.toString('latin1', 0, end);
  if (!head.startsWith('HTTP/1.1 202')) throw new Error(`expected status 202, got ${bytes.toString().slice(0, 300)}`);
  const length = end + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1]);
  return bytes.length >= length ? length : undefined;
}

/** Sends `request` over one socket as long as `more` says so. */
function drive(socket: Socket, request: Buffer, more: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let rest: Buffer = Buffer.alloc(0);
    const next = (): void => {
      if (more()) socket.write(request);
      else resolve();
    };
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      try {
        const length = answerLength(rest);
        if (length === undefined) return;
        rest = rest.subarray(length);
        next();
      } catch (error) {
        reject(error as Error);
      }
    });
    next();
  });
}

/** Events per second of one round. */
async function measure(address: string, { connections, requests, eventsPerRequest, body }: Case): Promise<number> {
  const head = `POST /v1/events HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  const request = Buffer.from(head + body);
  const sockets = await Promise.all(Array.from({ length: connections }, () => openSocket(address)));
  let left = requests;
  const start = performance.now();
  await Promise.all(sockets.map((socket) => drive(socket, request, () => left-- > 0)));
  const seconds = (performance.now() - start) / 1000;
  for (const socket of sockets) socket.destroy();
  return (requests * eventsPerRequest) / seconds;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** What the last round stored is of no use to the next. */
async function empty(redis: Redis): Promise<void> {
  const streams = ['bench:bare', ...(await redis.keys('bench-ingest:*:events'))];
  for (const stream of streams) await redis.xtrim(stream, 'MAXLEN', 0);
}

async function compare(ours: Server, bare: Server, one: Case, redis: Redis): Promise<IngestRow> {
  const pairs: { readonly ours: number; readonly theirs: number }[] = [];
  for (let round = 0; round <= rounds; round++) {
    const mine = async (): Promise<number> => measure(ours.address, one);
    const other = async (): Promise<number> => measure(bare.address, one);
    // Who goes first changes, since the second one finds a warmer machine.
    const first = round % 2 === 0 ? await mine() : await other();
    const second = round % 2 === 0 ? await other() : await mine();
    const pair = round % 2 === 0 ? { ours: first, theirs: second } : { ours: second, theirs: first };
    if (round > 0) pairs.push(pair);
    await empty(redis);
  }
  return {
    name: one.name,
    bar: 0.8,
    goal: 1,
    ratio: median(pairs.map((pair) => pair.ours / pair.theirs)),
    ours: median(pairs.map((pair) => pair.ours)),
    theirs: median(pairs.map((pair) => pair.theirs)),
  };
}

/** `redisUrl`: a Redis that may be filled and emptied. */
export async function benchIngest(redisUrl: string): Promise<readonly IngestRow[]> {
  const redis = new Redis(redisUrl);
  const [ours, bare] = await Promise.all([startServer('ours', redisUrl), startServer('bare', redisUrl)]);
  try {
    const rows: IngestRow[] = [];
    for (const one of cases) rows.push(await compare(ours, bare, one, redis));
    return rows;
  } finally {
    for (const { child } of [ours, bare]) child.disconnect();
    const keys = await redis.keys('bench*');
    for (let at = 0; at < keys.length; at += 5000) await redis.unlink(...keys.slice(at, at + 5000));
    await redis.quit();
  }
}

if (process.argv[1] === import.meta.filename) {
  console.table(await benchIngest(process.argv[2] ?? 'redis://127.0.0.1:6379'));
}
