/** Standard Webhooks 1.0: an id that stays over all attempts, the time of this one, and a signature by each secret. */
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';

/** A key object: making one anew from bytes for every signature costs eight times the signature. */
const keyOf = (secret: string, index: number): KeyObject => {
  const text = secret.startsWith('whsec_') ? secret.slice(6) : secret;
  const key = Buffer.from(text, 'base64');
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(text) && key.length >= 24 && key.length <= 64) return createSecretKey(key);
  throw new Error(
    `expected secrets[${index}] to be whsec_ and base64 of 24 to 64 bytes, got ${key.length} bytes: make one with "echo whsec_$(openssl rand -base64 32)"`,
  );
};

/** Of one length and without dots whatever the key looks like: dots separate what is signed. */
export const messageId = (idempotencyKey: string): string =>
  `msg_${hash('sha256', idempotencyKey, 'base64url').slice(0, 27)}`;

export type Sign = (id: string, timestamp: string, body: string | Buffer) => string;

/** Throws when a secret is not one, without showing it. */
export function signer(secrets: readonly string[]): Sign {
  const keys = secrets.map(keyOf);
  return (id, timestamp, body) =>
    keys
      .map((key) => `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')}`)
      .join(' ');
}
