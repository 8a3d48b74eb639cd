/** The paths of the admin listener, each a few lines around an operation. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { IngestFault } from '../core/ingest-fault.ts';
import type { Generation } from '../core/route.ts';
import { EventFlowError } from '../errors.ts';
import { readFilter, readPlan, readPurge, readRange, readRedrive, readReload, readRollback } from './admin-query.ts';
import type { HttpDeps } from './deps.ts';

type Answer = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown> | unknown;
type Routes = Readonly<Record<string, Answer>>;

const queryOf = (request: FastifyRequest): Record<string, unknown> => request.query as Record<string, unknown>;
const paramOf = (request: FastifyRequest, name: string): string =>
  (request.params as Record<string, string>)[name] ?? '';

function found<T>(value: T | undefined, what: string): T {
  if (value !== undefined) return value;
  throw new IngestFault('not_found', `expected ${what}, got an id that is none (any more)`);
}

/** What may be shown of a generation: never a handler's options, which hold secrets in clear. */
function describe(generation: Generation) {
  return generation.pipelines.map(({ name, description, labels, file, routes }) => ({
    name,
    description,
    labels,
    file,
    routes: routes.map(({ group, on, handler, enabled, hash }) => ({ group, on, handler, enabled, hash })),
  }));
}

function healthRoutes(deps: HttpDeps): Routes {
  return {
    'GET /livez': () => ({ status: 'ok' }),
    'GET /readyz': async (request, reply) => {
      const { ready, checks } = await deps.health();
      if (!ready) reply.code(503);
      const status = ready ? 'ready' : 'not_ready';
      return queryOf(request)['verbose'] === undefined ? { status } : { status, checks };
    },
    'GET /version': () => ({ version: deps.version, node: process.version, ingest: deps.ingestAddress?.() }),
    'GET /metrics': async (_request, reply) => {
      const text = await deps.metrics.render();
      return reply.header('content-type', deps.metrics.contentType).send(text);
    },
  };
}

function inUse(error: unknown): never {
  if (error instanceof EventFlowError && error.code === 'EF6030') throw new IngestFault('in_use', error.message);
  throw error;
}

function operationRoutes({ operations }: HttpDeps): Routes {
  return {
    'GET /admin/dead-letters': (request) => operations.deadLetters(readFilter(queryOf(request), 100, 10_000)),
    'GET /admin/dead-letters/:id': async (request) =>
      found(await operations.deadLetter(paramOf(request, 'id')), 'the id of a dead letter'),
    'POST /admin/dead-letters/redrive': (request) =>
      operations.redrive(readRedrive(request.body as Buffer | undefined)),
    'GET /admin/events/:id': (request) => operations.timeline(paramOf(request, 'id')),
    'GET /admin/circuits': () => operations.circuits(),
    'GET /admin/routes': () => operations.routes(),
    'POST /admin/routes/purge': async (request) => {
      const wanted = readPurge(request.body as Buffer | undefined);
      return found(await operations.purge(wanted).catch(inUse), 'the name of a group');
    },
    'GET /admin/verify': () => operations.verify(),
  };
}

function engineRoutes(deps: HttpDeps): Routes {
  return {
    'POST /admin/reload': (request) => {
      readReload(request.body as Buffer | undefined);
      return deps.config.reload();
    },
    'POST /admin/rollback': (request) => deps.config.rollback(readRollback(request.body as Buffer | undefined)),
    'GET /admin/generations': () => ({ status: deps.config.status, generations: deps.config.generations() }),
    'POST /admin/plan': (request) => deps.plan(readPlan(request.body as Buffer | undefined)),
    'GET /admin/generation': () => {
      const generation = deps.generation();
      const { pinned, last } = deps.config.status;
      const pipelines = describe(generation);
      return { generation: deps.generationNumber(), hash: generation.hash, pinned, last, pipelines };
    },
    'GET /v1/analytics': async () => ({ names: await deps.bus.tallyNames() }),
    'GET /v1/analytics/:name': async (request) => {
      const name = paramOf(request, 'name');
      if (!(await deps.bus.tallyNames()).includes(name)) found(undefined, 'the name of a counter');
      const { from, to } = readRange(queryOf(request), deps.bus.now());
      const tallies = await deps.bus.tallies(name, from, to);
      return { name, from, to, tallies: tallies.map(({ bucket, key, by }) => ({ bucket, key, by })) };
    },
  };
}

const allRoutes = (deps: HttpDeps): Routes => ({
  ...healthRoutes(deps),
  ...operationRoutes(deps),
  ...engineRoutes(deps),
});

const reads = [
  '/livez',
  '/readyz',
  '/version',
  '/metrics',
  '/v1/analytics',
  '/v1/analytics/*',
  '/admin/dead-letters',
  '/admin/dead-letters/*',
  '/admin/events/*',
  '/admin/circuits',
  '/admin/routes',
  '/admin/verify',
  '/admin/generation',
  '/admin/generations',
];
const writes = [
  '/admin/dead-letters/redrive',
  '/admin/reload',
  '/admin/rollback',
  '/admin/routes/purge',
  '/admin/plan',
];

/** Paths and the methods that they take, for the answer to a wrong method; `*` is a parameter. */
export const adminPaths: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ...reads.map((path): [string, string[]] => [path, ['GET']]),
  ...writes.map((path): [string, string[]] => [path, ['POST']]),
]);

export function addAdminRoutes(app: FastifyInstance, deps: HttpDeps): void {
  for (const [name, answer] of Object.entries(allRoutes(deps))) {
    const [method = 'GET', url = '/'] = name.split(' ');
    app.route({ method: method as 'GET' | 'POST', url, handler: async (request, reply) => answer(request, reply) });
  }
}
