/** What differs between two settings, setting by setting, as people write them. */
import { relative } from 'node:path';
import type { FieldChange } from '../core/diff.ts';
import { formatDuration } from '../core/duration.ts';
import type { Settings } from './settings.ts';

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** In ms once they are read. */
const durations: ReadonlySet<string> = new Set([
  'journal.retention',
  'delivery.lease',
  'delivery.drain',
  'delivery.removedGrace',
  'delivery.watchdog',
]);

const written = (path: string, value: unknown): unknown =>
  typeof value === 'number' && durations.has(path) ? formatDuration(value) : value;

function leaves(before: unknown, after: unknown, path: string): FieldChange[] {
  if (isFields(before) || isFields(after)) {
    const [old, now] = [isFields(before) ? before : {}, isFields(after) ? after : {}];
    const names = [...new Set([...Object.keys(old), ...Object.keys(now)])].sort();
    return names.flatMap((name) => leaves(old[name], now[name], path === '' ? name : `${path}.${name}`));
  }
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  return [{ path, before: written(path, before), after: written(path, after) }];
}

/** Where a checkout lies is not what its settings say. */
function portable({ file: _, folder, pipelines, ...rest }: Settings): Fields {
  return { ...rest, pipelines: pipelines.map((path) => relative(folder, path) || '.') };
}

/** All of them are taken at the next start. Credentials are in clear. */
export const changedSettings = (before: Settings, after: Settings): readonly FieldChange[] =>
  leaves(portable(before), portable(after), '');
