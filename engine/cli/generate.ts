/** `eventflow generate`: dashboards and alert rules from the pipelines. */
import { join } from 'node:path';
import { Argument, type Command } from 'commander';
import type { Generation } from '../core/route.ts';
import { checkGenerated, writeGenerated } from '../observe/generated.ts';
import { exit, Failure } from './exit.ts';
import { pipelinesOption, type SettingsFlags, switched, valued, withSettings } from './options.ts';
import { plural, print, tell } from './output.ts';

interface GenerateFlags extends SettingsFlags {
  readonly out: string;
  readonly check?: boolean;
}

/** File name → text. */
type Files = Readonly<Record<string, string>>;

const generators: Readonly<Record<string, (generation: Generation) => Promise<Files>>> = {
  dashboards: async (generation) => (await import('../observe/dashboards/index.ts')).generateDashboards(generation),
  alerts: async (generation) => (await import('../observe/alerts/index.ts')).generateAlerts(generation),
};

/** By folder: `all` puts each kind into one of its own. */
async function generateAll(
  what: string,
  out: string,
  generation: Generation,
): Promise<readonly (readonly [string, Files])[]> {
  const one = generators[what];
  if (one !== undefined) return [[out, await one(generation)]];
  const kinds = Object.entries(generators);
  return Promise.all(kinds.map(async ([kind, make]) => [join(out, kind), await make(generation)] as const));
}

async function check(folder: string, files: Files): Promise<number> {
  const stale = await checkGenerated(folder, files);
  for (const { file, state } of stale) print(`${join(folder, file)} (${state})`);
  return stale.length;
}

async function write(folder: string, files: Files): Promise<number> {
  const stale = await writeGenerated(folder, files);
  for (const { file, state } of stale) print(`${join(folder, file)}${state === 'left over' ? ' (removed)' : ''}`);
  return stale.length;
}

async function generate(what: string, flags: GenerateFlags): Promise<void> {
  const { readSettings } = await import('./settings.ts');
  const { expectGeneration } = await import('./pipelines.ts');
  const generation = await expectGeneration(await readSettings(flags));
  let stale = 0;
  for (const [folder, files] of await generateAll(what, flags.out, generation)) {
    stale += await (flags.check === true ? check(folder, files) : write(folder, files));
  }
  if (stale === 0) return tell('everything is up to date');
  if (flags.check !== true) return tell(`brought ${plural(stale, 'file')} up to date`);
  throw new Failure(exit.failed, `${plural(stale, 'file')} out of date: run this command without --check`);
}

export function define(program: Command): void {
  const command = program
    .command('generate')
    .description('writes Grafana dashboards and Prometheus alert rules that fit the pipelines')
    .addArgument(new Argument('<what>').choices([...Object.keys(generators), 'all']))
    .addOption(valued('-o, --out <dir>', 'EVENTFLOW_OUT', 'the folder to write to').makeOptionMandatory())
    .addOption(switched('--check', 'EVENTFLOW_CHECK', 'writes nothing; ends with 1 when what is there is out of date'))
    .addOption(pipelinesOption());
  withSettings(command).action(generate);
}
