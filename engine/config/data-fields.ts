/**
 * Fields of the data that `when` and `transform` name, against the schemas of the catalogue. A misspelt field would make
 * dead letters of every event, or be left out in silence; so what no schema of the route's types has, and what looks like
 * a slip for a field that they have, is a warning.
 */
import { compilePattern } from '../core/match.ts';
import { compileCel } from './cel/compile.ts';
import { type CelNode, partsOf } from './cel/node.ts';
import type { Diagnostic, PathStep, Place } from './diagnostic.ts';
import type { DeclaredType } from './event-types.ts';
import { expressionPlace } from './expressions.ts';
import type { PlannedFile } from './generation.ts';
import type { Route as RouteFields } from './pipeline.generated.ts';
import type { OpenFile } from './pipeline-file.ts';
import { textAt } from './route-expressions.ts';
import { diagnose } from './source.ts';
import { nearest } from './suggest.ts';
import { nodeAt } from './tree.ts';
import type { JsonSchema } from './validator.ts';

/** A schema and its whole, in which its references lead. */
interface Within {
  readonly schema: unknown;
  readonly root: JsonSchema;
}

const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Every schema that says something about the same value; each once, for references may lead in circles. */
function said({ schema, root }: Within, seen = new Set<unknown>()): JsonSchema[] {
  if (!isSchema(schema) || seen.has(schema)) return [];
  seen.add(schema);
  const { $ref } = schema;
  const target = typeof $ref === 'string' ? follow($ref, root) : undefined;
  const branches = ['allOf', 'anyOf', 'oneOf'].flatMap((word) => (schema[word] as unknown[] | undefined) ?? []);
  const inner = [target, ...branches, schema['then'], schema['else']];
  return [schema, ...inner.flatMap((one) => said({ schema: one, root }, seen))];
}

const follow = (reference: string, root: JsonSchema): unknown =>
  reference
    .replace(/^#\/?/, '')
    .split('/')
    .filter((step) => step !== '')
    .reduce<unknown>((at, step) => (isSchema(at) ? at[step.replace(/~1/g, '/').replace(/~0/g, '~')] : undefined), root);

interface Miss {
  /** The place in the path. */
  readonly at: number;
  readonly meant: string | undefined;
}

/** Where a path leaves what the schema knows; undefined: it may be there. */
function missing(root: JsonSchema, path: readonly string[]): Miss | undefined {
  let schemas = said({ schema: root, root });
  for (const [at, name] of path.entries()) {
    const known = schemas.filter(({ properties }) => isSchema(properties));
    const next = known.flatMap(({ properties }) =>
      isSchema(properties) && name in properties ? [properties[name]] : [],
    );
    if (next.length === 0) {
      if (known.length === 0 || schemas.some((schema) => 'patternProperties' in schema)) return undefined;
      const words = known.flatMap(({ properties }) => Object.keys(properties as object));
      const isClosed = schemas.some(({ additionalProperties }) => additionalProperties === false);
      const meant = nearest(name, words);
      return isClosed || meant !== undefined ? { at, meant } : undefined;
    }
    schemas = next.flatMap((schema) => said({ schema, root }));
  }
  return undefined;
}

interface Named {
  readonly path: readonly string[];
  /** Of each step, in the expression. */
  readonly places: readonly Place[];
}

/** `event.data.a.b` as its steps below `data`; undefined for anything else. */
function dataPath(node: CelNode): Named | undefined {
  if (node.op !== '.' && node.op !== '.?') return undefined;
  const [owner, name] = node.args;
  const place = { start: node.end - name.length, end: node.end };
  if (owner.op === '.' && owner.args[1] === 'data') {
    const [root] = owner.args;
    if (root.op === 'id' && root.args === 'event') return { path: [name], places: [place] };
  }
  const before = dataPath(owner);
  return before && { path: [...before.path, name], places: [...before.places, place] };
}

/** The longest paths of an expression. */
function pathsIn(node: CelNode): Named[] {
  const own = dataPath(node);
  return own === undefined ? partsOf(node).flatMap(pathsIn) : [own];
}

function schemasOf({ on }: RouteFields, types: ReadonlyMap<string, DeclaredType>): Map<string, JsonSchema> {
  const patterns = on.map(compilePattern);
  const wanted = [...types].filter(([type]) => patterns.some((takes) => takes(type)));
  return new Map(wanted.flatMap(([type, { schema }]) => (schema === undefined ? [] : [[type, schema] as const])));
}

/** Only what all of the route's schemas miss: a route over several types may name fields of one of them. */
function judge(
  path: readonly string[],
  schemas: ReadonlyMap<string, JsonSchema>,
): (Miss & { readonly message: string; readonly help: string | undefined }) | undefined {
  const misses = [...schemas.values()].map((schema) => missing(schema, path));
  const [first] = misses;
  if (first === undefined || misses.includes(undefined)) return undefined;
  const whose = schemas.size === 1 ? `the schema of ${[...schemas.keys()].join()}` : 'a schema of its event types';
  const meant = misses.map((miss) => miss?.meant).find((word) => word !== undefined);
  return {
    ...first,
    message: `expected a field that ${whose} has, got ${JSON.stringify(path[first.at])}`,
    help: meant === undefined ? undefined : `did you mean ${JSON.stringify(meant)}?`,
  };
}

function checkExpression(file: OpenFile, path: readonly PathStep[], schemas: Map<string, JsonSchema>): Diagnostic[] {
  const source = textAt(file, path);
  const compiled = source === undefined ? undefined : compileCel(source);
  if (compiled?.ok !== true) return [];
  return pathsIn(compiled.program.root).flatMap(({ path: steps, places }) => {
    const fault = judge(steps, schemas);
    const place =
      fault === undefined ? undefined : expressionPlace(file, path, places[fault.at] ?? { start: 0, end: 1 });
    if (fault === undefined || place === undefined) return [];
    return [diagnose(file.source, place, 'EF2035', path, fault.message, { severity: 'warning', help: fault.help })];
  });
}

function checkPick(
  file: OpenFile,
  path: readonly PathStep[],
  pick: string,
  schemas: Map<string, JsonSchema>,
): Diagnostic[] {
  const node = nodeAt(file.tree, path);
  const fault = judge(pick.split('.'), schemas);
  if (fault === undefined || node?.kind !== 'leaf' || node.references.length > 0) return [];
  return [diagnose(file.source, node.origin, 'EF2035', path, fault.message, { severity: 'warning', help: fault.help })];
}

/** Of a file that fits the schema. */
export function checkDataFields({ file, routes }: PlannedFile, types: ReadonlyMap<string, DeclaredType>): Diagnostic[] {
  return routes.flatMap(({ index, fields }) => {
    const { when, transform } = fields;
    if (when === undefined && transform === undefined) return [];
    const schemas = schemasOf(fields, types);
    if (schemas.size === 0) return [];
    const route: PathStep[] = ['routes', index];
    return [
      ...(when === undefined ? [] : checkExpression(file, [...route, 'when'], schemas)),
      ...(transform?.pick ?? []).flatMap((pick, at) =>
        checkPick(file, [...route, 'transform', 'pick', at], pick, schemas),
      ),
      ...Object.keys(transform?.set ?? {}).flatMap((name) =>
        checkExpression(file, [...route, 'transform', 'set', name], schemas),
      ),
    ];
  });
}
