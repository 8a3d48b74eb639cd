/** `eventflow plan`: what a reload would do, before it is done. */
import { readFile } from 'node:fs/promises';
import { relative, resolve, sep } from 'node:path';
import type { Command } from 'commander';
import type { Live, Plan, PlanAnswer, PostedFile } from '../operations/index.ts';
import { exit, Failure, UsageError } from './exit.ts';
import { busOption, jsonOption, switched, type TargetFlags, valued, withSettings } from './options.ts';
import { print, printJson } from './output.ts';
import type { SidesFlags } from './plan-sides.ts';

interface PlanFlags extends SidesFlags, TargetFlags {
  readonly markdown?: boolean;
}

/** Comparing needs one thing to compare with, and says which. */
function checkFlags({ from, to, fromGit, toGit }: PlanFlags, paths: readonly string[]): void {
  if (from !== undefined && fromGit !== undefined) throw new UsageError('expected --from or --from-git, got both');
  if (to !== undefined && toGit !== undefined) throw new UsageError('expected --to or --to-git, got both');
  if (from === undefined && fromGit === undefined && (to ?? toGit) !== undefined) {
    throw new UsageError('expected --from or --from-git beside --to or --to-git, got neither');
  }
  if (from !== undefined && paths.length > 0) {
    throw new UsageError(`expected folders in --from and --to alone, got paths too: ${paths.join(' ')}`);
  }
}

/** Of what the flags name: only where they do, since two folders can be compared without anything that runs. */
async function liveOf(flags: PlanFlags): Promise<Live | undefined> {
  if (flags.admin === undefined && flags.bus === undefined) return undefined;
  const { withOperations } = await import('./target.ts');
  return withOperations(flags, async (operations) => {
    const [routes, circuits] = await Promise.all([operations.routes(), operations.circuits()]);
    return { routes, circuits };
  });
}

async function compare(paths: readonly string[], flags: PlanFlags): Promise<Plan> {
  const { openFormer, openSide, withPlaces } = await import('./plan-sides.ts');
  const { planReload } = await import('../operations/index.ts');
  const { changedSettings } = await import('../config/index.ts');
  const { maskWith } = await import('../planning.ts');
  return withPlaces(flags, async (from, to) => {
    const before = await openFormer(from, paths, flags);
    const after = await openSide(to, paths, flags);
    const mask = maskWith([...before.secrets, ...after.secrets]);
    const formerSettings = before.settings ?? after.settings;
    const settings = changedSettings(formerSettings, after.settings);
    return planReload({
      before: before.generation,
      after: after.generation,
      from: from.side,
      to: to.side,
      live: await liveOf(flags),
      settings: settings.map(({ path, ...change }) => ({
        path,
        before: mask(path, change.before),
        after: mask(path, change.after),
      })),
      removedGrace: formerSettings.delivery.removedGrace,
      mask,
      fromProblems: before.problems,
    });
  });
}

const inside = (path: string): boolean => !path.startsWith('..') && resolve(path) !== path;

/** The pipelines at `paths` and what they refer to, secret files left out, by their paths from here. */
async function filesToSend(paths: readonly string[], flags: PlanFlags): Promise<readonly PostedFile[]> {
  const { loadGeneration, readCatalog } = await import('../config/index.ts');
  const { readSettings } = await import('./settings.ts');
  const settings = await readSettings(flags);
  const { catalog } = readCatalog(settings.plugins, settings.folder);
  const cwd = process.cwd();
  const { streams } = settings;
  const loaded = await loadGeneration({ paths, streams, catalog, env: process.env, cwd, reading: { offline: true } });
  const pipelines = new Set(loaded.sources.keys());
  if (pipelines.size === 0) {
    const { formatAll } = await import('./settings.ts');
    throw new Failure(
      exit.failed,
      loaded.ok ? 'expected pipelines, got none' : formatAll(loaded.diagnostics, new Map()),
    );
  }
  const named = loaded.shownFiles.map((path) => relative(cwd, path)).filter(inside);
  const texts = await Promise.all(named.map((path) => readFile(path, 'utf8').catch(() => undefined)));
  return named.flatMap((path, at): PostedFile[] => {
    const text = texts[at];
    const shown = path.split(sep).join('/');
    return text === undefined ? [] : [{ path: shown, text, pipeline: pipelines.has(shown) }];
  });
}

/** Of the engine that the flags name, that owns the embedded bus, or that listens where the settings say. */
async function adminAddress(flags: PlanFlags): Promise<string> {
  if (flags.admin !== undefined) return flags.admin;
  const { readSettings } = await import('./settings.ts');
  const { owningEngine } = await import('./target.ts');
  const settings = await readSettings(flags);
  return (await owningEngine(settings))?.admin ?? `http://${settings.http.adminListen}`;
}

async function ask(paths: readonly string[], flags: PlanFlags): Promise<PlanAnswer> {
  const { remotePlan } = await import('../operations/index.ts');
  const address = await adminAddress(flags);
  return remotePlan(address, paths.length === 0 ? undefined : await filesToSend(paths, flags));
}

async function show(answer: PlanAnswer, flags: PlanFlags): Promise<void> {
  if (flags.json === true) return printJson(answer);
  if (!answer.ok) return print(answer.problems.join('\n\n'));
  const { planMarkdown, planText } = await import('./plan-text.ts');
  print(flags.markdown === true ? planMarkdown(answer) : planText(answer));
}

async function plan(paths: readonly string[], flags: PlanFlags): Promise<void> {
  checkFlags(flags, paths);
  const comparing = flags.from !== undefined || flags.fromGit !== undefined;
  const answer = await (comparing ? compare(paths, flags) : ask(paths, flags));
  await show(answer, flags);
  if (!answer.ok) throw new Failure(exit.failed);
  if (answer.changes) throw new Failure(exit.changes);
}

export function define(program: Command): void {
  const command = program
    .command('plan')
    .description('shows what a reload would do: to routes and to the deliveries under way; changes nothing')
    .argument(
      '[paths...]',
      'files, folders or globs that are compared with what runs (default: the files of the engine)',
    )
    .addOption(valued('--from <dir>', 'EVENTFLOW_FROM', 'compares this folder or file with --to, and asks no engine'))
    .addOption(valued('--to <dir>', 'EVENTFLOW_TO', 'the folder or file to compare with (default: .)'))
    .addOption(valued('--from-git <rev>', 'EVENTFLOW_FROM_GIT', 'compares a revision of git with --to-git'))
    .addOption(valued('--to-git <rev>', 'EVENTFLOW_TO_GIT', 'the revision to compare with, or worktree (default)'))
    .addOption(valued('--url, --admin <url>', 'EVENTFLOW_ADMIN_URL', "a running engine's admin address"))
    .addOption(busOption())
    .addOption(jsonOption())
    .addOption(switched('--markdown', 'EVENTFLOW_MARKDOWN', 'for a comment on a pull request'));
  command.addHelpText(
    'after',
    '\nWithout --from and --from-git, a running engine is asked: with paths about those files, else about its own. With them, the\nnumbers of deliveries are shown when --bus or --admin says where to look.\nEnds with 0 when nothing would change, 3 when something would, 1 when the files are wrong, 69 when nobody answers.',
  );
  withSettings(command).action(plan);
}
