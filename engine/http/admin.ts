/**
 * The admin listener: health, metrics, and what people do with a running engine. It has no authentication, so it binds
 * loopback addresses only, answers to loopback names only (a web page may point its own name at 127.0.0.1), and takes
 * writes from its own origin only.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { IngestFault } from '../core/ingest-fault.ts';
import { EventFlowError } from '../errors.ts';
import { addAdminRoutes, adminPaths } from './admin-routes.ts';
import { readBody } from './body.ts';
import type { HttpDeps, ListenAddress, Listening } from './deps.ts';
import { createServer, defaultServerLimits, Gate, listenOn, readListen, refuse } from './server.ts';

export const isLoopback = (host: string): boolean =>
  /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?|\[?::ffff:127(\.\d{1,3}){3}\]?)$/i.test(host);

function hostOf(header: string | undefined): string | undefined {
  try {
    return header === undefined || /[/@?#\\\s]/.test(header) ? undefined : new URL(`http://${header}`).hostname;
  } catch {
    return undefined;
  }
}

const isWrite = (method: string): boolean => method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS';

/** Throws `wrong_host` or `cross_origin`. */
function checkSender({ method, headers }: FastifyRequest): void {
  const host = hostOf(headers.host);
  if (host === undefined || !isLoopback(host)) {
    throw new IngestFault('wrong_host', 'expected a loopback name in the Host header, such as 127.0.0.1, got another');
  }
  if (!isWrite(method)) return;
  const { origin } = headers;
  const site = headers['sec-fetch-site'];
  const foreignSite = site !== undefined && site !== 'same-origin' && site !== 'none';
  if ((origin !== undefined && origin !== `http://${headers.host}`) || foreignSite) {
    throw new IngestFault('cross_origin', 'expected a write from the origin of this listener, got one from another');
  }
}

function addHeaders(_request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
  done();
}

const largestBody = 1024 * 1024;
/** Pipelines that are sent along, hundreds of them. */
const largestPlan = 8 * 1024 * 1024;

function addGuards(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    try {
      checkSender(request);
    } catch (error) {
      return refuse(reply, error, true);
    }
    done();
  });
  app.addHook('onRequest', addHeaders);
  app.addContentTypeParser('application/json', (request, payload, done) =>
    readBody(payload, request.url === '/admin/plan' ? largestPlan : largestBody, done),
  );
}

/** Starts listening. Rejects with `EF6020` when the address is not loopback, `EF6023` when it cannot be bound. */
export async function startAdmin(deps: HttpDeps, listen: ListenAddress | string): Promise<Listening> {
  const address = readListen(listen);
  if (!isLoopback(address.host)) {
    const expected = 'expected a loopback address for the admin listener, such as 127.0.0.1';
    throw new EventFlowError(
      'EF6020',
      `${expected}, got ${address.host}: it has no authentication, so it may not be public`,
    );
  }
  const app = createServer(defaultServerLimits, adminPaths);
  const gate = new Gate();
  gate.watch(app);
  addGuards(app);
  addAdminRoutes(app, deps);
  return listenOn(app, gate, address, 'http.adminListen');
}
