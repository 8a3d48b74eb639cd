/** The events of a test: what is published when, and under which id. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Event } from './test-file.generated.ts';
import { parseTime } from './words.ts';

export interface PlannedEvent {
  readonly id: string;
  readonly type: string;
  /** ms from the start. */
  readonly at: number;
  /** The envelope as a publisher would send it. */
  readonly envelope: Readonly<Record<string, unknown>>;
  /** Its place in the list of the test. */
  readonly index: number;
}

type Fields = Readonly<Record<string, unknown>>;

/** What stands in a file of a test, or why it cannot be used. */
export function readEventFile(path: string): Fields | string {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const isEvent = typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
    return isEvent ? (value as Fields) : 'its JSON is no event with a type';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : (error as Error).message;
  }
}

function envelopeOf(event: Event, folder: string): Fields {
  const { type, data, source, subject, time, attributes = {}, file } = event;
  const stored = file === undefined ? {} : readEventFile(resolve(folder, file));
  const given = { type, data, source, subject, time };
  return {
    source: 'eventflow/test',
    ...(typeof stored === 'string' ? {} : stored),
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    ...attributes,
  };
}

/** In the order of the list. `folder`: where the test file lies. */
export function planEvents(events: readonly Event[], folder: string): PlannedEvent[] {
  let at = 0;
  return events.flatMap((event, index) => {
    if (event.at !== undefined) at = parseTime(event.at);
    const envelope = envelopeOf(event, folder);
    const own = typeof envelope['id'] === 'string' ? envelope['id'] : `e${index + 1}`;
    const id = event.id ?? own;
    const { repeat = 1 } = event;
    const every = parseTime(event.every ?? '0s');
    const planned = Array.from({ length: repeat }, (_, n) => {
      const ownId = repeat === 1 ? id : `${id}-${n + 1}`;
      const type = String(envelope['type']);
      return { id: ownId, type, at: at + n * every, envelope: { ...envelope, id: ownId }, index };
    });
    at = planned.at(-1)?.at ?? at;
    return planned;
  });
}
