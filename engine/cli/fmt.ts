/** `eventflow fmt`: pipelines, their tests and settings written in one way. */
import { realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { diff } from 'node:util';
import type { Command } from 'commander';
import type { Diagnostic } from '../config/index.ts';
import { exit, Failure, UsageError } from './exit.ts';
import { pipelinesOption, type SettingsFlags, switched, withSettings } from './options.ts';
import { paint, paintError, plural, print, tell } from './output.ts';

interface FormatFlags extends SettingsFlags {
  readonly check?: boolean;
  readonly write?: boolean;
  readonly diff?: boolean;
}

interface Result {
  /** Absolute; of stdin just a name. */
  readonly path: string;
  /** As people name it. */
  readonly file: string;
  readonly before: string;
  /** Undefined when the file cannot be read as YAML. */
  readonly after: string | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

async function formatOne(path: string, file: string, before: string): Promise<Result> {
  const { formatText } = await import('../config/format.ts');
  const { createSource, diagnose } = await import('../config/source.ts');
  const formatted = await formatText(before, file);
  if (formatted.ok) return { path, file, before, after: formatted.text, diagnostics: [] };
  const source = createSource(path, file, before.replace(/^\ufeff/, ''));
  const diagnostics = formatted.faults.map(({ place, code, path: at, message, help }) =>
    diagnose(source, place, code, at, message, { help }),
  );
  return { path, file, before, after: undefined, diagnostics };
}

/** Files that are too large, no text, or not there are told as `validate` tells them. */
async function formatFile(path: string): Promise<Result> {
  const { openReading } = await import('../config/reading.ts');
  const { textOf } = await import('../config/document.ts');
  const reading = openReading(process.cwd(), {});
  const file = reading.name(path);
  const read = textOf(path, reading);
  if ('text' in read) return formatOne(path, file, read.text);
  return { path, file, before: '', after: undefined, diagnostics: [read.fault] };
}

const context = 2;

/** Lines that differ with two lines around them, and `…` for what is left out. */
function lineDiff({ file, before, after = '' }: Result): string {
  const changes = diff(before.split('\n'), after.split('\n'));
  const near = changes.map((_, at) =>
    changes.slice(Math.max(0, at - context), at + context + 1).some(([kind]) => kind !== 0),
  );
  const lines = changes.flatMap(([kind, line], at) => {
    if (near[at] !== true) return near[at - 1] === true ? [paint('dim', '  …')] : [];
    if (kind === 0) return [`  ${line}`];
    // What the first text has and the second has not is an insertion in Node's words.
    return [kind > 0 ? paint('red', `- ${line}`) : paint('green', `+ ${line}`)];
  });
  return [paint('bold', file), ...lines].join('\n');
}

/** Whole or not at all: a watching engine must never read half of a file. A link stays one: what it leads to is replaced. */
async function replaceFile(link: string, text: string): Promise<void> {
  const path = await realpath(link);
  const { mode } = await stat(path);
  const beside = join(dirname(path), `.${process.pid}.eventflow-fmt`);
  try {
    await writeFile(beside, text, { mode });
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

async function pathsOf(named: readonly string[], flags: FormatFlags): Promise<readonly string[]> {
  const { expandPaths } = await import('../config/files.ts');
  const { openReading } = await import('../config/reading.ts');
  const { formatAll, readSettings } = await import('./settings.ts');
  const asked = named.length > 0 ? named : (flags.pipelines ?? (await readSettings(flags)).pipelines);
  const { files, diagnostics } = expandPaths(asked, openReading(process.cwd(), {}), false);
  if (diagnostics.length > 0) throw new Failure(exit.failed, formatAll(diagnostics, new Map()));
  const { findTestFiles } = await import('../pipeline-test/files.ts');
  // A file that is named is meant alone.
  const folders = asked.filter((path) => !/\.ya?ml$/i.test(path));
  return [...new Set([...files, ...findTestFiles(folders, process.cwd()).files])].sort();
}

async function formatAll(paths: readonly string[]): Promise<Result[]> {
  const results: Result[] = [];
  for (const path of paths) results.push(await formatFile(path));
  return results;
}

async function sayFaults(results: readonly Result[]): Promise<void> {
  const { formatAll: sayAll } = await import('./settings.ts');
  const diagnostics = results.flatMap((result) => result.diagnostics);
  const sources = new Map(results.map(({ file, before }) => [file, before]));
  if (diagnostics.length > 0) tell(`${sayAll(diagnostics, sources)}\n`);
}

const isChanged = ({ before, after }: Result): boolean => after !== undefined && after !== before;

/** Each is named once it is written. */
async function writeChanged(results: readonly Result[], flags: FormatFlags): Promise<void> {
  const changed = results.filter(isChanged);
  for (const result of changed) {
    await replaceFile(result.path, result.after ?? '');
    print(flags.diff === true ? lineDiff(result) : result.file);
  }
  tell(`${plural(changed.length, 'file')} of ${results.length} written anew`);
}

function show(results: readonly Result[], flags: FormatFlags): void {
  const changed = results.filter(isChanged);
  if (flags.diff === true) for (const result of changed) print(lineDiff(result));
  else if (flags.check === true) for (const { file } of changed) print(file);
  else for (const { after } of results) if (after !== undefined) process.stdout.write(after);
  if (flags.check === true && changed.length > 0) {
    tell(
      `${paintError('red', plural(changed.length, 'file'))} of ${results.length} not formatted: eventflow fmt --write`,
    );
  }
}

async function fmt(named: readonly string[], flags: FormatFlags): Promise<void> {
  const fromStdin = named.includes('-');
  if (fromStdin && flags.write === true) throw new UsageError('expected files to write, got - with --write');
  const paths = fromStdin ? [] : await pathsOf(named, flags);
  const results = fromStdin
    ? [await formatOne('stdin', 'stdin', await readText(process.stdin))]
    : await formatAll(paths);
  await sayFaults(results);
  if (flags.write === true) await writeChanged(results, flags);
  else show(results, flags);
  const isWrong = results.some((result) => result.after === undefined || (flags.check === true && isChanged(result)));
  if (isWrong) throw new Failure(exit.failed);
}

export function define(program: Command): void {
  const command = program
    .command('fmt')
    .description('prints pipelines, tests and settings in one form: the order of the schema, comments and anchors kept')
    .argument('[paths...]', "files, folders, globs, - for stdin (default: the settings' pipelines)")
    .addOption(
      switched('--check', 'EVENTFLOW_FMT_CHECK', 'names the files that differ; exit code 1 when there are any'),
    )
    .addOption(switched('--write', 'EVENTFLOW_FMT_WRITE', 'writes the files that differ'))
    .addOption(switched('--diff', 'EVENTFLOW_FMT_DIFF', 'prints what differs'))
    .addOption(pipelinesOption());
  withSettings(command).action(fmt);
}
