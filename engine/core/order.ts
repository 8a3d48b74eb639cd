/**
 * The lines of an ordered route: deliveries with one key stand in one line, and only the first of a line may run. The
 * others wait here with their entries, as far as there is room, or in the bus (*set aside*) with only their place known
 * here. Nothing is read, settled or timed here; whoever holds the lines is told what may start and what to fetch.
 *
 *   arrive ─▶ waits ─▶ out (runs, or is being settled) ─▶ ended
 *                ╰─▶ leaving ─▶ aside ─▶ away ─▶ arrive     no room here
 *                       out ─▶ away ─▶ arrive               a retry
 */

/** Which delivery, and where in its line it belongs. */
export interface Place {
  readonly stream: string;
  readonly origin: string;
  /** ms since the epoch. */
  readonly publishedAt: number;
  /** Its origin as the numbers that it is made of: of one stream the later has the higher ones. */
  readonly major: number;
  readonly minor: number;
  /** It had given up, and a person sent it again: it goes to the end of its line. */
  readonly redriven: boolean;
}

/** Origins are numbers, or two of them with a dash between. */
export function placeOf(delivery: Pick<Place, 'stream' | 'origin' | 'publishedAt'>, redriven: boolean): Place {
  const { stream, origin, publishedAt } = delivery;
  const dash = origin.indexOf('-');
  const [major, minor] =
    dash < 0 ? [Number(origin), 0] : [Number(origin.slice(0, dash)), Number(origin.slice(dash + 1))];
  return { stream, origin, publishedAt, major, minor, redriven };
}

/** What is to be done about a line. */
export interface Next<E> {
  /** May start. */
  readonly start: E | undefined;
  /** To be fetched from where they were set aside, in order. */
  readonly recall: readonly Place[];
}

export interface Room {
  /** Entries that wait here, of all lines. */
  readonly entries: number;
  /** Characters of their bodies. */
  readonly size: number;
  /** Entries behind a first one that is away for a while. */
  readonly behindAway: number;
}

/** `away` comes by itself, or was recalled; `aside` comes when it is recalled. */
type Stand = 'waits' | 'out' | 'leaving' | 'aside' | 'away';

interface Ticket<E> extends Place {
  readonly line: Line<E>;
  entry: E | undefined;
  size: number;
  stand: Stand;
  /** When it is expected, of one that is away; ms on the caller's clock. */
  at: number;
  /** Nobody has seen it in the bus since `doubt`. */
  doubted: boolean;
}

interface Line<E> {
  readonly key: string;
  /** What left it leaves a hole before `head`. */
  tickets: (Ticket<E> | undefined)[];
  head: number;
  /** Entries that wait here. */
  kept: number;
}

/** How many are fetched at once of those that were set aside. */
const recallBatch = 64;

const nothing: Next<never> = { start: undefined, recall: [] };

const nameOf = ({ stream, origin }: Pick<Place, 'stream' | 'origin'>): string => `${origin} ${stream}`;

/** Negative when `a` was published before `b`. Between two streams their times decide. */
export const comparePlaces = (a: Place, b: Place): number =>
  a.stream === b.stream ? a.major - b.major || a.minor - b.minor : a.publishedAt - b.publishedAt;

export class Lines<E> {
  readonly #room: Room;
  readonly #lines = new Map<string, Line<E>>();
  readonly #tickets = new Map<string, Ticket<E>>();
  #kept = 0;
  #size = 0;
  /** What ended while the bus is being asked what rests in it: its answer may be older. */
  #endedMeanwhile: Set<string> | undefined;

  constructor(room: Room) {
    this.#room = room;
  }

  /** Deliveries that stand in line, wherever they are. */
  get length(): number {
    return this.#tickets.size;
  }

  /** Entries that wait here. */
  get kept(): number {
    return this.#kept;
  }

