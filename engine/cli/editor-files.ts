/** What editors need beside the pipelines: the schemas, and for VS Code where they are. */
import { join, relative, sep } from 'node:path';
import type { Settings } from '../config/index.ts';
import { publishSchema } from '../config/published-schema.ts';
import { schemaKinds } from '../config/schema-form.ts';
import type { PluginCatalog } from '../plugins/manifest.ts';
import { exit, Failure } from './exit.ts';
import { type Files, readIfThere } from './files-on-disk.ts';
import { NotJson, setInJson } from './jsonc.ts';

type Kind = (typeof schemaKinds)[number];

/** Relative to the folder of the settings. The pipelines' schema is the one that has no kind in its name. */
export const schemaFile = (kind: Kind): string =>
  kind === 'pipeline' ? '.eventflow/schema.json' : `.eventflow/${kind}.schema.json`;

const yaml = ['yaml', 'yml'];

type Place = Pick<Settings, 'folder' | 'pipelines'>;

/** Globs for `yaml.schemas`, by kind. Tests stand beside their pipelines. */
function globsOf(settings: Place): Readonly<Record<Kind, readonly string[]>> {
  const paths = settings.pipelines.map((path) => relative(settings.folder, path).split(sep).join('/'));
  const pipelines = paths.flatMap((path) =>
    /\.ya?ml$|[*?{]/.test(path) ? [path] : yaml.map((ending) => `${path === '' ? '' : `${path}/`}**/*.${ending}`),
  );
  const tests = yaml.map((ending) => `**/*.test.${ending}`);
  return {
    pipeline: [...pipelines, ...tests.map((glob) => `!${glob}`)],
    settings: ['eventflow.yaml'],
    test: tests,
  };
}

function withSchema(text: string, path: string, kind: Kind, globs: readonly string[]): string {
  try {
    return setInJson(text, ['yaml.schemas', `./${schemaFile(kind)}`], globs);
  } catch (error) {
    if (!(error instanceof NotJson)) throw error;
    const line = `"yaml.schemas": { "./${schemaFile(kind)}": ${JSON.stringify(globs)} }`;
    throw new Failure(
      exit.failed,
      `expected ${path} to be JSON with comments, got ${error.message}; mend it, or put in\n  ${line}`,
    );
  }
}

/** VS Code's settings with the schemas, and everything that is in them. Throws a `Failure` when they are no JSON. */
async function settingsOfVsCode(place: Place): Promise<{ readonly path: string; readonly text: string }> {
  const path = join(place.folder, '.vscode/settings.json');
  const globs = globsOf(place);
  const before = (await readIfThere(path)) ?? '';
  return { path, text: schemaKinds.reduce((text, kind) => withSchema(text, path, kind, globs[kind]), before) };
}

/** Throws before anything else is written that has to go with them. `pipelines`: relative to the folder. */
export async function expectSettingsOfVsCode(folder: string, pipelines: readonly string[]): Promise<void> {
  await settingsOfVsCode({ folder, pipelines: pipelines.map((path) => join(folder, path)) });
}

/**
 * The editors' files of the folder where the settings are, absolute path → text. `.vscode/settings.json` keeps everything
 * that is in it.
 */
export async function editorFiles(
  settings: Settings,
  catalog: PluginCatalog,
  only: readonly string[] = [],
): Promise<Files> {
  const files = new Map<string, string>();
  for (const kind of schemaKinds) {
    const published = publishSchema({ kind, draft: '2020-12', variant: 'editor' }, catalog, only);
    files.set(join(settings.folder, schemaFile(kind)), `${published.text}\n`);
  }
  const { path, text } = await settingsOfVsCode(settings);
  return files.set(path, text);
}
