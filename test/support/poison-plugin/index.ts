/**
 * A third-party plugin as no one wants to have it: it forwards events to a URL, and does with some of them everything that
 * a handler can do wrong. Each start of such an event is written to a file before its harm is done.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { badAnswer, type Delivery, definePlugin, type EventEnvelope, type HandlerContext } from 'eventflow/plugin';

export interface PoisonOptions {
  readonly url: string;
  readonly poison: Readonly<Record<string, PoisonKind>>;
  readonly starts: string;
}

/** Kept for ever. */
const hoard: unknown[] = [];

const never = (): Promise<never> => new Promise(() => undefined);

function fillMemory(): never {
  for (;;) hoard.push(Array.from({ length: 100_000 }, (_, n) => ({ n })));
}

function spin(): never {
  for (;;);
}

const acts = {
  // What ends the process, or stops it.
  exit: () => process.exit(7),
  abort: () => process.abort(),
  segfault: async () => {
    process.kill(process.pid, 'SIGSEGV');
    await never();
  },
  memory: fillMemory,
  loop: spin,
  // What fails the attempt.
  throw: () => {
    throw new Error('thrown at once');
  },
  reject: async () => {
    await sleep(1);
    throw new Error('thrown later');
  },
  throwText: () => {
    throw 'a text';
  },
  throwNothing: () => {
    throw undefined;
  },
  // What does not end in time.
  hang: ({ signal }: Delivery) =>
    new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
  deaf: never,
  late: ({ signal }: Delivery) =>
    new Promise<void>((resolve) => signal.addEventListener('abort', () => setTimeout(resolve, 1_500))),
  // What comes when the delivery is over.
  rejectAfter: () => {
    void sleep(20).then(() => {
      throw new Error('rejected after its delivery');
    });
  },
  throwAfter: () => {
    setTimeout(() => {
      throw new Error('thrown after its delivery');
    }, 20);
  },
  rejectNothing: () => {
    setTimeout(() => void Promise.reject(undefined), 20);
  },
  // What costs memory, handles and log.
  leak: () => {
    hoard.push(Buffer.alloc(1 << 20));
    setInterval(() => undefined, 60_000);
  },
  flood: ({ log }: Delivery) => {
    for (let line = 0; line < 1_000; line += 1) log.warn({ line }, 'x'.repeat(1_000));
  },
} satisfies Record<string, (delivery: Delivery) => unknown>;

export type PoisonKind = keyof typeof acts;

export default definePlugin({
  name: 'eventflow-plugin-poison',
  apiVersion: 1,
  handlers: {
    poison: {
      create({ url, poison, starts }: PoisonOptions, { http, clock, folder }: HandlerContext) {
        const file = join(folder, starts);
        return {
          async handle(event: EventEnvelope, delivery: Delivery) {
            const kind = poison[event.id];
            if (kind !== undefined) {
              appendFileSync(file, `${event.id}\n`);
              await acts[kind](delivery);
            }
            const { idempotencyKey, signal } = delivery;
            const body = JSON.stringify({ id: event.id });
            const answer = await http.request(url, {
              method: 'POST',
              body,
              headers: { 'idempotency-key': idempotencyKey },
              signal,
            });
            if (answer.status >= 300) throw badAnswer(answer, clock());
          },
        };
      },
    },
  },
});
