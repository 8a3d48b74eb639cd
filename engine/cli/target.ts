/**
 * Who opens what. A Redis bus is opened here. The embedded bus belongs to one process: while an engine runs, it is asked
 * over its admin address; without one, the file is opened here.
 */
import { existsSync } from 'node:fs';
import type { Bus } from '../bus/bus.ts';
import { openBus } from '../bus/open.ts';
import { type Owner, readOwner } from '../bus/sqlite/owner.ts';
import { busOptions } from '../bus-options.ts';
import type { Settings } from '../config/index.ts';
import { EventFlowError } from '../errors.ts';
import { localOperations, type Operations, remoteOperations } from '../operations/index.ts';
import type { TargetFlags } from './options.ts';
import { readSettings } from './settings.ts';

/** The file of an embedded bus; undefined for every other bus, and for one in memory. */
export function busFile(url: string): string | undefined {
  const path = /^sqlite:(?:\/\/)?(.*)$/i.exec(url)?.[1];
  return path === undefined || path === ':memory:' || path === '' ? undefined : path;
}

/** The engine that holds the embedded bus, if the bus is one and an engine does. */
export async function owningEngine(settings: Settings): Promise<Owner | undefined> {
  const file = busFile(settings.bus);
  return file === undefined ? undefined : readOwner(file);
}

/** Looking into a bus does not make one. */
function expectBusFile(url: string): void {
  const file = busFile(url);
  if (file !== undefined && !existsSync(file)) {
    throw new EventFlowError(
      'EF5001',
      `expected a bus at ${file}, there is none: start \`eventflow run\`, or name it with --bus`,
    );
  }
  if (/^sqlite::memory:/i.test(url)) {
    throw new EventFlowError('EF5001', `expected a bus that others can open, got ${url}: name the engine with --admin`);
  }
}

export const openSettingsBus = (settings: Settings): Promise<Bus> => openBus(settings.bus, busOptions(settings));

const adminOf = (owner: Owner): string => {
  if (owner.admin !== undefined) return owner.admin;
  throw new EventFlowError(
    'EF5002',
    `process ${owner.pid} owns the bus and has no admin listener: stop it, or start it with one`,
  );
};

/** The engine that the flags mean: the one they name, the one that owns the bus, or the one where the settings listen. */
export async function adminAddress(flags: TargetFlags): Promise<string> {
  if (flags.admin !== undefined) return flags.admin;
  const settings = await readSettings(flags);
  return (await owningEngine(settings))?.admin ?? `http://${settings.http.adminListen}`;
}

/** Runs `work` on the operations of what the flags name, and closes what was opened for it. */
export async function withOperations<T>(flags: TargetFlags, work: (operations: Operations) => Promise<T>): Promise<T> {
  if (flags.admin !== undefined) return work(remoteOperations(flags.admin));
  const settings = await readSettings(flags);
  const owner = await owningEngine(settings);
  if (owner !== undefined) return work(remoteOperations(adminOf(owner)));
  expectBusFile(settings.bus);
  const bus = await openSettingsBus(settings);
  try {
    return await work(localOperations(bus));
  } finally {
    await bus.close();
  }
}
