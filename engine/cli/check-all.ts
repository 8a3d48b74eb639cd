/** What `eventflow validate` looks at: settings, plugins, pipeline files, and pipelines in other texts. */
import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { isSettingsFile } from '../config/files.ts';
import {
  type Diagnostic,
  loadGeneration,
  loadSettings,
  type PipelineText,
  pipelinesInMarkdown,
  readCatalog,
  type Settings,
  sortDiagnostics,
} from '../config/index.ts';
import { isTestFile } from '../pipeline-test/files.ts';
import type { PluginCatalog } from '../plugins/manifest.ts';
import { checkTests } from './check-tests.ts';
import { exit, Failure } from './exit.ts';
import type { SettingsFlags } from './options.ts';
import { type Findings, findProblems } from './pipelines.ts';
import { settingsRequest } from './settings.ts';

export interface Checked {
  readonly ok: boolean;
  /** In the order of the files. */
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: ReadonlyMap<string, string>;
  readonly pipelines: number;
  readonly routes: number;
  /** Every file that was read or referred to; absolute. */
  readonly files: readonly string[];
}

const isMarkdown = (path: string): boolean => /\.(md|markdown)$/i.test(path);

async function readStdin(): Promise<PipelineText> {
  const bytes = await buffer(process.stdin);
  if (!isUtf8(bytes)) throw new Failure(exit.failed, 'expected text in UTF-8 on stdin, got other bytes');
  return { path: resolve('stdin'), file: 'stdin', text: bytes.toString('utf8').replace(/^\ufeff/, '') };
}

let stdin: Promise<PipelineText> | undefined;

/** It can be read once; who checks again means the same text. */
const textOfStdin = (): Promise<PipelineText> => (stdin ??= readStdin());

async function readMarkdown(path: string): Promise<PipelineText[]> {
  const markdown = await readFile(path, 'utf8').catch((error: Error) => {
    throw new Failure(exit.failed, `expected a readable document: ${error.message}`);
  });
  const inside = relative(process.cwd(), resolve(path));
  const file = inside.startsWith('..') ? resolve(path) : inside;
  return pipelinesInMarkdown(markdown).map((text) => ({ path: resolve(path), file, text }));
}

const checkedOf = ({ diagnostics, sources, generation, files }: Findings): Checked => ({
  ok: generation !== undefined,
  diagnostics,
  sources,
  pipelines: generation?.pipelines.length ?? 0,
  routes: generation?.routes.size ?? 0,
  files,
});

/** Two texts with blanks where the other one has something. */
function overlay(one: string, other: string): string {
  const lines = other.split('\n');
  return one
    .split('\n')
    .map((line, at) => line || (lines[at] ?? ''))
    .join('\n');
}

function join(all: readonly Checked[]): Checked {
  const sources = new Map<string, string>();
  for (const [file, text] of all.flatMap((checked) => [...checked.sources])) {
    const known = sources.get(file);
    sources.set(file, known === undefined ? text : overlay(known, text));
  }
  return {
    ok: all.every(({ ok }) => ok),
    diagnostics: sortDiagnostics(all.flatMap(({ diagnostics }) => diagnostics)),
    sources,
    pipelines: all.reduce((sum, { pipelines }) => sum + pipelines, 0),
    routes: all.reduce((sum, { routes }) => sum + routes, 0),
    files: [...new Set(all.flatMap(({ files }) => files))],
  };
}

interface CheckedSettings {
  readonly own: Checked;
  /** Undefined when they are wrong. */
  readonly usable?: { readonly settings: Settings; readonly catalog: PluginCatalog };
}

/** The settings, and whether the plugins that they allow are there. */
async function checkSettings(flags: SettingsFlags): Promise<CheckedSettings> {
  const read = await loadSettings(settingsRequest(flags));
  if (!read.ok) return { own: checkedOf({ ...read, generation: undefined }) };
  const { settings, pluginsPlace, warnings, sources, files } = read;
  const { catalog, diagnostics } = readCatalog(settings.plugins, settings.folder, pluginsPlace);
  const own = { ok: diagnostics.length === 0, diagnostics: [...warnings, ...diagnostics], sources, files };
  return { own: { ...own, pipelines: 0, routes: 0 }, usable: { settings, catalog } };
}

/** Each text by itself: documents show several pipelines of one name. */
async function checkTexts(flags: SettingsFlags, texts: readonly PipelineText[]): Promise<Checked[]> {
  const { own, usable } = await checkSettings(flags);
  if (usable === undefined) return [own];
  const { settings, catalog } = usable;
  const checked = [own];
  for (const text of texts) {
    const loaded = await loadGeneration({
      paths: [],
      texts: [text],
      streams: settings.streams,
      catalog,
      env: process.env,
      cwd: process.cwd(),
    });
    const found = loaded.ok ? { diagnostics: loaded.warnings, generation: loaded.generation } : loaded;
    checked.push(checkedOf({ generation: undefined, ...loaded, ...found }));
  }
  return checked;
}

/** Settings of other folders are checked at their place; pipelines always with those of this command. */
async function checkSettingsFile(flags: SettingsFlags, file: string): Promise<Checked> {
  return (await checkSettings({ ...flags, config: file })).own;
}

/**
 * `paths`: files, folders, globs, settings, Markdown documents, and `-` for stdin; none: the settings' pipelines. Tests
 * beside pipelines too.
 */
export async function checkAll(flags: SettingsFlags, paths: readonly string[]): Promise<Checked> {
  const documents = paths.filter(isMarkdown);
  const settings = paths.filter(isSettingsFile);
  const others = paths.filter((path) => path !== '-' && !isMarkdown(path) && !isSettingsFile(path));
  const texts = [
    ...(paths.includes('-') ? [await textOfStdin()] : []),
    ...(await Promise.all(documents.map(readMarkdown))).flat(),
  ];
  const files = others.filter((path) => !isTestFile(path));
  const fromSettings = await Promise.all(settings.map((path) => checkSettingsFile(flags, path)));
  const fromFiles = paths.length === 0 || files.length > 0 ? [checkedOf(await findProblems(flags, files))] : [];
  const fromTests = paths.length === 0 || others.length > 0 ? await checkTests(flags, others) : [];
  const fromTexts = documents.length > 0 || paths.includes('-') ? await checkTexts(flags, texts) : [];
  return join([...fromSettings, ...fromFiles, ...fromTests, ...fromTexts]);
}
