/** The schemas as they are given out: composed of what is installed, in the form that was asked for, with a mark to tell stale ones. */
import { hash } from 'node:crypto';
import type { PluginCatalog } from '../plugins/manifest.ts';
import { composeSchema, readSettingsSchema, readTestSchema } from './compose.ts';
import { type SchemaForm, schemaDrafts, schemaKinds, schemaVariants } from './schema-form.ts';
import type { JsonSchema } from './validator.ts';
import { lostInDraft07, toDraft07, toEditor } from './variants.ts';

export interface PublishedSchema {
  /** JSON, without a line end. */
  readonly text: string;
  /** Words of plugins' schemas that the draft has nothing for, so that it accepts more. */
  readonly lost: readonly string[];
}

function compose(kind: SchemaForm['kind'], catalog: PluginCatalog): JsonSchema {
  switch (kind) {
    case 'pipeline':
      return composeSchema(catalog);
    case 'settings':
      return readSettingsSchema();
    case 'test':
      return readTestSchema();
  }
}

/** `only`: the plugins that were asked for in place of those of the settings. */
const command = ({ kind, draft, variant }: SchemaForm, only: readonly string[]): string =>
  [
    'eventflow schema',
    `--kind ${kind} --draft ${draft} --variant ${variant}`,
    ...only.map((name) => `--plugin ${name}`),
  ].join(' ');

const markOf = (form: SchemaForm, only: readonly string[], source: JsonSchema): string =>
  `Made by \`${command(form, only)}\` from ${hash('sha256', JSON.stringify(source)).slice(0, 16)}`;

/** The schema of `kind`, with the options of every handler of the catalogue. */
export function publishSchema(form: SchemaForm, catalog: PluginCatalog, only: readonly string[] = []): PublishedSchema {
  const source = compose(form.kind, catalog);
  const varied = form.variant === 'editor' ? toEditor(source) : source;
  const drafted = form.draft === '07' ? toDraft07(varied) : varied;
  const { $schema, ...rest } = drafted;
  const text = JSON.stringify({ $schema, $comment: markOf(form, only, source), ...rest }, null, 2);
  return { text, lost: form.draft === '07' ? lostInDraft07(varied) : [] };
}

const mark =
  /^Made by `eventflow schema --kind (\S+) --draft (\S+) --variant (\S+?)((?: --plugin [^\s`]+)*)` from ([0-9a-f]{16})$/;

/** What a file of ours was made by; undefined for any other text. */
export interface Published {
  readonly form: SchemaForm;
  readonly only: readonly string[];
  /** Whether it would be made from the same today. */
  isCurrent(catalog: PluginCatalog): boolean;
}

const among = <T extends string>(all: readonly T[], text: string | undefined): T | undefined =>
  all.find((one) => one === text);

function commentOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { $comment?: unknown } | null)?.$comment;
  } catch {
    return undefined;
  }
}

/** What the text of a schema file says about itself. */
export function readPublished(text: string): Published | undefined {
  const comment = commentOf(text);
  const found = typeof comment === 'string' ? mark.exec(comment) : null;
  const [kind, draft, variant] = [
    among(schemaKinds, found?.[1]),
    among(schemaDrafts, found?.[2]),
    among(schemaVariants, found?.[3]),
  ];
  if (found === null || kind === undefined || draft === undefined || variant === undefined) return undefined;
  const form = { kind, draft, variant };
  const only = (found[4] ?? '').split(' --plugin ').filter((name) => name !== '');
  return { form, only, isCurrent: (catalog) => markOf(form, only, compose(kind, catalog)) === comment };
}
