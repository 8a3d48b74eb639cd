/**
 * A command with large arguments, encoded into one buffer. ioredis joins strings and lets the socket encode the sum:
 * for a batch of events that costs more than everything else about publishing.
 */
import { Command } from 'ioredis';

/** Bytes of `$123456\r\n` and `\r\n` at most. */
const framing = 24;

export function encodeCommand(args: readonly (string | number)[]): Buffer {
  const texts = args.map((arg) => (typeof arg === 'string' ? arg : String(arg)));
  const sizes = texts.map((text) => Buffer.byteLength(text));
  const buffer = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + size + framing, framing));
  let at = buffer.write(`*${texts.length}`, 'latin1');
  for (let i = 0; i < texts.length; i += 1) {
    const text = texts[i] as string;
    const size = sizes[i] as number;
    at += buffer.write(`\r\n$${size}\r\n`, at, 'latin1');
    at += size === text.length ? buffer.write(text, at, 'latin1') : buffer.write(text, at, 'utf8');
  }
  at += buffer.write('\r\n', at, 'latin1');
  return buffer.subarray(0, at);
}

/** A script call that is encoded already. It may be written more than once: after a reconnect it is sent again. */
export class EncodedCommand extends Command {
  readonly #bytes: Buffer;
  readonly #key: string;

  constructor(name: string, args: readonly (string | number)[], options: { readonly replyEncoding: 'utf8' | null }) {
    super(name, [], options);
    // After the script and the number of keys.
    this.#key = String(args[2]);
    this.#bytes = encodeCommand([name, ...args]);
  }

  /** In a cluster the first key says which node it goes to. */
  override getKeys(): string[] {
    return [this.#key];
  }

  override toWritable(): Buffer {
    return this.#bytes;
  }
}
