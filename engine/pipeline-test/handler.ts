/** Stands in for a route's handler: renders the options as the plugin would, and answers as the test says. */
import type { Timers } from '../core/timers.ts';
import {
  type Batch,
  type BatchResult,
  type Delivery,
  type EventEnvelope,
  type Handler,
  type Skip,
  skip,
} from '../plugin.ts';
import type { Answer } from './answers.ts';

export interface ScriptedDeps {
  readonly timers: Timers;
  readonly render: (scope: Readonly<Record<string, unknown>>) => unknown;
  readonly answer: (event: string) => Answer;
  /** Where everything goes; undefined: the handler says no targets. */
  readonly target: string | undefined;
  /** `options`: undefined when a template cannot be rendered. */
  readonly onStart: (event: string, attempt: number, options: unknown) => void;
}

/** Rejects when the engine says so. */
const hang = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });

async function give(
  { after, ending }: Answer,
  { timers }: ScriptedDeps,
  signal: AbortSignal,
): Promise<undefined | Skip> {
  if (after > 0) await Promise.race([timers.wait(after), hang(signal)]);
  switch (ending.kind) {
    case 'delivered':
      return undefined;
    case 'skipped':
      return skip(ending.reason);
    case 'throws':
      throw ending.error;
    case 'hangs':
      return hang(signal);
  }
}

export function scriptedHandler(deps: ScriptedDeps): Handler {
  function begin(event: EventEnvelope, delivery: Delivery): Answer {
    const { attempt, route, idempotencyKey } = delivery;
    let options: unknown;
    try {
      options = deps.render({ event, delivery: { attempt, route, idempotencyKey } });
    } finally {
      deps.onStart(event.id, attempt, options);
    }
    return deps.answer(event.id);
  }
  async function handle(event: EventEnvelope, delivery: Delivery): Promise<undefined | Skip> {
    return give(begin(event, delivery), deps, delivery.signal);
  }
  /** A template that cannot be rendered is the fault of its event; one that hangs hangs all of its call. */
  function beginOne(event: EventEnvelope, delivery: Delivery): Answer {
    try {
      return begin(event, delivery);
    } catch (error) {
      return { after: 0, ending: { kind: 'throws', error: error as Error } };
    }
  }
  async function resultOf(answer: Answer, signal: AbortSignal): Promise<BatchResult> {
    if (answer.ending.kind !== 'throws') return (await give(answer, deps, signal)) ?? 'delivered';
    const { error } = answer.ending;
    await give({ ...answer, ending: { kind: 'delivered' } }, deps, signal);
    return error;
  }
  async function handleBatch(events: readonly EventEnvelope[], batch: Batch): Promise<readonly BatchResult[]> {
    const answers = events.map((event, at) => beginOne(event, batch.deliveries[at] as Delivery));
    return Promise.all(answers.map((answer) => resultOf(answer, batch.signal)));
  }
  const { target } = deps;
  return { handle, handleBatch, ...(target === undefined ? {} : { target: () => target }) };
}
