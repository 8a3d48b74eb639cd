/**
 * A connection for commands and scripts: waits for the server instead of queueing without bound, answers within its
 * deadline, and speaks in errors of the catalogue.
 *
 * Facts about ioredis 6.0.0 that shaped it: only `socketTimeout` notices a half-open link; what was sent when a link
 * broke is sent again, so everything sent must bear repetition; its own offline queue has no bound.
 */
import { Command, type CommonRedisOptions, Redis, type RedisOptions } from 'ioredis';
import { EventFlowError } from '../../errors.ts';
import { type FaultLog, faultKind } from './faults.ts';
import type { Script } from './scripts.ts';
import type { Target } from './target.ts';
import { EncodedCommand } from './wire.ts';

export type Argument = string | number;
/** Null: buffers. */
type Encoding = 'utf8' | null;
type CommandClass = new (name: string, args: Argument[], options: { replyEncoding: Encoding }) => Command;

const replicaWaitMs = 1_000;

export interface ConnectionSpec {
  readonly target: Target;
  readonly name: string;
  readonly faults: FaultLog;
  /** How long a call may take, waiting for the server included, ms. */
  readonly deadlineMs: number;
  /** Longest silence of the server while an answer is due, ms. */
  readonly silenceMs: number;
}

type Queueing = Required<Pick<CommonRedisOptions, 'enableOfflineQueue' | 'maxRetriesPerRequest'>>;

/** A client as all parts of the bus use it. Its faults are reported under `connection`. */
export function newClient(spec: Omit<ConnectionSpec, 'deadlineMs'>, more: Queueing): Redis {
  const options: RedisOptions = {
    ...spec.target.options,
    // Version 3 of the protocol changes the shape of replies.
    protocol: 2,
    lazyConnect: true,
    connectionName: spec.name,
    disableClientInfo: true,
    socketTimeout: spec.silenceMs,
    connectTimeout: 5_000,
    keepAlive: 10_000,
    retryStrategy: (times) => Math.min(20 * 2 ** Math.min(times, 8), 1_000) * (0.75 + Math.random() / 2),
    // A demoted master answers READONLY for ever: find the new one.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    ...more,
  };
  const client = new Redis({ ...options, replyMapping: 'legacy' });
  client.on('error', (error: Error) => spec.faults.report('connection', faultKind(error), error.message));
  client.on('ready', () => spec.faults.clear('connection'));
  return client;
}

/**
 * Drops a client for good, in whatever state it is. Nobody may wait for it any more: while it reconnects, ioredis
 * leaves its commands unsettled.
 */
export function abandon(client: Redis): void {
  client.removeAllListeners();
  client.on('error', () => undefined);
  client.on('connect', () => client.disconnect());
  client.disconnect();
}

export class Connection {
  readonly #client: Redis;
  readonly #spec: ConnectionSpec;
  readonly #waiting = new Set<() => void>();
  readonly #pending = new Set<(error: Error) => void>();
  #connects = 0;
  #closed = false;

