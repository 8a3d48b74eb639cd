/** Stands in for a route's handler: renders the options as the plugin would, and answers as the test says. */
import type { Timers } from '../core/timers.ts';
import { type Delivery, type EventEnvelope, type Handler, type Skip, skip } from '../plugin.ts';
import type { Answer } from './answers.ts';

export interface ScriptedDeps {
  readonly timers: Timers;
  readonly render: (scope: Readonly<Record<string, unknown>>) => unknown;
  readonly answer: (event: string) => Answer;
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
  async function handle(event: EventEnvelope, delivery: Delivery): Promise<undefined | Skip> {
    const { attempt, route, idempotencyKey } = delivery;
    let options: unknown;
    try {
      options = deps.render({ event, delivery: { attempt, route, idempotencyKey } });
    } finally {
      deps.onStart(event.id, attempt, options);
    }
    return give(deps.answer(event.id), deps, delivery.signal);
  }
  return { handle };
}
