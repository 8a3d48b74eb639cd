/**
 * Brings clients to the master that Sentinel has chosen. A client asks one sentinel when it connects, and stays until its
 * link breaks; but an old master that is cut off from all but us goes on answering, and so does a sentinel that is cut
 * off with it. So all sentinels are asked all the time, and the one that knows the latest election is believed, whose
 * number is the `config-epoch`.
 */
import { lookup } from 'node:dns/promises';
import { Redis } from 'ioredis';
import { flatPairs } from './ask.ts';
import { abandon, bearErrors } from './client.ts';
import { type FaultLog, faultKind } from './faults.ts';
import type { SentinelTarget } from './target.ts';
import type { HostAndPort } from './url.ts';

const askMs = 1_000;
const answerMs = 2_000;

interface Named extends HostAndPort {
  readonly epoch: number;
}

export class FailoverWatch {
  readonly #target: SentinelTarget;
  readonly #faults: FaultLog;
  readonly #sentinels: readonly Redis[];
  readonly #clients = new Set<Redis>();
  #trouble: Error | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(target: SentinelTarget, faults: FaultLog) {
    this.#target = target;
    this.#faults = faults;
    this.#sentinels = target.sentinels.map((sentinel) => this.#connect(sentinel));
    this.#askLater();
  }

  /** From now on, until the client has ended. */
  watch(client: Redis): void {
    this.#clients.add(client);
  }

  /** What kept a client from finding the master, which it does not hear itself. Undefined: it found one. */
  explain(error: Error): Error | undefined {
    if (!error.message.startsWith('no sentinel')) return undefined;
    return error.message.endsWith('Connection is closed.') ? (this.#trouble ?? error) : error;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#clients.clear();
    for (const sentinel of this.#sentinels) abandon(sentinel);
  }

  #connect(sentinel: HostAndPort): Redis {
    const { sentinelUsername, sentinelPassword, sentinelTLS } = this.#target.options;
    const client = new Redis({
      ...sentinel,
      ...(sentinelUsername === undefined ? {} : { username: sentinelUsername }),
      ...(sentinelPassword === undefined ? {} : { password: sentinelPassword }),
      ...(sentinelTLS === undefined ? {} : { tls: sentinelTLS }),
      protocol: 2,
      connectionName: 'eventflow:failover',
      disableClientInfo: true,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      maxRetriesPerRequest: 0,
      connectTimeout: answerMs,
      commandTimeout: answerMs,
      socketTimeout: 2 * answerMs,
      retryStrategy: () => askMs,
    });
    const scope = `sentinel ${sentinel.host}:${sentinel.port}`;
    client.on('error', (error: Error) => {
      bearErrors(client);
      this.#trouble = error;
      this.#faults.report(scope, faultKind(error), `${scope}: ${error.message}`);
    });
    client.on('ready', () => this.#faults.clear(scope));
    return client;
  }

  #askLater(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#look().finally(() => this.#askLater()), askMs);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    const answers = await Promise.all(this.#sentinels.map((sentinel) => this.#ask(sentinel)));
    const [latest] = answers.filter((named) => named !== undefined).sort((a, b) => b.epoch - a.epoch);
    if (latest === undefined) return;
    const { host, port } = this.#target.natMap?.[`${latest.host}:${latest.port}`] ?? latest;
    // Sentinels may give out names.
    const addresses = await lookup(host, { all: true }).catch(() => []);
    if (addresses.length === 0 || this.#closed) return;
    for (const client of this.#clients) {
      if (client.status === 'end') this.#clients.delete(client);
      if (client.status !== 'ready') continue;
      const { remoteAddress, remotePort } = client.stream;
      if (remotePort === port && addresses.some(({ address }) => address === remoteAddress)) continue;
      client.disconnect(true);
    }
  }

  /** Undefined: it does not answer, or knows of no such master. */
  async #ask(sentinel: Redis): Promise<Named | undefined> {
    if (sentinel.status !== 'ready') return undefined;
    try {
      const known = flatPairs((await sentinel.call('SENTINEL', 'MASTER', this.#target.master)) as string[]);
      return {
        host: known.get('ip') as string,
        port: Number(known.get('port')),
        epoch: Number(known.get('config-epoch')),
      };
    } catch {
      return undefined;
    }
  }
}