  constructor(spec: ConnectionSpec) {
    this.#spec = spec;
    this.#client = newClient(spec, { enableOfflineQueue: false, maxRetriesPerRequest: 1 });
    this.#client.on('ready', () => this.#wakeAll());
    this.#client.on('close', () => {
      this.#connects += 1;
    });
  }

  /** Rejects with EF5001 when the server cannot be reached now. */
  async connect(): Promise<void> {
    let reason: Error | undefined;
    const note = (error: Error): void => {
      reason = error;
    };
    this.#client.on('error', note);
    try {
      await this.#client.connect();
    } catch (error) {
      throw this.#unreachable(reason ?? (error as Error));
    } finally {
      this.#client.off('error', note);
    }
    // ioredis reports a database that does not exist, and then works on in database 0.
    if (reason?.message.includes('DB index') === true) {
      throw new EventFlowError('EF5003', `expected a database that ${this.#spec.target.label} has: ${reason.message}`);
    }
  }

  /** Strings and numbers, nested as Redis answers them: ioredis reshapes only what is named in lower case. */
  call(name: string, args: readonly Argument[]): Promise<unknown> {
    return this.#bounded(() => this.#send(Command, name, args, 'utf8'));
  }

  eval(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#bounded(() => this.#evaluate(Command, script, [keys.length, ...keys, ...args]));
  }

  /** For large arguments. With `replicas` more than 0 it resolves once so many have what the script wrote. */
  evalLarge(script: Script, keys: readonly string[], args: readonly Argument[], replicas: number): Promise<unknown> {
    const rest = [keys.length, ...keys, ...args];
    return this.#bounded(async () => {
      if (replicas === 0) return await this.#evaluate(EncodedCommand, script, rest);
      return await this.#replicated(script, rest, replicas);
    });
  }

  /** What is under way is rejected with EF5024, and so is every later call. */
  close(): void {
    this.#closed = true;
    this.#wakeAll();
    abandon(this.#client);
    for (const fail of this.#pending) fail(this.#gone());
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** WAIT counts for what was written on its own connection before it: if that changed it says nothing. */
  async #replicated(script: Script, rest: readonly Argument[], replicas: number): Promise<unknown> {
    const connects = this.#connects;
    // The server may have forgotten the script, and then WAIT would be answered before it ran.
    const reply = this.#send(EncodedCommand, 'EVAL', [script.source, ...rest], 'utf8');
    const [answer, reached] = await Promise.all([
      reply,
      this.#send(Command, 'WAIT', [replicas, replicaWaitMs], 'utf8'),
    ]);
    // Written this way round because a broken link yields no number at all.
    if (connects === this.#connects && (reached as number) >= replicas) return answer;
    throw new EventFlowError(
      'EF5010',
      `expected ${replicas} replicas to confirm within ${replicaWaitMs} ms, got ${String(reached)}`,
    );
  }

  async #evaluate(kind: CommandClass, script: Script, rest: readonly Argument[]): Promise<unknown> {
    try {
      return await this.#send(kind, 'EVALSHA', [script.sha, ...rest], 'utf8');
    } catch (error) {
      if (!(error as Error).message.startsWith('NOSCRIPT')) throw error;
      return await this.#send(kind, 'EVAL', [script.source, ...rest], 'utf8');
    }
  }

  #send(kind: CommandClass, name: string, args: readonly Argument[], replyEncoding: Encoding): Promise<unknown> {
    return this.#client.sendCommand(new kind(name, args as Argument[], { replyEncoding })) as Promise<unknown>;
  }

  #bounded(send: () => Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { deadlineMs } = this.#spec;
      let sent = false;
      const timer = setTimeout(() => fail(sent ? this.#late(deadlineMs) : this.#unsent(deadlineMs)), deadlineMs);
      const fail = (error: Error): void => {
        clearTimeout(timer);
        this.#pending.delete(fail);
        reject(this.#translate(error));
      };
      // Commands of a client that was dropped are never answered.
      this.#pending.add(fail);
      const sending = (): Promise<unknown> => {
        sent = true;
        return send();
      };
      this.#whenReady(sending).then((reply) => {
        clearTimeout(timer);
        this.#pending.delete(fail);
        resolve(reply);
      }, fail);
    });
  }

  async #whenReady(send: () => Promise<unknown>): Promise<unknown> {
    const end = performance.now() + this.#spec.deadlineMs;
    while (this.#client.status !== 'ready') {
      if (this.#closed) throw this.#gone();
      if (performance.now() >= end) throw this.#unsent(this.#spec.deadlineMs);
      await this.#readyOrTimeout(end - performance.now());
    }
    return await send();
  }

  #readyOrTimeout(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#waiting.add(wake);
    });
  }

  #wakeAll(): void {
    for (const wake of this.#waiting) wake();
  }

  #translate(error: Error): Error {
    if (error instanceof EventFlowError) return error;
    if (this.#closed) return this.#gone();
    if (/^(OOM|MISCONF|READONLY|NOREPLICAS|LOADING|NOPERM|MASTERDOWN)\b/.test(error.message)) {
      this.#spec.faults.report('write', faultKind(error), error.message);
      return new EventFlowError('EF5011', `${this.#spec.target.label} refused: ${error.message}`, { cause: error });
    }
    return faultKind(error) === 'connection' ? this.#unreachable(error) : error;
  }

  #unreachable(error: Error): EventFlowError {
    return new EventFlowError('EF5001', `no answer from ${this.#spec.target.label}: ${error.message}`, {
      cause: error,
    });
  }

  #late(ms: number): EventFlowError {
    const message = `${this.#spec.target.label} did not answer within ${ms} ms`;
    this.#spec.faults.report('timeout', 'timeout', message);
    return new EventFlowError('EF5012', message);
  }

  /** There was no link in all that time, so it is certain that nothing happened. */
  #unsent(ms: number): EventFlowError {
    const message = `no link to ${this.#spec.target.label} within ${ms} ms; nothing was sent`;
    this.#spec.faults.report('timeout', 'timeout', message);
    return new EventFlowError('EF5014', message);
  }

  #gone(): EventFlowError {
    return new EventFlowError('EF5024', `the bus ${this.#spec.target.label} was closed`);
  }
}
