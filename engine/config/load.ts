/** Pipeline files to a generation, or every reason why not. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Generation } from '../core/route.ts';
import type { PluginCatalog } from '../plugins/manifest.ts';
import { pathOf } from './check.ts';
import { composeOptions } from './compose.ts';
import { checkConsistency } from './consistency.ts';
import { type Diagnostic, hasErrors, sortDiagnostics } from './diagnostic.ts';
import { readEventTypes } from './event-types.ts';
import { expandPaths } from './files.ts';
import { compileGeneration, type PlannedFile } from './generation.ts';
import * as names from './names.ts';
import { atValue, type OpenedFile, type OpenFile, openPipelineFile } from './pipeline-file.ts';
import { resolvePolicies } from './policies.ts';
import { openReading, type Reading } from './reading.ts';
import { checkRenames } from './renames.ts';
import { type JsonSchema, validatorFor } from './validator.ts';

export interface LoadRequest {
  /** Files, folders and globs; relative to `cwd`. */
  readonly paths: readonly string[];
  readonly catalog: PluginCatalog;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Paths that match nothing are fine [false]. */
  readonly allowEmpty?: boolean;
}

interface Loaded {
  /** Every file that was read or referred to, also those that are missing; absolute. For the watcher. */
  readonly files: readonly string[];
  /** The pipeline files' texts by the name that diagnostics give them, plain-text secrets masked. For code frames. */
  readonly sources: ReadonlyMap<string, string>;
}

export type LoadResult =
  | (Loaded & {
      readonly ok: true;
      readonly generation: Generation;
      readonly warnings: readonly Diagnostic[];
      /** The values of all secrets in clear, so that they can be kept out of logs; each once. */
      readonly secrets: readonly string[];
      /** What the data of each declared event type has to fit; undefined: nothing. */
      readonly eventSchemas: ReadonlyMap<string, JsonSchema | undefined>;
    })
  | (Loaded & { readonly ok: false; readonly diagnostics: readonly Diagnostic[] });

interface Opened {
  readonly files: readonly OpenFile[];
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: ReadonlyMap<string, string>;
}

/** Between two files others get their turn: deliveries go on while a large set of pipelines is read. */
async function openAll(paths: readonly string[], catalog: PluginCatalog, reading: Reading): Promise<Opened> {
  const validate = validatorFor(composeOptions(catalog));
  const misplaced = names.misplacedField(catalog);
  const opened: OpenedFile[] = [];
  for (const path of paths) {
    opened.push(openPipelineFile(path, reading, validate, misplaced));
    await turn();
  }
  return {
    files: opened.flatMap(({ file }) => file ?? []),
    diagnostics: opened.flatMap(({ diagnostics }) => diagnostics),
    sources: new Map(
      opened.flatMap(({ file, source }) =>
        source === undefined ? [] : [[source.file, file?.maskedText ?? source.text]],
      ),
    ),
  };
}

const checkNames = (files: readonly OpenFile[], catalog: PluginCatalog): Diagnostic[] => [
  ...files.flatMap((file) => names.checkHandlers(file, catalog)),
  ...files.flatMap(names.checkRouteIds),
  ...files.flatMap(names.checkPolicyNames),
  ...files.flatMap(names.checkBreakerRules),
  ...files.flatMap(names.checkSchedules),
  ...names.checkPipelineNames(files),
  ...names.checkEventTypes(files),
  ...checkRenames(files),
];

/** Files that options name are read when the handler is created; that they are there is asked now. */
function checkOptionFiles(file: OpenFile, reading: Reading): Diagnostic[] {
  return [...file.optionFiles].flatMap(([pointer, path]) => {
    const content = reading.file(path);
    if (content.ok) return [];
    return [atValue(file, pathOf(file.tree, pointer), 'EF2023', `expected a readable file, got: ${content.reason}`)];
  });
}

function plan(file: OpenFile): PlannedFile[] {
  const { valid } = file;
  if (valid === undefined) return [];
  const routes = valid.routes.map((fields, index) => ({ index, fields, resolved: resolvePolicies(valid, fields) }));
  return [{ file, fields: valid, routes }];
}

const checkPlan = ({ file, routes }: PlannedFile): Diagnostic[] =>
  routes.flatMap(({ index, resolved }) => checkConsistency(file, ['routes', index], resolved));

/** Reads everything anew each time. Never rejects because of what stands in a file. */
export async function loadGeneration(request: LoadRequest): Promise<LoadResult> {
  const reading = openReading(request.cwd, request.env);
  const expanded = expandPaths(request.paths, reading, request.allowEmpty ?? false);
  const opened = await openAll(expanded.files, request.catalog, reading);
  const plans = opened.files.flatMap(plan);
  const eventTypes = readEventTypes(opened.files, reading);
  const diagnostics = sortDiagnostics([
    ...expanded.diagnostics,
    ...opened.diagnostics,
    ...checkNames(opened.files, request.catalog),
    ...opened.files.flatMap((file) => checkOptionFiles(file, reading)),
    ...plans.flatMap(checkPlan),
    ...eventTypes.diagnostics,
  ]);
  const { sources } = opened;
  if (hasErrors(diagnostics)) return { ok: false, diagnostics, files: reading.touched(), sources };
  const generation = compileGeneration(plans, eventTypes.types, request.catalog, reading);
  const secrets = [...new Set(opened.files.flatMap((file) => file.secrets))];
  const eventSchemas = new Map([...eventTypes.types].map(([type, { schema }]) => [type, schema] as const));
  return { ok: true, generation, warnings: diagnostics, secrets, eventSchemas, files: reading.touched(), sources };
}
