/** The check of `eventflow doctor` about the schemas that editors read: they are there, and made of what is installed. */
import { dirname, join, relative, resolve } from 'node:path';
import { type PluginCatalog, readCatalog, type Settings } from '../config/index.ts';
import { type Published, readPublished } from '../config/published-schema.ts';
import { schemaKinds } from '../config/schema-form.ts';
import { type Finding, ok, warning } from './doctor-finding.ts';
import { schemaFile } from './editor-files.ts';
import { readIfThere } from './files-on-disk.ts';

/** What editors take for the schema of a file: the YAML language server's line, or JetBrains' shorter one. */
const modeline = /^#\s*(?:yaml-language-server:\s*\$schema=|\$schema:\s*)(\S+)/m;

/** The local schemas that files name in their first comment: path → the first file that does. */
function namedSchemas(sources: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const named = new Map<string, string>();
  for (const [file, text] of sources) {
    const [, schema] = modeline.exec(text) ?? [];
    if (schema === undefined || schema === 'none' || /^[a-z]+:\/\//i.test(schema)) continue;
    const path = resolve(dirname(file), schema);
    if (!named.has(path)) named.set(path, file);
  }
  return named;
}

/** The command that would make it anew. */
function advice(settings: Settings, path: string, { form, only }: Published): string {
  const file = relative(settings.folder, path);
  const isUsual = form.draft === '2020-12' && form.variant === 'editor' && only.length === 0;
  if (isUsual && file === schemaFile(form.kind)) return 'run `eventflow schema --vscode`';
  const flags = Object.entries(form).map(([name, value]) => `--${name} ${value}`);
  return `run \`eventflow schema ${[...flags, ...only.map((name) => `--plugin ${name}`)].join(' ')} --out ${file}\``;
}

/** Undefined: nothing is wrong with it, or it is none of ours. */
async function lookAt(
  path: string,
  namedBy: string | undefined,
  settings: Settings,
  catalog: PluginCatalog,
): Promise<Finding | undefined> {
  const text = await readIfThere(path);
  const file = relative(process.cwd(), path);
  if (text === undefined && namedBy === undefined) return undefined;
  if (text === undefined) {
    const got = `${namedBy} names the schema ${file}, which is not there`;
    return warning(
      'schema',
      got,
      'a file, so that editors know the fields',
      'run `eventflow schema --vscode`, or mend the first line',
    );
  }
  const published = readPublished(text);
  const made = published?.only.length === 0 ? catalog : readCatalog(published?.only, settings.folder).catalog;
  if (published === undefined || published.isCurrent(made)) return undefined;
  const got = `${file} is out of date: editors complete and underline by what was installed before`;
  return warning('schema', got, 'a schema made of the plugins that are installed', advice(settings, path, published));
}

/** `sources`: the texts of the pipelines by the name that diagnostics give them, relative to the working directory. */
export async function checkSchemas(
  settings: Settings,
  catalog: PluginCatalog,
  sources: ReadonlyMap<string, string>,
): Promise<readonly Finding[]> {
  const named = namedSchemas(sources);
  const paths = new Set([...schemaKinds.map((kind) => join(settings.folder, schemaFile(kind))), ...named.keys()]);
  const found = await Promise.all([...paths].map((path) => lookAt(path, named.get(path), settings, catalog)));
  const wrong = found.filter((finding) => finding !== undefined);
  if (wrong.length > 0) return wrong;
  return [ok('schema', named.size === 0 ? 'no pipeline names a schema of its own' : 'editors know what is installed')];
}
