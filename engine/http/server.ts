/** What both listeners share: limits on time and size, refusals as problem details, a clean end. */

import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { IngestFault, refusals } from '../core/ingest-fault.ts';
import { EventFlowError } from '../errors.ts';
import type { ListenAddress, Listening } from './deps.ts';
import { faultOf, problemHeaders, problemOf, problemType, rawProblem } from './problem.ts';

export interface ServerLimits {
  /** For the headers of a request to arrive, ms [10,000]. */
  readonly headersTimeoutMs: number;
  /** For a whole request to arrive, ms [15,000]. */
  readonly requestTimeoutMs: number;
  readonly maxHeaderBytes: number;
  readonly maxHeaders: number;
}

export const defaultServerLimits: ServerLimits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 15_000,
  maxHeaderBytes: 16 * 1024,
  maxHeaders: 100,
};

/** Answers with a problem. `close`: the connection cannot be used again, since the rest of the request is unread. */
export function refuse(reply: FastifyReply, error: unknown, close = false): void {
  const fault = faultOf(error);
  reply.code(refusals[fault.word].status).headers(problemHeaders(fault)).header('content-type', problemType);
  if (close || fault.word === 'shutting_down') reply.header('connection', 'close');
  reply.send(JSON.stringify(problemOf(fault)));
}

function clientFault(error: Error & { code?: string }, limits: ServerLimits): IngestFault {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new IngestFault(
        'headers_too_large',
        `expected at most ${limits.maxHeaderBytes} bytes of headers, got more`,
      );
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new IngestFault('request_timeout', 'expected the whole request in time, got a part of it');
    default:
      return new IngestFault(
        'bad_request',
        `expected a request in HTTP/1.1, got one that breaks its rules: ${error.message}`,
      );
  }
}

/** A request that could not even be parsed is answered on its socket. */
function answerSocket(error: Error & { code?: string }, socket: Socket, limits: ServerLimits): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return void socket.destroy();
  socket.end(rawProblem(clientFault(error, limits)));
  // Whoever sends slowly also reads slowly; what they never read must not keep the socket.
  socket.setTimeout(2000, () => socket.destroy());
}

/** `allowed`: methods by path, for the answer to a wrong method; a last segment `*` is any. */
export function createServer(limits: ServerLimits, allowed: ReadonlyMap<string, readonly string[]>): FastifyInstance {
  const checkEvery = Math.min(1000, Math.ceil(Math.min(limits.headersTimeoutMs, limits.requestTimeoutMs) / 4));
  const app = fastify({
    logger: false,
    requestTimeout: limits.requestTimeoutMs,
    http: {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: checkEvery,
    },
    routerOptions: { maxParamLength: 1000 },
    exposeHeadRoutes: false,
    clientErrorHandler: (error, socket) => answerSocket(error, socket as Socket, limits),
    frameworkErrors: (error, _request, reply) => refuse(reply as FastifyReply, error, true),
  }) as unknown as FastifyInstance;
  app.removeAllContentTypeParsers();
  app.setErrorHandler((error, request, reply) => refuse(reply, error, !request.raw.complete));
  app.setNotFoundHandler((request, reply) => notFound(request, reply, allowed));
  return app;
}

function notFound(request: FastifyRequest, reply: FastifyReply, allowed: ReadonlyMap<string, readonly string[]>): void {
  const path = request.url.split('?', 1)[0] ?? '';
  const methods = allowed.get(path) ?? allowed.get(path.replace(/[^/]+$/, '*'));
  if (methods === undefined) {
    return refuse(
      reply,
      new IngestFault('not_found', 'expected a path of this listener, got another'),
      !request.raw.complete,
    );
  }
  const allow = methods.join(', ');
  reply.header('allow', allow);
  refuse(
    reply,
    new IngestFault('method_not_allowed', `expected ${allow}, got ${request.method}`),
    !request.raw.complete,
  );
}

/** `HOST:PORT`, with brackets around an IPv6 address. Throws `TypeError`. */
export function readListen(listen: ListenAddress | string): ListenAddress {
  if (typeof listen !== 'string') return listen;
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(listen);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new TypeError(`expected HOST:PORT, got ${JSON.stringify(listen)}`);
  return { host: match[1] ?? match[2] ?? '', port };
}

/** Counts what is under way, and refuses what comes after `stop`. */
export class Gate {
  stopping = false;
  #open = 0;

  watch(app: FastifyInstance): void {
    app.addHook('onRequest', (_request, reply, done) => {
      if (this.stopping) return refuse(reply, new IngestFault('shutting_down', 'this process is shutting down'), true);
      this.#open++;
      reply.raw.once('close', this.#leave);
      done();
    });
  }

  readonly #leave = (): void => {
    this.#open--;
  };

  async drained(graceMs: number): Promise<void> {
    const deadline = Date.now() + graceMs;
    while (this.#open > 0 && Date.now() < deadline) await sleep(5);
  }
}

/** Where the address of a listener is set, for the message when it cannot be bound. */
type ListenSetting = 'http.listen' | 'http.adminListen';

const variables: Readonly<Record<ListenSetting, string>> = {
  'http.listen': 'EVENTFLOW_HTTP_LISTEN',
  'http.adminListen': 'EVENTFLOW_HTTP_ADMIN_LISTEN',
};

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there: stop it',
  EACCES: 'this user may not bind it: take a port from 1024 on',
  EADDRNOTAVAIL: 'this machine has no such address: name one that it has',
  ENOTFOUND: 'this machine does not know the name: write the address in numbers',
};

function cannotListen(cause: unknown, address: string, setting: ListenSetting): EventFlowError {
  const { code = '', message } = cause as NodeJS.ErrnoException;
  const reason = reasons[code] ?? message;
  const text = `expected ${setting} to be an address to listen on, got ${address}: ${reason}, or set ${setting} or ${variables[setting]} to another`;
  return new EventFlowError('EF6023', text, { cause });
}

/**
 * Binds, and closes in order: refuse what is new, wait for what is under way, cut the rest. Rejects with `EF6023` when
 * the address cannot be bound.
 */
export async function listenOn(
  app: FastifyInstance,
  gate: Gate,
  listen: ListenAddress,
  setting: ListenSetting,
): Promise<Listening> {
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  try {
    await app.listen({ host: listen.host, port: listen.port });
  } catch (error) {
    await app.close();
    throw cannotListen(error, `${host}:${listen.port}`, setting);
  }
  const bound = app.server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : listen.port;
  return {
    address: `http://${host}:${port}`,
    close: async (graceMs) => {
      gate.stopping = true;
      await gate.drained(graceMs);
      app.server.closeAllConnections();
      await app.close();
    },
  };
}
