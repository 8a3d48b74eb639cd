/** Dead letters at rest: per stream and group one sorted set by time and one hash of records. */
import { holdingOf } from '../../core/claims.ts';
import type { DeadLetter } from '../../core/delivery.ts';
import type { DeadLetterFilter, DeadLetterStore } from '../bus.ts';
import type { Connection } from './connection.ts';
import type { Keys } from './keys.ts';
import { type LetterPlace, letterOf, letterPlace, redriveState } from './records.ts';
import type { Registry } from './registry.ts';
import { scripts } from './scripts.ts';

const page = 200;

interface Shelf {
  readonly stream: string;
  /** Its storage. */
  readonly group: string;
  /** What it is called. */
  readonly name: string;
}

export class RedisDeadLetters implements DeadLetterStore {
  readonly #commands: Connection;
  readonly #keys: Keys;
  readonly #registry: Registry;

  constructor(commands: Connection, keys: Keys, registry: Registry) {
    this.#commands = commands;
    this.#keys = keys;
    this.#registry = registry;
  }

  async list(filter: DeadLetterFilter): Promise<readonly DeadLetter[]> {
    const shelves = await this.#shelves(filter.group);
    const found = await Promise.all(shelves.map((shelf) => this.#search(shelf, filter)));
    return found
      .flat()
      .sort((a, b) => b.deadAt - a.deadAt || (a.id < b.id ? 1 : -1))
      .slice(0, filter.limit);
  }

  async get(id: string): Promise<DeadLetter | undefined> {
    const place = letterPlace(id);
    if (place === undefined) return undefined;
    const record = await this.#record(place);
    if (record === null) return undefined;
    const holding = (await this.#registry.holdings()).find(({ storage }) => storage === place.group);
    return { ...letterOf(place, record), group: holding?.name ?? place.group };
  }

  async redrive(ids: readonly string[]): Promise<readonly string[]> {
    return await this.#each(ids, async (place, id) => {
      const record = await this.#record(place);
      if (record === null) return false;
      const route = this.#keys.route(place.stream, place.group);
      const keys = [route.due, route.dead, route.deadBody, route.totals];
      const [moved] = (await this.#commands.eval(scripts.redrive, keys, [
        place.member,
        redriveState(record, id),
      ])) as number[];
      return moved === 1;
    });
  }

  async discard(ids: readonly string[]): Promise<readonly string[]> {
    return await this.#each(ids, async (place) => {
      const route = this.#keys.route(place.stream, place.group);
      const keys = [route.dead, route.deadBody, route.totals];
      const [removed] = (await this.#commands.eval(scripts.discard, keys, [place.member])) as number[];
      return removed === 1;
    });
  }

  async #shelves(group: string | undefined): Promise<readonly Shelf[]> {
    const holdings = await this.#registry.holdings();
    const wanted = group === undefined ? holdings : [holdingOf(holdings, group)].filter((one) => one !== undefined);
    const shelves = await Promise.all(
      wanted.map(async ({ storage, name }) =>
        (await this.#registry.joined(storage)).map((stream) => ({ stream, group: storage, name })),
      ),
    );
    return shelves.flat();
  }

  /** Newest first, page by page, until enough of them fit. */
  async #search({ stream, group, name }: Shelf, filter: DeadLetterFilter): Promise<readonly DeadLetter[]> {
    const { dead, deadBody } = this.#keys.route(stream, group);
    const found: DeadLetter[] = [];
    for (let from = 0; found.length < filter.limit; from += page) {
      const members = (await this.#commands.call('ZREVRANGE', [dead, from, from + page - 1])) as string[];
      if (members.length === 0) break;
      const records = (await this.#commands.call('HMGET', [deadBody, ...members])) as (string | null)[];
      for (let at = 0; at < members.length; at += 1) {
        const record = records[at];
        if (record === null || record === undefined) continue;
        const letter = letterOf({ stream, group, member: members[at] as string }, record);
        if (fits(letter, filter)) found.push({ ...letter, group: name });
      }
    }
    return found.slice(0, filter.limit);
  }

  async #record(place: LetterPlace): Promise<string | null> {
    const { deadBody } = this.#keys.route(place.stream, place.group);
    return (await this.#commands.call('HGET', [deadBody, place.member])) as string | null;
  }

  /** The ids for which `act` held, in their order. */
  async #each(
    ids: readonly string[],
    act: (place: LetterPlace, id: string) => Promise<boolean>,
  ): Promise<readonly string[]> {
    const done: string[] = [];
    for (let from = 0; from < ids.length; from += page) {
      const some = ids.slice(from, from + page);
      const held = await Promise.all(
        some.map(async (id) => {
          const place = letterPlace(id);
          return place !== undefined && (await act(place, id));
        }),
      );
      done.push(...some.filter((_, at) => held[at]));
    }
    return done;
  }
}

const fits = (letter: DeadLetter, { reason, eventId, eventType }: DeadLetterFilter): boolean =>
  (reason === undefined || letter.reason === reason) &&
  (eventId === undefined || letter.eventId === eventId) &&
  (eventType === undefined || letter.eventType === eventType);
