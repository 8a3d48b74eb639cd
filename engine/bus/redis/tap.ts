/**
 * Sends a read past the client's own decoder, over the client's own connection. The client sets the connection up, keeps
 * it up and hears everything that is no answer to such a read.
 */
import type { Socket } from 'node:net';
import { ReadReply, type StreamReply } from './read-reply.ts';
import { encodeCommand } from './wire.ts';

type Listener = (chunk: Buffer) => void;

interface Pending {
  readonly reply: ReadReply;
  resolve(reply: StreamReply | null | undefined): void;
  reject(error: Error): void;
}

export class Tap {
  readonly #socket: Socket;
  #pending: Pending | undefined;
  #open = true;

  /**
   * `socket`: of a client that is ready, has been answered everything and speaks version 2 of the protocol. Undefined
   * where the client's decoder does not listen to it: another version of the client may read in another way, and then
   * reads go through the client.
   */
  static on(socket: Socket): Tap | undefined {
    // The decoder puts itself before all others.
    const [theirs] = socket.listeners('data') as Listener[];
    return theirs === undefined ? undefined : new Tap(socket, theirs);
  }

  private constructor(socket: Socket, theirs: Listener) {
    this.#socket = socket;
    socket.off('data', theirs);
    socket.prependListener('data', (chunk: Buffer) => {
      if (this.#pending === undefined) theirs(chunk);
      else this.#hear(this.#pending, chunk);
    });
    socket.once('close', () => {
      this.#open = false;
      this.#done()?.resolve(undefined);
    });
  }

  /** False: the link is gone, or a read is under way. */
  get free(): boolean {
    return this.#open && this.#pending === undefined && this.#socket.writable;
  }

  /** Null: nothing came in time. Undefined: the link broke. Rejects with what Redis says. */
  read(args: readonly (string | number)[]): Promise<StreamReply | null | undefined> {
    return new Promise((resolve, reject) => {
      this.#pending = { reply: new ReadReply(), resolve, reject };
      this.#socket.write(encodeCommand(['XREADGROUP', ...args]));
    });
  }

  #hear({ reply }: Pending, chunk: Buffer): void {
    try {
      const answer = reply.feed(chunk);
      if (answer === undefined) return;
      if (answer instanceof Error) this.#done()?.reject(answer);
      else this.#done()?.resolve(answer);
    } catch (error) {
      // Nobody knows where the next reply begins.
      this.#done()?.reject(error as Error);
      this.#socket.destroy();
    }
  }

  #done(): Pending | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    return pending;
  }
}
