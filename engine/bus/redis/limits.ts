/** Permits of rate limits: a key for each, which goes when it says nothing any more. */
import type { PermitRequest, Permits } from '../../core/rate-limit.ts';
import type { LimitStore } from '../bus.ts';
import type { Connection } from './connection.ts';
import type { Keys } from './keys.ts';
import { scripts } from './scripts.ts';

export class RedisLimits implements LimitStore {
  readonly #commands: Connection;
  readonly #keys: Keys;

  constructor(commands: Connection, keys: Keys) {
    this.#commands = commands;
    this.#keys = keys;
  }

  async take(key: string, request: PermitRequest): Promise<Permits> {
    const { limit, per, wanted, returning, line, leadMs } = request;
    const args = [limit, per, wanted, returning, line ? 1 : 0, Math.ceil(leadMs)];
    const reply = (await this.#commands.eval(scripts.permits, [this.#keys.permits(key)], args)) as number[];
    const [granted = 0, nextInMs = 0, ...waits] = reply;
    return { granted, nextInMs, waits };
  }
}
