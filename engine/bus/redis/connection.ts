/**
 * A connection for commands and scripts: waits for the server instead of queueing without bound, answers within its
 * deadline, and speaks in errors of the catalogue.
 *
 * Facts about ioredis 6.0.0 that shaped it: only `socketTimeout` notices a half-open link; what was sent when a link
 * broke is sent again, so everything sent must bear repetition; its own offline queue has no bound.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, Command, type Redis } from 'ioredis';
import { EventFlowError } from '../../errors.ts';
import {
  abandon,
  type ClientSpec,
  connectOnce,
  linkTo,
  mastersOf,
  movePauseMs,
  newClient,
  newCluster,
  ownerOf,
  redirectPauseMs,
} from './client.ts';
import { faultKind } from './faults.ts';
import type { Script } from './scripts.ts';
import { tlsHint } from './tls.ts';
import { EncodedCommand } from './wire.ts';

export type Argument = string | number;
/** Null: buffers. */
type Encoding = 'utf8' | null;
type CommandClass = new (name: string, args: Argument[], options: { replyEncoding: Encoding }) => Command;

const replicaWaitMs = 1_000;

export interface ConnectionSpec extends ClientSpec {
  /** How long a call may take, waiting for the server included, ms. */
  readonly deadlineMs: number;
}

export class Connection {
  readonly #client: Redis | Cluster;
  readonly #spec: ConnectionSpec;
  readonly #waiting = new Set<() => void>();
  readonly #pending = new Set<(error: Error) => void>();
  readonly #followers = new Set<() => void>();
  #connects = 0;
  #closed = false;

  constructor(spec: ConnectionSpec) {
    this.#spec = spec;
    const { target } = spec;
    this.#client =
      target.kind === 'cluster'
        ? newCluster({ ...spec, target }, spec.deadlineMs)
        : newClient(spec, { enableOfflineQueue: false, maxRetriesPerRequest: 1 });
    this.#client.on('ready', () => this.#wakeAll());
    this.#client.on('refresh', () => {
      for (const follow of this.#followers) follow();
    });
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
    this.#client.on('node error', note);
    try {
      await connectOnce(this.#client);
    } catch (error) {
      const own = error as Error;
      throw this.#unreachable(this.#spec.failover?.explain(own) ?? reason ?? own);
    } finally {
      this.#client.off('error', note);
      this.#client.off('node error', note);
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

  /** Puts a question to every master: see {@link AskMasters}. */
  ask(name: string, args: readonly Argument[]): Promise<readonly unknown[]> {
    return this.#bounded(() => {
      const client = this.#client;
      const masters = client instanceof Cluster ? [...mastersOf(client)] : [undefined];
      return Promise.all(masters.map((node) => this.#sendTo(node, name, args)));
    }) as Promise<readonly unknown[]>;
  }

  /** For what concerns one node alone, named as by `ownerOf`; undefined: the one server there is. */
  callNode(node: string | undefined, name: string, args: readonly Argument[]): Promise<unknown> {
    return this.#bounded(() => this.#sendTo(node, name, args));
  }

  /** `HOST:PORT` of the node of a cluster that answers for a key; undefined without a cluster, or when none is known. */
  ownerOf(key: string): string | undefined {
    return this.#client instanceof Cluster ? ownerOf(this.#client, key) : undefined;
  }

  /** A node was not there, or not what it was taken for: looks anew who answers for what. */
  lookAgain(): void {
    if (this.#client instanceof Cluster && !this.#closed) this.#client.refreshSlotsCache();
  }

  /** Called when it may have changed who answers for what. Returns the way to stop it. */
  onMove(follower: () => void): () => void {
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
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

  /** WAIT goes where the write went, so the node is looked for here and not by the client of the cluster. */
  async #replicated(script: Script, rest: readonly Argument[], replicas: number): Promise<unknown> {
    const client = this.#client;
    if (!(client instanceof Cluster)) return await this.#writeAndWait(client, script, rest, replicas);
    const end = performance.now() + this.#spec.deadlineMs;
    for (;;) {
      try {
        const node = ownerOf(client, String(rest[1]));
        return await this.#writeAndWait(this.#linkTo(node ?? ''), script, rest, replicas);
      } catch (error) {
        if (!isElsewhere(error as Error) || this.#closed || performance.now() + redirectPauseMs > end) throw error;
        if ((error as Error).message.startsWith('TRYAGAIN')) await sleep(movePauseMs);
        else await this.#search(client);
      }
    }
  }

  #search(client: Cluster): Promise<void> {
    client.refreshSlotsCache();
    return sleep(redirectPauseMs);
  }

  /** WAIT counts for what was written on its own connection before it: if that changed it says nothing. */
  async #writeAndWait(link: Redis, script: Script, rest: readonly Argument[], replicas: number): Promise<unknown> {
    const connects = this.#connects;
    // The server may have forgotten the script, and then WAIT would be answered before it ran.
    const write = new EncodedCommand('EVAL', [script.source, ...rest], { replyEncoding: 'utf8' });
    const wait = new Command('WAIT', [replicas, replicaWaitMs], { replyEncoding: 'utf8' });
    const [answer, reached] = await Promise.all([link.sendCommand(write), link.sendCommand(wait)]);
    // Written this way round because a broken link yields no number at all.
    if (connects === this.#connects && (reached as number) >= replicas) return answer;
    throw new EventFlowError(
      'EF5010',
      `expected ${replicas} replicas to confirm within ${replicaWaitMs} ms, got ${String(reached)}`,
    );
  }

  /** A link of a cluster's client is never made again: what broke is answered with an error, and a new one is another. */
  #linkTo(node: string): Redis {
    const link = linkTo(this.#client as Cluster, node);
    if (link !== undefined) return link;
    this.lookAgain();
    throw new Error(`CLUSTERDOWN there is no link to ${node === '' ? 'a node that answers for this' : node}`);
  }

  #sendTo(node: string | undefined, name: string, args: readonly Argument[]): Promise<unknown> {
    if (node === undefined) return this.#send(Command, name, args, 'utf8');
    const command = new Command(name, args as Argument[], { replyEncoding: 'utf8' });
    return this.#linkTo(node).sendCommand(command) as Promise<unknown>;
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

  #translate(said: Error): Error {
    if (said instanceof EventFlowError) return said;
    if (this.#closed) return this.#gone();
    const error = lastError(said);
    if (/^(OOM|MISCONF|READONLY|NOREPLICAS|LOADING|NOPERM|MASTERDOWN)\b/.test(error.message)) {
      this.#spec.faults.report('write', faultKind(error), error.message);
      return new EventFlowError('EF5011', `${this.#spec.target.label} refused: ${error.message}`, { cause: error });
    }
    const kind = faultKind(error);
    return kind === 'connection' || kind === 'cluster' ? this.#unreachable(error) : error;
  }

  #unreachable(error: Error): EventFlowError {
    const { label } = this.#spec.target;
    const hint = label.startsWith('rediss') ? tlsHint(error) : '';
    return new EventFlowError('EF5001', `no answer from ${label}: ${error.message}${hint}`, { cause: error });
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

/** Says that nobody answers for a slot here or now, or that a link broke with nothing to say what became of it. */
const isElsewhere = ({ message }: Error): boolean =>
  /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b|Connection is closed/.test(message);

/** A cluster's client that has looked for a node in vain says so, and repeats what it heard last. */
function lastError(error: Error): Error {
  const last = /^Too many Cluster redirections\. Last error: (?:\w*Error: )?(.*)$/s.exec(error.message)?.[1];
  return last === undefined ? error : new Error(last, { cause: error.cause });
}
