/** A listening server on an embedded bus, and the means to talk to it byte by byte. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Bus, Entry, Group } from '../../engine/bus/bus.ts';
import { openSqliteBus } from '../../engine/bus/sqlite/bus.ts';
import type { EventTypeRule, Generation } from '../../engine/core/route.ts';
import { decodeEvent } from '../../engine/event.ts';
import type { HttpDeps } from '../../engine/http/deps.ts';
import { type IngestOptions, startIngest } from '../../engine/http/ingest.ts';
import type { Signal } from '../../engine/observe/signals.ts';
import type { ReloadReport } from '../../engine/operations/index.ts';
import { localOperations } from '../../engine/operations/index.ts';
import { createPublisher } from '../../engine/publisher.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** The body as JSON; fails when it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any;
  /** Whether the server closed the connection after the answer. */
  readonly closed: boolean;
}

function parseAnswer(raw: string, closed: boolean): Answer {
  const end = raw.indexOf('\r\n\r\n');
  const [first = '', ...lines] = raw.slice(0, end).split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const text = raw.slice(end + 4);
  return {
    status: Number(first.split(' ')[1]),
    headers,
    text,
    closed,
    get json() {
      return JSON.parse(text);
    },
  };
}

function isWhole(raw: string): boolean {
  const end = raw.indexOf('\r\n\r\n');
  const length = Number(/content-length: (\d+)/i.exec(raw)?.[1] ?? Number.NaN);
  return end !== -1 && Buffer.byteLength(raw.slice(end + 4)) >= length;
}

/** Sends the parts as they are, `pauseMs` apart, and reads one answer; waits a moment to see whether the server hangs up. */
export async function sendRaw(
  address: string,
  parts: readonly (string | Buffer)[],
  { pauseMs = 0 }: { readonly pauseMs?: number } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(address);
  const socket = connect(Number(port), hostname);
  let raw = '';
  let closed = false;
  // A server that has answered may reset what it does not want to read.
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    raw += chunk.toString('utf8');
  });
  socket.on('close', () => {
    closed = true;
  });
  await once(socket, 'connect');
  for (const part of parts) {
    if (closed || isWhole(raw)) break;
    socket.write(part);
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  const deadline = Date.now() + 10_000;
  while (!isWhole(raw) && !closed && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 2));
  const until = Date.now() + (/connection: close/i.test(raw) ? 1000 : 30);
  while (!closed && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 2));
  socket.destroy();
  return parseAnswer(raw, closed);
}

export interface Room {
  readonly address: string;
  readonly bus: Bus;
  readonly deps: HttpDeps;
  readonly signals: readonly Signal[];
  /** POST /v1/events. */
  post(body: string | Uint8Array | undefined, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** What is stored and was not asked for before, as stored. */
  stored(): Promise<readonly Entry[]>;
  close(graceMs?: number): Promise<void>;
}

export const envelopeOf = (entry: Entry | undefined) => decodeEvent(entry?.body ?? '', entry?.meta);

export function generationWith(rules: readonly EventTypeRule[]): Generation {
  return { hash: 'h1', pipelines: [], routes: new Map(), eventTypes: new Map(rules.map((rule) => [rule.type, rule])) };
}

export interface RoomOptions extends IngestOptions {
  readonly rules?: readonly EventTypeRule[];
  /** Stands before the real bus. */
  readonly publish?: Bus['publish'];
  readonly timeoutMs?: number;
}

export async function openRoom(options: RoomOptions = {}): Promise<Room> {
  const bus = await openSqliteBus('sqlite::memory:');
  const group = await bus.openGroup({
    group: 'test.all',
    patterns: ['**'],
    startFrom: 'beginning',
    deadLetter: { retention: 1e9, maxEntries: 1000, onFull: 'pause' },
  });
  const signals: Signal[] = [];
  const deps = depsOn(bus, signals, options);
  const ingest = await startIngest(deps, '127.0.0.1:0', options);
  return {
    address: ingest.address,
    bus,
    deps,
    signals,
    post: (body, headers = { 'content-type': 'application/json' }) => post(ingest.address, body, headers),
    stored: () => drain(group),
    close: async (graceMs = 1000) => {
      await ingest.close(graceMs);
      await bus.close();
    },
  };
}

function configOf(): HttpDeps['config'] {
  const changes = { started: [], changed: [], renamed: [], stopped: [] };
  const report: ReloadReport = { result: 'unchanged', generation: 3, hash: 'h1', problems: [], changes };
  const info = { number: 3, hash: 'h1', at: 1, why: 'start', changes, fields: [], running: true } as const;
  return {
    status: {
      ...{ generation: 3, hash: 'h1', pinned: undefined },
      last: { result: 'changed', why: 'start', at: 1, problems: [] },
    },
    generations: () => [info],
    reload: async () => report,
    rollback: async (number) => ({ ...report, result: number === 2 ? 'changed' : 'rejected' }),
  };
}

function depsOn(bus: Bus, signals: Signal[], options: RoomOptions): HttpDeps {
  const target = { publish: options.publish ?? bus.publish.bind(bus) };
  const generation = generationWith(options.rules ?? []);
  return {
    bus,
    publisher: createPublisher({ bus: target }, { timeoutMs: options.timeoutMs ?? 5000 }),
    generation: () => generation,
    generationNumber: () => 3,
    routeCount: (type) => (type.startsWith('unrouted') ? 0 : 2),
    operations: localOperations(bus, (signal) => signals.push(signal)),
    metrics: { contentType: 'text/plain; version=0.0.4', render: async () => 'eventflow_bus_up 1\n' },
    health: () => ({ ready: true, checks: [{ name: 'bus', ok: true }] }),
    config: configOf(),
    plan: async () => ({ version: 1, ok: false, problems: ['EF2001'] }),
    version: '1.2.3',
    observer: (signal) => signals.push(signal),
  };
}

async function post(
  address: string,
  body: string | Uint8Array | undefined,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  const init = { method: 'POST', headers, ...(body === undefined ? {} : { body: Buffer.from(body) }) };
  const response = await fetch(`${address}/v1/events`, init);
  const text = await response.text();
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    text,
    closed: response.headers.get('connection') === 'close',
    get json() {
      return JSON.parse(text);
    },
  };
}

/** Everything that can be read at once, acknowledged. */
async function drain(group: Group): Promise<readonly Entry[]> {
  const all: Entry[] = [];
  for (;;) {
    const entries = await group.read(1000, AbortSignal.timeout(10));
    if (entries.length === 0) return all;
    all.push(...entries);
    await group.settle(
      entries.map((entry) => ({ kind: 'ack', entry, status: 'delivered' })),
      undefined,
    );
  }
}
