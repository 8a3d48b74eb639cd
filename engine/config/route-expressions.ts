/** The expressions of routes: checked in files of any shape, compiled in files without faults. */
import type { Condition, Transform } from '../core/route.ts';
import { type CelProgram, compileCel } from './cel/compile.ts';
import type { Diagnostic, PathStep } from './diagnostic.ts';
import { compileCondition, expressionDiagnostic } from './expressions.ts';
import type { Route as RouteFields } from './pipeline.generated.ts';
import { atKey, type OpenFile } from './pipeline-file.ts';
import { createTransform } from './transform.ts';
import { nodeAt } from './tree.ts';

/** The text of an expression; undefined where there is none, or something else. */
export function textAt(file: OpenFile, path: readonly PathStep[]): string | undefined {
  const node = nodeAt(file.tree, path);
  if (node?.kind !== 'leaf' || node.broken || node.value === null || node.value === '') return undefined;
  return String(node.value as string | number | boolean);
}

function checkWhen(file: OpenFile, path: readonly PathStep[]): Diagnostic[] {
  const source = textAt(file, path);
  if (source === undefined) return [];
  const compiled = compileCondition(source);
  return compiled.ok ? [] : [expressionDiagnostic(file, path, compiled.fault)];
}

/** `set` has no order that counts, so that no path may lead through another one. */
function checkOverlaps(file: OpenFile, path: readonly PathStep[], names: readonly string[]): Diagnostic[] {
  return names.flatMap((name) => {
    const outer = names.find((other) => name.startsWith(`${other}.`));
    if (outer === undefined) return [];
    const message = `expected fields apart from each other, got ${name} inside of ${outer}, which is set too`;
    return [atKey(file, [...path, name], 'EF2032', message)];
  });
}

function checkSet(file: OpenFile, path: readonly PathStep[]): Diagnostic[] {
  const node = nodeAt(file.tree, path);
  const names = node?.kind === 'fields' ? [...node.entries.keys()] : [];
  const faults = names.flatMap((name) => {
    const source = textAt(file, [...path, name]);
    const compiled = source === undefined ? undefined : compileCel(source);
    return compiled === undefined || compiled.ok ? [] : [expressionDiagnostic(file, [...path, name], compiled.fault)];
  });
  return [...faults, ...checkOverlaps(file, path, names)];
}

/** Of a file of any shape. */
export function checkExpressions(file: OpenFile): Diagnostic[] {
  const routes = nodeAt(file.tree, ['routes']);
  return (routes?.kind === 'list' ? routes.items : []).flatMap((_, at) => [
    ...checkWhen(file, ['routes', at, 'when']),
    ...checkSet(file, ['routes', at, 'transform', 'set']),
  ]);
}

function compileWhen(source: string): Condition {
  const compiled = compileCondition(source.trim());
  if (!compiled.ok) throw new Error(`expected an expression that was checked, got ${source}`);
  const { ok: _, ...condition } = compiled;
  return condition;
}

function compileTransform({ pick, set = {} }: NonNullable<RouteFields['transform']>): Transform {
  const sources = Object.fromEntries(Object.entries(set).map(([name, source]) => [name, String(source).trim()]));
  const programs = new Map<string, CelProgram>();
  for (const [name, source] of Object.entries(sources)) {
    const compiled = compileCel(source);
    if (!compiled.ok) throw new Error(`expected an expression that was checked, got ${source}`);
    programs.set(name, compiled.program);
  }
  return createTransform(pick, sources, programs);
}

/** What a route's expressions compile to; every one of them has been checked. */
export const compileExpressions = ({
  when,
  transform,
}: RouteFields): { readonly when?: Condition; readonly transform?: Transform } => ({
  ...(when === undefined ? {} : { when: compileWhen(when) }),
  ...(transform === undefined ? {} : { transform: compileTransform(transform) }),
});
