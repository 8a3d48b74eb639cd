/** Which SMTP server, and how: the options as nodemailer's pooled transport takes them. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { HandlerContext } from 'eventflow/plugin';
import type { EmailOptions } from './options.ts';

interface Server {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly auth?: { readonly user: string; readonly pass: string };
}

/** The URL may hold a password: no message shows it. */
function fromUrl(text: string): Server {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'smtp:' && url.protocol !== 'smtps:') || url.hostname === '') {
    throw new Error('expected url to be smtp://USER:PASSWORD@HOST:PORT or smtps://…, got something else');
  }
  if (url.search !== '' || url.hash !== '' || !/^\/?$/.test(url.pathname)) {
    throw new Error('expected nothing after the port in url: what else there is to say has options of its own');
  }
  const secure = url.protocol === 'smtps:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? (secure ? 465 : 587) : Number(url.port);
  if (url.username === '') return { host, port, secure };
  return {
    host,
    port,
    secure,
    auth: { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) },
  };
}

function fromFields({ host, port, secure = false, username, password }: EmailOptions): Server {
  if (host === undefined) throw new Error('expected url or host, got neither');
  const server = { host, port: port ?? (secure ? 465 : 587), secure };
  if (username === undefined && password === undefined) return server;
  if (username === undefined || password === undefined) {
    throw new Error(
      `expected username and password together, got only ${username === undefined ? 'password' : 'username'}`,
    );
  }
  return { ...server, auth: { user: username, pass: password } };
}

function serverOf(options: EmailOptions): Server {
  if (options.url === undefined) return fromFields(options);
  for (const name of ['host', 'port', 'username', 'password'] as const) {
    if (options[name] !== undefined) throw new Error(`expected either url or ${name}, got both`);
  }
  return fromUrl(options.url);
}

/** Throws on options that contradict each other, and when the CA file cannot be read. */
export function transportOptions(options: EmailOptions, { timeout, folder }: HandlerContext) {
  const { tls = {}, pool = {}, requireTls = false } = options;
  return {
    ...serverOf(options),
    pool: true as const,
    requireTLS: requireTls,
    maxConnections: pool.maxConnections ?? 5,
    maxMessages: pool.maxMessages ?? 100,
    // A message whose connection broke is an attempt with an unknown end: the route's policy decides what comes next.
    maxRequeues: 0,
    connectionTimeout: Math.min(timeout, 10_000),
    greetingTimeout: Math.min(timeout, 10_000),
    dnsTimeout: Math.min(timeout, 10_000),
    socketTimeout: timeout,
    disableFileAccess: true,
    disableUrlAccess: true,
    tls: {
      minVersion: 'TLSv1.2' as const,
      ...(tls.ca === undefined ? {} : { ca: readFileSync(resolve(folder, tls.ca)) }),
      ...(tls.servername === undefined ? {} : { servername: tls.servername }),
    },
  };
}
