/** What a `rediss` URL says about TLS. */
import { readFileSync } from 'node:fs';
import { type ConnectionOptions, createSecureContext, type SecureContext } from 'node:tls';
import { type Query, refuse } from './url.ts';

/**
 * `ca=FILE`: who signed the server's certificate, in place of the system's authorities. `cert=FILE` and `key=FILE`: our
 * own certificate, for servers that ask for one. `servername=NAME`: the name in the server's certificate, where it is
 * not the host's. `insecure=true`: any certificate will do, and whoever is in between reads everything.
 *
 * All files are PEM. Throws EF5003 when one cannot be read or used.
 */
export function tlsOptions(query: Query, host: string | undefined): ConnectionOptions {
  const [ca, cert, key] = ['ca', 'cert', 'key'].map((name) => query.take(name));
  const servername = query.take('servername') ?? host;
  const insecure = query.take('insecure');
  if (query.take('rejectUnauthorized') !== undefined) {
    throw refuse('ca=FILE to trust a certificate (or insecure=true to trust every one)', 'rejectUnauthorized');
  }
  if (insecure !== undefined && insecure !== 'true')
    throw refuse('insecure=true or no insecure', JSON.stringify(insecure));
  if ((cert === undefined) !== (key === undefined)) {
    throw refuse('cert=FILE and key=FILE together', cert === undefined ? 'key alone' : 'cert alone');
  }
  const files = Object.entries({ ca, cert, key }).flatMap(([name, file]) =>
    file === undefined ? [] : [{ name, file }],
  );
  const options: ConnectionOptions = {
    ...(servername === undefined ? {} : { servername }),
    ...(insecure === undefined ? {} : { rejectUnauthorized: false }),
  };
  return files.length === 0 ? options : withFiles(options, files);
}

const hints: readonly (readonly [RegExp, string])[] = [
  [/SELF_SIGNED|UNABLE_TO_(GET|VERIFY)/, 'say with ca=FILE in the URL who signed it'],
  [/ALTNAME/, 'say with servername=NAME in the URL which name it has'],
  [/CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/, "look at the server's certificate and at the clocks"],
  [/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/, 'the server speaks no TLS there: redis in place of rediss'],
  // Most servers that want a certificate end the link without a word.
  [
    /CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|UNKNOWN_CA|ECONNRESET|EPIPE/,
    'it may want a certificate of ours: cert=FILE&key=FILE in the URL',
  ],
];

/** What to do about an error of a TLS link, in brackets; empty where it is none of TLS. */
export function tlsHint({ code = '', message }: NodeJS.ErrnoException): string {
  // ioredis keeps to itself what the nodes of a cluster and the sentinels said.
  const unsaid = /slots cache|Connection is closed/.test(message);
  const hint = unsaid
    ? 'is it the certificates? ca, cert, key and servername in the URL'
    : hints.find(([codes]) => codes.test(code))?.[1];
  return hint === undefined ? '' : ` (${hint})`;
}

interface PemFile {
  readonly name: string;
  readonly file: string;
}

/**
 * The files are read again at each connect, because certificates are renewed while we run: ioredis hands the options to
 * `tls.connect` each time, so a getter is asked. A client that cannot even try is dead for good, so while the new files
 * are half written the last good ones are used.
 */
function withFiles(options: ConnectionOptions, files: readonly PemFile[]): ConnectionOptions {
  let last = readContext(files);
  return Object.defineProperty(options, 'secureContext', {
    enumerable: true,
    get: () => {
      try {
        last = readContext(files);
      } catch {
        // Stays as it was.
      }
      return last;
    },
  });
}

function readContext(files: readonly PemFile[]): SecureContext {
  const read = files.map(({ name, file }) => [name, readPem(name, file)] as const);
  try {
    return createSecureContext(Object.fromEntries(read));
  } catch (error) {
    throw refuse(
      `PEM certificates and a key that fits in ${files.map(({ file }) => file).join(', ')}`,
      (error as Error).message,
    );
  }
}

function readPem(name: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw refuse(`a file to read in ${name}=${file}`, (error as NodeJS.ErrnoException).code ?? 'an error');
  }
}
