/** A counter: which number of an event goes to which bucket and key. */
import { createHash } from 'node:crypto';
import { type Delivery, type EventEnvelope, type HandlerContext, permanent } from 'eventflow/plugin';
import type { CounterOptions } from './options.ts';

export type Count = (event: EventEnvelope, delivery: Delivery) => void;

const widths = { '1m': 60_000, '1h': 3_600_000, '1d': 86_400_000 } as const;
const maxValue = 64;
const maxKey = 400;

/** `data.customer.country`, own properties only; a leading `event.` may be written. */
function readPath(path: string): (event: EventEnvelope) => unknown {
  const names = path.replace(/^event\./, '').split('.');
  return (event) => {
    let at: unknown = event;
    for (const name of names) {
      if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
      at = (at as Record<string, unknown>)[name];
    }
    return at;
  };
}

const textOf = (value: unknown): string => {
  if (value === undefined || value === null || value === '') return 'none';
  return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number | boolean);
};

function dimension(source: string, { templates }: HandlerContext): (event: EventEnvelope) => string {
  if (!source.includes('{{') && !source.includes('{%')) {
    const read = readPath(source);
    return (event) => textOf(read(event));
  }
  const template = templates.compile(source);
  return (event) => textOf(template.render({ event }).trim());
}

/** `country=DE&plan=pro`, readable with URLSearchParams. A key that is too long ends in a hash of the whole. */
function joinKey(pairs: readonly (readonly [name: string, value: string])[]): string {
  const cut = pairs.map(([name, value]): [string, string] => [name, value.slice(0, maxValue).toWellFormed()]);
  const key = new URLSearchParams(cut).toString();
  if (key.length <= maxKey) return key;
  const digest = createHash('sha256').update(key).digest('hex').slice(0, 16);
  return `${key.slice(0, maxKey - 17)}~${digest}`;
}

function amountOf(path: string | undefined): (event: EventEnvelope) => number {
  if (path === undefined) return () => 1;
  const read = readPath(path);
  return (event) => {
    const value = read(event);
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw permanent(
      new Error(`expected ${path} of the event to be a number, got ${value === undefined ? 'nothing' : typeof value}`),
    );
  };
}

/** An event's own time may be anything: one that is no time counts when the bus took it. */
function momentOf(which: 'published' | 'event', event: EventEnvelope, publishedAt: number): number {
  const own = which === 'event' ? Date.parse(event.time) : Number.NaN;
  return Number.isNaN(own) ? publishedAt : own;
}

export function compileCounter(options: CounterOptions, context: HandlerContext): Count {
  const { name, bucket = '1h', time = 'published' } = options;
  const width = widths[bucket];
  const amount = amountOf(options.sum);
  const dimensions = Object.entries(options.dimensions ?? {})
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, source]) => ({ key, value: dimension(source, context) }));
  return (event, delivery) => {
    const key = joinKey(dimensions.map((each) => [each.key, each.value(event)] as const));
    const moment = momentOf(time, event, delivery.publishedAt);
    delivery.tally(name, Math.floor(moment / width) * width, key, amount(event));
  };
}