  *entries(): Iterable<E> {
    for (const { entry } of this.#tickets.values()) if (entry !== undefined) yield entry;
  }

  /**
   * An entry has come. `known`: it is here already, so this one is a repeat. `aside`: there is no room, so it must be
   * put back into the bus, and `leftAside` called when it is there.
   */
  put(key: string, place: Place, entry: E, size: number): 'waits' | 'aside' | 'known' {
    const known = this.#tickets.get(nameOf(place));
    if (known === undefined ? this.#hasJustEnded(place) : known.stand !== 'away' && known.stand !== 'aside')
      return 'known';
    const ticket = known ?? this.#join(key, place, 'away', 0);
    ticket.doubted = false;
    if (!this.#hasRoom(ticket, size)) {
      ticket.stand = 'leaving';
      return 'aside';
    }
    ticket.stand = 'waits';
    ticket.entry = entry;
    ticket.size = size;
    this.#count(ticket, 1);
    return 'waits';
  }

  /**
   * It waits in the bus. `at`: until then, by itself; undefined: it never ran, and may be fetched at any time. What is
   * here is not looked for there.
   */
  expect(key: string, place: Place, at: number | undefined): void {
    const known = this.#tickets.get(nameOf(place));
    const stand = at === undefined ? 'aside' : 'away';
    if (known === undefined) {
      if (!this.#hasJustEnded(place)) this.#join(key, place, stand, at ?? 0);
      return;
    }
    if (known.stand !== 'away' && known.stand !== 'aside') return;
    if (known.doubted) {
      known.stand = stand;
      known.at = at ?? 0;
    }
    known.doubted = false;
  }

  /** What is next in the line of `key`. */
  next(key: string, now: number): Next<E> {
    const line = this.#lines.get(key);
    return line === undefined ? nothing : this.#advance(line, now);
  }

  /** The same for all lines: those of which there is something to say. */
  *nextOfAll(now: number): Iterable<Next<E>> {
    for (const line of [...this.#lines.values()]) {
      const next = this.#advance(line, now);
      if (next !== nothing) yield next;
    }
  }

  /** It is settled for good. */
  ended(place: Place, now: number): Next<E> {
    const ticket = this.#tickets.get(nameOf(place));
    if (ticket === undefined) return nothing;
    this.#endedMeanwhile?.add(nameOf(place));
    this.#leave(ticket);
    return this.#advance(ticket.line, now);
  }

  /** It waits in the bus until `at`. Returns those behind it that must be put back into the bus: there is no room for them. */
  left(place: Place, at: number): readonly E[] {
    const ticket = this.#tickets.get(nameOf(place));
    if (ticket === undefined) return [];
    ticket.stand = 'away';
    ticket.at = at;
    return this.#thin(ticket.line);
  }

  /**
   * It was put back into the bus, as `put` or `left` asked for. The answer may come late, when the bus was seen to have it,
   * or when it has come again. False: it had started, so nobody had asked.
   */
  leftAside(place: Place): boolean {
    const ticket = this.#tickets.get(nameOf(place));
    if (ticket === undefined || ticket.stand === 'out') return false;
    if (ticket.stand === 'waits') return true;
    ticket.stand = 'aside';
    ticket.doubted = false;
    return true;
  }

  /** It is not known any more where it is. */
  lost(place: Place): void {
    const ticket = this.#tickets.get(nameOf(place));
    if (ticket === undefined) return;
    if (ticket.stand === 'waits') this.#count(ticket, -1);
    ticket.entry = undefined;
    ticket.stand = 'away';
    ticket.doubted = true;
  }

  /** From now on what is said to rest in the bus must be seen there by `expect` or `put`. */
  doubt(): void {
    this.#endedMeanwhile = new Set();
    for (const ticket of this.#tickets.values()) ticket.doubted = ticket.stand === 'away' || ticket.stand === 'aside';
  }

  /** Those that were not seen are over: somebody else has settled them. */
  dropDoubted(): void {
    this.#endedMeanwhile = undefined;
    this.#retain((ticket) => !ticket.doubted);
  }

  /** Forgets everything but those of which `runs` holds. Whoever waits for them goes on as if nothing had been. */
  forget(runs: (place: Place) => boolean): void {
    this.#retain((ticket) => ticket.stand === 'out' && runs(ticket));
  }

  /** Whether the first of some line should have come before `time`. */
  overdue(time: number): boolean {
    for (const line of this.#lines.values()) {
      const first = line.tickets[line.head];
      if (first?.stand === 'away' && first.at < time) return true;
    }
    return false;
  }

  keyOf(place: Place): string | undefined {
    return this.#tickets.get(nameOf(place))?.line.key;
  }

  #hasJustEnded(place: Place): boolean {
    return this.#endedMeanwhile?.has(nameOf(place)) === true;
  }

  #advance(line: Line<E>, now: number): Next<E> {
    const first = line.tickets[line.head];
    if (first?.stand === 'aside') return { start: undefined, recall: this.#recall(line, now) };
    if (first?.stand !== 'waits') return nothing;
    const { entry } = first;
    this.#count(first, -1);
    first.stand = 'out';
    first.entry = undefined;
    return { start: entry, recall: [] };
  }

  #recall({ tickets, head }: Line<E>, now: number): Place[] {
    const some: Place[] = [];
    for (let at = head; some.length < recallBatch; at += 1) {
      const ticket = tickets[at];
      if (ticket?.stand !== 'aside') break;
      ticket.stand = 'away';
      ticket.at = now;
      some.push(ticket);
    }
    return some;
  }

  /** The first of a line is not asked: it is about to start. */
  #hasRoom(ticket: Ticket<E>, size: number): boolean {
    const { line } = ticket;
    const first = line.tickets[line.head];
    if (first === ticket) return true;
    const moves = first?.stand === 'out' || first?.stand === 'waits';
    if (!moves && line.kept >= this.#room.behindAway) return false;
    return this.#kept < this.#room.entries && this.#size + size <= this.#room.size;
  }

  #thin(line: Line<E>): E[] {
    const waiting: Ticket<E>[] = [];
    if (line.kept <= this.#room.behindAway) return [];
    for (const ticket of line.tickets) if (ticket?.stand === 'waits') waiting.push(ticket);
    return waiting.slice(this.#room.behindAway).map((ticket) => {
      const entry = ticket.entry as E;
      this.#count(ticket, -1);
      ticket.stand = 'leaving';
      ticket.entry = undefined;
      return entry;
    });
  }

  #count(ticket: Ticket<E>, by: 1 | -1): void {
    ticket.line.kept += by;
    this.#kept += by;
    this.#size += by * ticket.size;
  }

  #join(
    key: string,
    { stream, origin, publishedAt, major, minor, redriven }: Place,
    stand: Stand,
    at: number,
  ): Ticket<E> {
    let line = this.#lines.get(key);
    if (line === undefined) {
      line = { key, tickets: [], head: 0, kept: 0 };
      this.#lines.set(key, line);
    }
    const ticket: Ticket<E> = {
      ...{ stream, origin, publishedAt, major, minor, redriven },
      ...{ line, entry: undefined, size: 0, stand, at, doubted: false },
    };
    this.#tickets.set(nameOf(ticket), ticket);
    line.tickets.splice(placeIn(line, ticket), 0, ticket);
    return ticket;
  }

