/**
 * A connection that blocks: a group's only one, or one of those that it has in a cluster. A read that was lost with its
 * link is sent again by ioredis; what such a lost answer held stays pending in our name, and our own reclaim finds it.
 *
 * A client that has not answered for three times as long as a read may block is replaced: of a half-open link, and of
 * a client that is stuck while reconnecting, nothing else is ever heard. In a cluster it is replaced as well when another
 * node answers for what it reads.
 */
import type { Socket } from 'node:net';
import { Command, type Redis } from 'ioredis';
import { abandon, type ClientSpec, connectOnce, hostAndPort, newClient } from './client.ts';
import type { Connection } from './connection.ts';
import type { StreamReply } from './read-reply.ts';
import { Tap } from './tap.ts';

export const blockMs = 2_000;

export interface ReaderSpec extends Omit<ClientSpec, 'silenceMs'> {
  readonly commands: Connection;
  /** In a cluster: the node to read from, `HOST:PORT`, as far as is known now. */
  readonly locate?: () => string | undefined;
}

export class Reader {
  readonly #spec: ClientSpec & ReaderSpec;
  readonly #patience: number;
  #client: Redis;
  #node: string | undefined;
  #clientId: number | undefined;
  #tap: Tap | undefined;
  #heard = performance.now();
  #giveUp: (() => void) | undefined;
  readonly #watch: NodeJS.Timeout;

  constructor(spec: ReaderSpec, patienceMs = 3 * blockMs) {
    this.#spec = { ...spec, silenceMs: blockMs + 2_000 };
    this.#patience = patienceMs;
    this.#client = this.#open();
    this.#watch = setInterval(() => this.#check(), patienceMs / 6);
    this.#watch.unref();
  }

  /** Connects; resolves when the server is ready or the first try failed, since the client goes on trying. */
  async connect(): Promise<void> {
    await connectOnce(this.#client).catch(() => undefined);
  }

  /**
   * One XREADGROUP; null when nothing came in time. Undefined: the link broke, or the client had to be replaced.
   * Rejects with what Redis says.
   */
  read(args: readonly (string | number)[]): Promise<StreamReply | null | undefined> {
    this.#heard = performance.now();
    return new Promise((resolve, reject) => {
      const giveUp = (): void => resolve(undefined);
      this.#giveUp = giveUp;
      const over = (): void => {
        // A read that was given up may end while the next one is under way.
        if (this.#giveUp !== giveUp) return;
        this.#heard = performance.now();
        this.#giveUp = undefined;
      };
      this.#send(args).then(
        (reply) => {
          over();
          resolve(reply);
        },
        (error: Error) => {
          over();
          reject(error);
        },
      );
    });
  }

  /** While there is no link the client keeps the command until there is one. */
  async #send(args: readonly (string | number)[]): Promise<StreamReply | null | undefined> {
    const client = this.#client;
    if (this.#tap?.free !== true) {
      const command = new Command('XREADGROUP', args as string[], { replyEncoding: 'utf8' });
      return (await client.sendCommand(command)) as StreamReply | null;
    }
    try {
      return await this.#tap.read(args);
    } catch (error) {
      // A demoted master answers so for ever.
      if ((error as Error).message.startsWith('READONLY')) client.disconnect(true);
      throw error;
    }
  }

  /** Ends a read that blocks. Resolves to false when the server knows of none. */
  async unblock(): Promise<boolean> {
    if (this.#clientId === undefined) return false;
    return (await this.#spec.commands.callNode(this.#node, 'CLIENT', ['UNBLOCK', this.#clientId])) === 1;
  }

  /**
   * Goes to the node that answers now. A read under way keeps its link while there is one: the node that answered until
   * now ends the read, and what it may have sent already is not thrown away.
   */
  relocate(): void {
    if (this.#giveUp !== undefined && this.#client.status === 'ready') return;
    const node = this.#spec.locate?.();
    if (node !== undefined && node !== this.#node) this.#replace();
  }

  close(): void {
    clearInterval(this.#watch);
    this.#giveUp?.();
    abandon(this.#client);
  }

  #open(): Redis {
    this.#node = this.#spec.locate?.();
    const place = this.#node === undefined ? undefined : hostAndPort(this.#node);
    const client = newClient(this.#spec, { enableOfflineQueue: true, maxRetriesPerRequest: null }, place);
    client.on('ready', () => {
      this.#heard = performance.now();
      client.call('CLIENT', 'ID').then(
        (id) => {
          if (client !== this.#client) return;
          this.#clientId = id as number;
          this.#tap = Tap.on(client.stream as Socket);
        },
        () => undefined,
      );
    });
    client.on('close', () => {
      if (client !== this.#client) return;
      this.#clientId = undefined;
      this.#tap = undefined;
      this.#spec.commands.lookAgain();
    });
    return client;
  }

  #check(): void {
    if (this.#giveUp === undefined || performance.now() - this.#heard < this.#patience) return;
    const { faults, target } = this.#spec;
    faults.report(
      'reader',
      'timeout',
      `${target.label} did not answer a read within ${this.#patience} ms: connecting anew`,
    );
    this.#replace();
  }

  #replace(): void {
    const old = this.#client;
    this.#clientId = undefined;
    this.#tap = undefined;
    this.#client = this.#open();
    this.#client.connect().catch(() => undefined);
    this.#heard = performance.now();
    abandon(old);
    this.#giveUp?.();
    this.#giveUp = undefined;
  }
}
