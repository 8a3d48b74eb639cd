/**
 * A child process of the ingest benchmark: `bare` is fastify and XADD with nothing else, `ours` is the ingest listener.
 * argv: which, Redis URL. Tells its parent the address.
 */
import fastify from 'fastify';
import { Redis } from 'ioredis';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import type { Generation } from '../../engine/core/route.ts';
import { startIngest } from '../../engine/http/ingest.ts';
import { createMetrics } from '../../engine/observe/metrics.ts';
import { createPublisher } from '../../engine/publisher.ts';

async function startBare(url: string): Promise<string> {
  const redis = new Redis(url, { enableAutoPipelining: true });
  const add = (event: unknown) => redis.xadd('bench:bare', '*', 'event', JSON.stringify(event)) as Promise<string>;
  const app = fastify();
  app.post('/v1/events', async (request, reply) => {
    reply.code(202);
    return Array.isArray(request.body)
      ? { ids: await Promise.all(request.body.map(add)) }
      : { id: await add(request.body) };
  });
  return app.listen({ host: '127.0.0.1', port: 0 });
}

async function startOurs(url: string): Promise<string> {
  const bus = await openRedisBus(url, { prefix: 'bench-ingest' });
  const generation: Generation = { hash: '', pipelines: [], routes: new Map(), eventTypes: new Map() };
  const metrics = createMetrics({ bus: () => bus, gauges: () => [], version: '0' });
  const deps = {
    publisher: createPublisher({ bus }),
    generation: () => generation,
    routeCount: () => 1,
    observer: metrics.observer,
  };
  const { address } = await startIngest(deps, '127.0.0.1:0');
  return address;
}

const [which, url = ''] = process.argv.slice(2);
const address = await (which === 'ours' ? startOurs(url) : startBare(url));
process.send?.(address);
process.on('disconnect', () => process.exit(0));
