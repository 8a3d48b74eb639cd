/**
 * Reads the one reply that matters for speed, that of XREADGROUP in version 2 of the protocol, straight from the bytes:
 *
 *   null, or [[key, [[id, [field, value, …]], …]], …]
 *
 * The general decoder makes three buffers for each entry, which cost more than everything else about reading it.
 */

/** An entry as Redis answers it; without fields when it was deleted. */
export type RawEntry = readonly [id: string, fields: readonly string[] | null];
export type StreamReply = readonly (readonly [key: string, entries: readonly RawEntry[]])[];

const [minus, zero, letterA, letterZ, lineEnd] = [45, 48, 97, 122, 13];
/** As a length: there are not enough bytes yet. */
const unknown = -2;
const letters = Array.from({ length: letterZ - letterA + 1 }, (_, at) => String.fromCharCode(letterA + at));

/** One reply, fed chunk by chunk. Goes on at the entry that was cut off. */
export class ReadReply {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Still to come; undefined before the head of the reply. */
  #streams: number | undefined;
  #entries = 0;
  readonly #reply: [key: string, entries: RawEntry[]][] = [];

  /**
   * Undefined: more is to come. An error is what Redis said. Throws when the bytes are no such reply, or when more
   * follows than one.
   */
  feed(chunk: Buffer): StreamReply | null | Error | undefined {
    this.#bytes = this.#at === this.#bytes.length ? chunk : Buffer.concat([this.#bytes.subarray(this.#at), chunk]);
    this.#at = 0;
    if (this.#streams === undefined) {
      if (this.#bytes[0] === minus) return this.#error();
      const streams = this.#length('*');
      if (streams === unknown) return undefined;
      if (streams < 0) return this.#end(null);
      this.#streams = streams;
    }
    while (this.#entries > 0 || this.#streams > 0) {
      const from = this.#at;
      if (this.#entries > 0 ? this.#entry() : this.#stream()) continue;
      this.#at = from;
      return undefined;
    }
    return this.#end(this.#reply);
  }

  #end<T>(reply: T): T {
    if (this.#at === this.#bytes.length) return reply;
    throw new Error(`expected one reply to XREADGROUP, got ${this.#bytes.length - this.#at} bytes more`);
  }

  #error(): Error | undefined {
    const end = this.#bytes.indexOf('\r\n');
    return end === -1 ? undefined : new Error(this.#bytes.toString('utf8', 1, end));
  }

  /** False: cut off. */
  #stream(): boolean {
    if (this.#length('*') === unknown) return false;
    const key = this.#text();
    if (key === undefined) return false;
    const entries = this.#length('*');
    if (entries === unknown) return false;
    this.#reply.push([key, []]);
    this.#streams = (this.#streams as number) - 1;
    this.#entries = entries;
    return true;
  }

  #entry(): boolean {
    if (this.#length('*') === unknown) return false;
    const id = this.#text();
    if (id === undefined) return false;
    const count = this.#length('*');
    if (count === unknown) return false;
    const fields = count < 0 ? null : this.#texts(count);
    if (fields === undefined) return false;
    this.#reply.at(-1)?.[1].push([id, fields]);
    this.#entries -= 1;
    return true;
  }

  #texts(count: number): readonly string[] | undefined {
    const texts: string[] = [];
    for (let at = 0; at < count; at += 1) {
      const text = this.#text();
      if (text === undefined) return undefined;
      texts.push(text);
    }
    return texts;
  }

  #text(): string | undefined {
    const size = this.#length('$');
    const end = this.#at + size;
    if (size === unknown || end + 2 > this.#bytes.length) return undefined;
    const first = this.#bytes[this.#at] ?? 0;
    const text =
      size === 1 && first >= letterA && first <= letterZ
        ? (letters[first - letterA] as string)
        : this.#bytes.toString('utf8', this.#at, end);
    this.#at = end + 2;
    return text;
  }

  /** The number after `kind`; -1 for null. */
  #length(kind: '*' | '$'): number {
    const bytes = this.#bytes;
    if (this.#at + 3 >= bytes.length) return unknown;
    if (bytes[this.#at] !== kind.charCodeAt(0)) {
      throw new Error(`expected ${kind} in the reply to XREADGROUP, got byte ${bytes[this.#at]}`);
    }
    const negative = bytes[this.#at + 1] === minus;
    let at = this.#at + (negative ? 2 : 1);
    let length = 0;
    for (; at < bytes.length && bytes[at] !== lineEnd; at += 1) length = length * 10 + (bytes[at] as number) - zero;
    if (at + 2 > bytes.length) return unknown;
    this.#at = at + 2;
    return negative ? -length : length;
  }
}
