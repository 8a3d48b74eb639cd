/** What `eventflow init` puts into a folder: the files of a template, and those that it shares with what is there. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { version } from '../version.ts';
import { type Files, readIfThere } from './files-on-disk.ts';

/** What each is for, in the order in which they are offered. */
export const templates = {
  minimal: 'one route that greets, to see events go through',
  webhooks: 'signed webhooks with retries and a circuit breaker',
  full: 'an event catalogue, mail, webhooks, counters and an audit log',
} as const;

export type Template = keyof typeof templates;

const folderOf = (template: Template): string => fileURLToPath(new URL(`./templates/${template}/`, import.meta.url));

/** A dot in front would keep the file out of some packages. */
const nameOf = (file: string): string => file.replace(/^env\.example$/, '.env.example').replaceAll('\\', '/');

/** Path relative to the project → text. */
export async function templateFiles(template: Template): Promise<Files> {
  const folder = folderOf(template);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const read = paths
    .sort()
    .map(async (path) => [nameOf(path.slice(folder.length)), await readFile(path, 'utf8')] as const);
  return new Map(await Promise.all(read));
}

/** The plugins that a template allows, and so needs. */
export function pluginsOf(files: Files): readonly string[] {
  const { plugins } = parse(files.get('eventflow.yaml') ?? '') as { readonly plugins: readonly string[] };
  return plugins;
}

function packageText(plugins: readonly string[]): string {
  const dependencies = Object.fromEntries(['eventflow', ...plugins].sort().map((name) => [name, `^${version}`]));
  const scripts = { start: 'eventflow run', check: 'eventflow validate && eventflow test' };
  return `${JSON.stringify({ private: true, type: 'module', scripts, dependencies }, null, 2)}\n`;
}

const readme = `# Pipelines

What happens with our events, written for [EventFlow](https://www.npmjs.com/package/eventflow): each file in \`pipelines/\` says which events go to which handler.

- \`npx eventflow validate && npx eventflow test\` checks a change; \`*.test.yaml\` says what must come of which events.
- \`npx eventflow run\` delivers, and takes a saved file at once; a broken one changes nothing.
- \`npx eventflow publish TYPE --data '{}'\` sends an event; \`npx eventflow dlq list\` shows what gave up.
`;

const recommended = `${JSON.stringify({ recommendations: ['redhat.vscode-yaml'] }, null, 2)}\n`;

/** The bus of this machine stays here; the schemas go along, so that editors know the fields right after a clone. */
const ignored = ['node_modules/', '.env', '.eventflow/*', '!.eventflow/*schema.json'];

async function withIgnored(path: string): Promise<string> {
  const text = (await readIfThere(path)) ?? '';
  const known = new Set(text.split(/\r?\n/).map((line) => line.trim()));
  const missing = ignored.filter((line) => !known.has(line));
  const before = text === '' || text.endsWith('\n') ? text : `${text}\n`;
  return before + missing.map((line) => `${line}\n`).join('');
}

/** Files that a project may have already, which are theirs then; `.gitignore` gets what it lacks. Absolute path → text. */
export async function sharedFiles(folder: string, plugins: readonly string[]): Promise<Files> {
  const own = new Map([
    ['package.json', packageText(plugins)],
    ['README.md', readme],
    ['.vscode/extensions.json', recommended],
  ]);
  const files = new Map([[join(folder, '.gitignore'), await withIgnored(join(folder, '.gitignore'))]]);
  for (const [name, text] of own) {
    const path = join(folder, name);
    files.set(path, (await readIfThere(path)) ?? text);
  }
  return files;
}
