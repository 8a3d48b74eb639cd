/** `eventflow generate`: dashboards and alert rules from the pipelines. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Argument, type Command } from 'commander';
import type { Generation } from '../core/route.ts';
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

const prefixed = (folder: string, files: Files): [string, string][] =>
  Object.entries(files).map(([name, text]) => [join(folder, name), text]);

/** `all` puts each kind into a folder of its own. */
async function generateAll(what: string, generation: Generation): Promise<readonly [string, string][]> {
  const one = generators[what];
  if (one !== undefined) return prefixed('', await one(generation));
  const kinds = Object.entries(generators).map(async ([kind, make]) => prefixed(kind, await make(generation)));
  return (await Promise.all(kinds)).flat();
}

async function isStale([file, text]: readonly [string, string]): Promise<boolean> {
  return (await readFile(file, 'utf8').catch(() => undefined)) !== text;
}

async function check(files: readonly (readonly [string, string])[]): Promise<void> {
  const stale: string[] = [];
  for (const file of files) if (await isStale(file)) stale.push(file[0]);
  for (const file of stale) print(file);
  if (stale.length === 0) return tell(`${plural(files.length, 'file')} up to date`);
  throw new Failure(exit.failed, `${plural(stale.length, 'file')} out of date: run this command without --check`);
}

async function write(files: readonly (readonly [string, string])[]): Promise<void> {
  for (const [file, text] of files) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    print(file);
  }
  tell(`wrote ${plural(files.length, 'file')}`);
}

async function generate(what: string, flags: GenerateFlags): Promise<void> {
  const { readSettings } = await import('./settings.ts');
  const { expectGeneration } = await import('./pipelines.ts');
  const generation = await expectGeneration(await readSettings(flags));
  const made = await generateAll(what, generation);
  const files = made.map(([name, text]) => [join(flags.out, name), text] as const);
  await (flags.check === true ? check(files) : write(files));
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
