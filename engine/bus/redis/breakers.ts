/** Breakers in one hash, since a route may read several streams. */
import type { BreakerState } from '../../core/breaker.ts';
import type { BreakerStore, StoredBreaker } from '../bus.ts';
import type { Connection } from './connection.ts';
import type { Keys } from './keys.ts';
import { scripts } from './scripts.ts';

export class RedisBreakers implements BreakerStore {
  readonly #commands: Connection;
  readonly #key: string;

  constructor(commands: Connection, keys: Keys) {
    this.#commands = commands;
    this.#key = keys.breakers;
  }

  async list(): Promise<readonly StoredBreaker[]> {
    const flat = (await this.#commands.call('HGETALL', [this.#key])) as string[];
    const breakers: StoredBreaker[] = [];
    for (let at = 0; at + 1 < flat.length; at += 2) breakers.push(decode(flat[at] as string, flat[at + 1] as string));
    return breakers.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async swap(
    key: string,
    expected: number,
    state: BreakerState,
    version = expected + 1,
  ): Promise<{ readonly won: boolean; readonly stored: StoredBreaker }> {
    const value = `${version}:${JSON.stringify(state)}`;
    const [won, stored] = (await this.#commands.eval(scripts.swap, [this.#key], [key, String(expected), value])) as [
      number,
      string,
    ];
    // Nothing stored and not won: whoever expected a version knows more than the store, which was emptied meanwhile.
    return { won: won === 1, stored: stored === '' ? { key, version: 0, state } : decode(key, stored) };
  }

  async forget(key: string, expected: number): Promise<void> {
    await this.#commands.eval(scripts.swap, [this.#key], [key, String(expected), '']);
  }
}

function decode(key: string, stored: string): StoredBreaker {
  const colon = stored.indexOf(':');
  return { key, version: Number(stored.slice(0, colon)), state: JSON.parse(stored.slice(colon + 1)) as BreakerState };
}
