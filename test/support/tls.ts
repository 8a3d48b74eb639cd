/** Certificates made on the spot, and a Redis that speaks TLS with them. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from './children.ts';
import { freePort, type RedisProcess, startRedisProcess } from './redis.ts';

const run = promisify(execFile);

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** Files, all PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export class Authority {
  /** The authority's own certificate. */
  readonly ca: string;
  readonly #folder: string;
  readonly #key: string;
  readonly remove: () => Promise<void>;

  private constructor(folder: { readonly path: string; remove(): Promise<void> }) {
    this.#folder = folder.path;
    this.ca = join(folder.path, 'ca.pem');
    this.#key = join(folder.path, 'ca.key');
    this.remove = () => folder.remove();
  }

  static async create(): Promise<Authority> {
    const authority = new Authority(await temporaryFolder('eventflow-tls-'));
    const files = ['-keyout', authority.#key, '-out', authority.ca];
    await run('openssl', ['req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=Test authority', ...files]);
    return authority;
  }

  /** For names such as `DNS:redis.example` and `IP:127.0.0.1`. */
  async sign(file: string, names: readonly string[]): Promise<Certificate> {
    const [cert, key, request, extensions] = ['pem', 'key', 'csr', 'ext'].map((end) =>
      join(this.#folder, `${file}.${end}`),
    ) as [string, string, string, string];
    await writeFile(extensions, `subjectAltName=${names.join(',')}\n`);
    await run('openssl', ['req', ...newKey, '-subj', `/CN=${file}`, '-keyout', key, '-out', request]);
    const signing = ['-CA', this.ca, '-CAkey', this.#key, '-CAcreateserial', '-days', '2', '-extfile', extensions];
    await run('openssl', ['x509', '-req', '-in', request, '-out', cert, ...signing]);
    return { cert, key };
  }
}

export interface TlsRedis {
  /** Without TLS. */
  readonly plain: RedisProcess;
  /** As the user of least privilege, over TLS. */
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** `clients`: whether they must have a certificate of the same authority. */
export async function startTlsRedis(authority: Authority, server: Certificate, clients: boolean): Promise<TlsRedis> {
  const port = await freePort();
  const plain = await startRedisProcess({ args: tlsArgs(authority, server, port, clients) });
  const url = plain.url.replace('redis://', 'rediss://').replace(`:${plain.port}/`, `:${port}/`);
  return { plain, url, port, stop: () => plain.stop() };
}

export const tlsArgs = (
  authority: Authority,
  server: Certificate,
  port: number,
  clients: boolean,
): readonly string[] => [
  ...['--tls-port', String(port), '--tls-ca-cert-file', authority.ca],
  ...['--tls-cert-file', server.cert, '--tls-key-file', server.key],
  ...['--tls-auth-clients', clients ? 'yes' : 'no'],
];
