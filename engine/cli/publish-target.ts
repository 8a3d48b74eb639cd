/** Where `eventflow publish` publishes to. */
import { request } from 'undici';
import type { Owner } from '../bus/sqlite/owner.ts';
import type { Settings } from '../config/index.ts';
import type { Generation } from '../core/route.ts';
import { EventFlowError } from '../errors.ts';
import { createPublisher, type Publisher } from '../publisher.ts';
import { tell } from './output.ts';
import { loadPipelines } from './pipelines.ts';
import type { PublishFlags } from './publish.ts';
import { readSettings } from './settings.ts';
import { openSettingsBus, owningEngine } from './target.ts';

export interface OpenTarget {
  readonly publisher: Publisher;
  /** For people. */
  readonly label: string;
  close(): Promise<void>;
}

const defaultSource = 'eventflow/cli';
const optionsOf = ({ source = defaultSource }: PublishFlags) => ({ source, deadlineMs: 10_000 });

function overHttp(url: string, flags: PublishFlags): OpenTarget {
  const publisher = createPublisher({ url }, optionsOf(flags));
  return { publisher, label: url, close: () => publisher.close() };
}

/** The engine tells on its admin listener where it takes events in. */
async function ingestOf({ pid, admin }: Owner): Promise<string> {
  const answer = await request(new URL('/version', admin), { signal: AbortSignal.timeout(5_000) }).catch(
    () => undefined,
  );
  const { ingest } = ((await answer?.body.json()) ?? {}) as { ingest?: unknown };
  if (typeof ingest === 'string') return ingest;
  throw new EventFlowError('EF5002', `process ${pid} owns the bus and tells no ingest address: name it with --url`);
}

/** The catalogue that data is checked against; empty without pipelines, and with broken ones. */
async function readEventTypes(settings: Settings): Promise<Generation['eventTypes']> {
  const loaded = await loadPipelines(settings);
  if (loaded.ok) return loaded.generation.eventTypes;
  const absent = loaded.diagnostics.every(({ code }) => code === 'EF1016');
  if (!absent) tell('the pipelines do not load (eventflow validate), so data is not checked against their eventTypes');
  return new Map();
}

async function intoBus(settings: Settings, flags: PublishFlags): Promise<OpenTarget> {
  const eventTypes = await readEventTypes(settings);
  const bus = await openSettingsBus(settings);
  const publisher = createPublisher({ bus }, { ...optionsOf(flags), eventTypes: () => eventTypes });
  const close = async (): Promise<void> => {
    await publisher.close();
    await bus.close();
  };
  return { publisher, label: bus.label, close };
}

/** Over HTTP with `--url`, or when a running engine owns the embedded bus; else straight into the bus. */
export async function openPublisher(flags: PublishFlags): Promise<OpenTarget> {
  if (flags.url !== undefined) return overHttp(flags.url, flags);
  const settings = await readSettings(flags);
  const owner = await owningEngine(settings);
  return owner === undefined ? intoBus(settings, flags) : overHttp(await ingestOf(owner), flags);
}