  /** One by one would take the square of the longest line. */
  #retain(keep: (ticket: Ticket<E>) => boolean): void {
    for (const line of [...this.#lines.values()]) {
      const before = line.tickets;
      line.tickets = before.filter((ticket) => ticket !== undefined && keep(ticket));
      line.head = 0;
      if (line.tickets.length === 0) this.#lines.delete(line.key);
      for (const ticket of before) if (ticket !== undefined && !keep(ticket)) this.#strike(ticket);
    }
  }

  #strike(ticket: Ticket<E>): void {
    if (ticket.stand === 'waits') this.#count(ticket, -1);
    this.#tickets.delete(nameOf(ticket));
  }

  #leave(ticket: Ticket<E>): void {
    const { line } = ticket;
    this.#strike(ticket);
    if (line.tickets[line.head] === ticket) {
      line.tickets[line.head] = undefined;
      line.head += 1;
    } else line.tickets.splice(line.tickets.indexOf(ticket, line.head), 1);
    if (line.head === line.tickets.length) this.#lines.delete(line.key);
    else if (line.head > 1_024) {
      line.tickets.splice(0, line.head);
      line.head = 0;
    }
  }
}

/** From the end, since most come last. Nothing gets before one that is running. */
function placeIn<E>({ tickets, head }: Line<E>, place: Place): number {
  let at = tickets.length;
  if (place.redriven) return at;
  for (; at > head; at -= 1) {
    const before = tickets[at - 1] as Ticket<E>;
    if (before.stand === 'out' || before.redriven || comparePlaces(before, place) <= 0) break;
  }
  return at;
}
