/** Reading a request's body: never more of it than is wanted, and only as UTF-8. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { IngestFault } from '../core/ingest-fault.ts';

const tooLarge = (limit: number): IngestFault =>
  new IngestFault('too_large', `expected a body of at most ${limit} bytes, got more`);

type Done = (error: Error | null, body?: Buffer) => void;

/** Calls `done` once: with the body, with `too_large` at the byte that is too many, or with what broke the stream. */
export function readBody(request: IncomingMessage, limit: number, done: Done): void {
  if (Number(request.headers['content-length'] ?? 0) > limit) return done(tooLarge(limit));
  const chunks: Buffer[] = [];
  let size = 0;
  const stop = (error: Error | null, body?: Buffer): void => {
    request.off('data', onData).off('end', onEnd).off('error', stop);
    done(error, body);
  };
  const onData = (chunk: Buffer): void => {
    size += chunk.length;
    if (size > limit) return stop(tooLarge(limit));
    chunks.push(chunk);
  };
  const onEnd = (): void => stop(null, chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
  request.on('data', onData).on('end', onEnd).on('error', stop);
}

/** Throws `invalid_encoding`. */
export function decodeText(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  throw new IngestFault('invalid_encoding', 'expected a body in UTF-8, got bytes that are none');
}
