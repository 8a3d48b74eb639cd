/** The handler: counters that the bus keeps, and a file. */
import type { BatchResult, Delivery, EventEnvelope, Handler, HandlerContext } from 'eventflow/plugin';
import { compileCounter } from './counter.ts';
import { NdjsonFile } from './file.ts';
import type { AnalyticsOptions } from './options.ts';

function checkNames(counters: NonNullable<AnalyticsOptions['counters']>): void {
  const names = new Set<string>();
  for (const { name } of counters) {
    if (names.has(name)) throw new Error(`expected each counter to have a name of its own, got ${name} twice`);
    names.add(name);
  }
}

export function createAnalytics({ counters = [], file }: AnalyticsOptions, context: HandlerContext): Handler {
  checkNames(counters);
  const counts = counters.map((counter) => compileCounter(counter, context));
  const lines = file === undefined ? undefined : new NdjsonFile(file, context.folder);

  async function handle(event: EventEnvelope, delivery: Delivery): Promise<void> {
    for (const count of counts) count(event, delivery);
    if (lines === undefined) return;
    const { original } = delivery;
    const isOneLine = original !== undefined && !/[\r\n]/.test(original);
    await lines.append(isOneLine ? original : JSON.stringify(event));
  }

  return {
    handle,
    // Lines of one turn of the loop go to the disk together: one write and one flush for the whole batch.
    handleBatch: (events, { deliveries }) =>
      Promise.all(
        events.map(async (event, at): Promise<BatchResult> => {
          try {
            await handle(event, deliveries[at] as Delivery);
            return 'delivered';
          } catch (error) {
            return error as Error;
          }
        }),
      ),
    async close() {
      await lines?.close();
    },
  };
}
