/** Pipeline files to a generation, or every reason why not. */
import { setImmediate as turn } from 'node:timers/promises';
import type { StreamRule } from '../core/match.ts';
import type { Generation } from '../core/route.ts';
import type { PluginCatalog } from '../plugins/manifest.ts';
import { checkAdmissionKeys, checkTargets } from './admission.ts';
import { checkBatches } from './batch.ts';
import { pathOf } from './check.ts';
import { composeOptions } from './compose.ts';
import { checkConsistency } from './consistency.ts';
import { checkDataFields } from './data-fields.ts';
import { type Diagnostic, hasErrors, limitPerFile, sortDiagnostics } from './diagnostic.ts';
import { readDocument, readText } from './document.ts';
import { readEventTypes } from './event-types.ts';
import { expandPaths } from './files.ts';
import { compileGeneration, compilePipeline, type PlannedFile } from './generation.ts';
import * as names from './names.ts';
import { checkOrderedStreams, checkOrderingKeys } from './ordering.ts';
import { checkPatterns } from './patterns.ts';
import { atValue, type OpenFile, openPipeline } from './pipeline-file.ts';
import { resolvePolicies } from './policies.ts';
import { checkReach } from './reach.ts';
import { openReading, type Reading, type ReadingOptions } from './reading.ts';
import { checkRenames } from './renames.ts';
import { checkExpressions } from './route-expressions.ts';
import { createSource } from './source.ts';
import { checkTemplates } from './templates.ts';
import { type JsonSchema, type Validate, validatorFor } from './validator.ts';

export interface LoadRequest {
  /** Files, folders and globs; relative to `cwd`. */
  readonly paths: readonly string[];
  readonly catalog: PluginCatalog;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Pipelines that stand in no file of their own, such as a block in a document. */
  readonly texts?: readonly PipelineText[];
  /** What the settings say of streams; undefined: that is not known, and nothing is said about it. */
  readonly streams?: readonly StreamRule[] | undefined;
  /** Paths that match nothing are fine [false]. */
  readonly allowEmpty?: boolean;
  /** For what is compared and does not run [read from the disk, and every reference has a value]. */
  readonly reading?: ReadingOptions;
}

export interface PipelineText {
  /** Absolute; paths in the text start at its folder. */
  readonly path: string;
  /** As diagnostics name it. */
  readonly file: string;
  readonly text: string;
}

interface Loaded {
  /** Every file that was read or referred to, also those that are missing; absolute. For the watcher. */
  readonly files: readonly string[];
  /** Those of them that hold no secret by themselves: all but what `${file:…}` names. */
  readonly shownFiles: readonly string[];
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
async function eachFile<File, Found>(
  files: readonly File[],
  work: (file: File) => readonly Found[] | Promise<readonly Found[]>,
): Promise<Found[]> {
  const all: Found[] = [];
  for (const file of files) {
    all.push(...(await work(file)));
    await turn();
  }
  return all;
}

const validators = new WeakMap<PluginCatalog, Validate>();

/** Composing the schema and finding its validator takes longer than a file does. */
function validatorOf(catalog: PluginCatalog): Validate {
  const validate = validators.get(catalog) ?? validatorFor(composeOptions(catalog));
  validators.set(catalog, validate);
  return validate;
}

async function openAll(
  paths: readonly string[],
  texts: readonly PipelineText[],
  catalog: PluginCatalog,
  reading: Reading,
): Promise<Opened> {
  const validate = validatorOf(catalog);
  const misplaced = names.misplacedField(catalog);
  const documents = [
    ...paths.map((path) => () => readDocument(path, reading)),
    ...texts.map(
      ({ path, file, text }) =>
        () =>
          readText(createSource(path, file, text), reading),
    ),
  ];
  const opened = await eachFile(documents, async (read) => [openPipeline(await read(), validate, misplaced)]);
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

const checkFile = (file: OpenFile, catalog: PluginCatalog, reading: Reading): Diagnostic[] => [
  ...names.checkHandlers(file, catalog),
  ...names.checkPolicyNames(file),
  ...names.checkBreakerRules(file),
  ...names.checkSchedules(file),
  ...checkExpressions(file),
  ...checkOrderingKeys(file),
  ...checkAdmissionKeys(file),
  ...checkOptionFiles(file, reading),
  ...checkTemplates(file),
  ...checkReach(file),
  ...checkPatterns(file),
];

/** What several files can only do wrong together. */
const checkTogether = (files: readonly OpenFile[]): Diagnostic[] => [
  ...names.checkRouteIds(files),
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

const checkPlan = ({ file, routes }: PlannedFile, streams: readonly StreamRule[] | undefined): Diagnostic[] =>
  routes.flatMap(({ index, fields, resolved }) => [
    ...checkConsistency(file, ['routes', index], resolved),
    ...(streams === undefined ? [] : checkOrderedStreams(file, ['routes', index], fields, streams)),
  ]);

/** Reads everything anew each time. Never rejects because of what stands in a file. */
export async function loadGeneration(request: LoadRequest): Promise<LoadResult> {
  const { catalog, texts = [], allowEmpty = false } = request;
  const reading = openReading(request.cwd, request.env, request.reading);
  const expanded = expandPaths(request.paths, reading, allowEmpty);
  const opened = await openAll(expanded.files, texts, catalog, reading);
  const plans = await eachFile(opened.files, plan);
  const eventTypes = readEventTypes(opened.files, reading);
  const sorted = sortDiagnostics([
    ...expanded.diagnostics,
    ...opened.diagnostics,
    ...(await eachFile(opened.files, (file) => checkFile(file, catalog, reading))),
    ...checkTogether(opened.files),
    ...(await eachFile(plans, (planned) => [
      ...checkPlan(planned, request.streams),
      ...checkTargets(planned, catalog),
      ...checkBatches(planned, catalog),
      ...checkDataFields(planned, eventTypes.types),
    ])),
    ...eventTypes.diagnostics,
  ]);
  const diagnostics = limitPerFile(sorted);
  const { sources } = opened;
  const read = { files: reading.touched(), shownFiles: reading.shown() };
  if (hasErrors(sorted)) return { ok: false, diagnostics, ...read, sources };
  const pipelines = await eachFile(plans, (planned) => [compilePipeline(planned, catalog, reading)]);
  const generation = compileGeneration(pipelines, eventTypes.types);
  const secrets = [...new Set(opened.files.flatMap((file) => file.secrets))];
  const eventSchemas = new Map([...eventTypes.types].map(([type, { schema }]) => [type, schema] as const));
  return { ok: true, generation, warnings: diagnostics, secrets, eventSchemas, ...read, sources };
}
