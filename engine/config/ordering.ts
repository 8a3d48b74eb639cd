/** `ordering`: what its key must be, and which streams it can hold over. */
import { compilePattern, readsStream, type StreamRule } from '../core/match.ts';
import type { OrderingRule } from '../core/route.ts';
import type { Diagnostic, PathStep } from './diagnostic.ts';
import { compileKey, expressionDiagnostic } from './expressions.ts';
import type { Route as RouteFields } from './pipeline.generated.ts';
import { atKey, type OpenFile } from './pipeline-file.ts';
import { textAt } from './route-expressions.ts';
import { nodeAt } from './tree.ts';

/** Of a file of any shape. */
export function checkOrderingKeys(file: OpenFile): Diagnostic[] {
  const routes = nodeAt(file.tree, ['routes']);
  return (routes?.kind === 'list' ? routes.items : []).flatMap((_, at) => {
    const path: readonly PathStep[] = ['routes', at, 'ordering', 'key'];
    const source = textAt(file, path);
    const compiled = source === undefined ? undefined : compileKey(source);
    return compiled === undefined || compiled.ok ? [] : [expressionDiagnostic(file, path, compiled.fault)];
  });
}

/** Whether every type that fits `pattern` fits `rule`. No where it is not plain to see. */
export function covers(rule: readonly string[], pattern: readonly string[]): boolean {
  const [first, ...rest] = rule;
  const [mine, ...others] = pattern;
  if (first === undefined) return mine === undefined;
  if (first === '**') return rest.length === 0 || pattern.some((_, at) => covers(rest, pattern.slice(at)));
  if (mine === undefined || mine === '**') return false;
  const takes = first === '*' || first === mine || (!mine.includes('*') && compilePattern(first)(mine));
  return takes && covers(rest, others);
}

interface Reach {
  readonly streams: ReadonlySet<string>;
  /** A pattern of which each type may rest in a stream of its own. */
  readonly open: string | undefined;
}

function reachOf(on: readonly string[], rules: readonly StreamRule[]): Reach {
  const streams = new Set<string>();
  let open: string | undefined;
  for (const pattern of on) {
    let whole = false;
    for (const rule of rules) {
      if (whole || !readsStream([pattern], [rule], rule.name)) continue;
      streams.add(rule.name);
      whole = rule.types.some((type) => covers(type.split('.'), pattern.split('.')));
    }
    if (whole) continue;
    if (pattern.includes('*')) open ??= pattern;
    else streams.add(pattern);
  }
  return { streams, open };
}

/** Streams have no order between them: what is to be in order has to rest in one. */
export function checkOrderedStreams(
  file: OpenFile,
  route: readonly PathStep[],
  { on, ordering }: RouteFields,
  rules: readonly StreamRule[],
): Diagnostic[] {
  if (ordering === undefined) return [];
  const { streams, open } = reachOf(on, rules);
  if (open === undefined && streams.size <= 1) return [];
  const got =
    open === undefined ? `${streams.size}: ${[...streams].join(', ')}` : `${open}, each type in a stream of its own`;
  const types = on.map((pattern) => JSON.stringify(pattern)).join(', ');
  const help = `put them into one in the settings:  streams: [{ name: ${file.valid?.name ?? 'events'}, types: [${types}] }]`;
  const message = `expected the types of an ordered route in one stream, got ${got}`;
  return [atKey(file, [...route, 'on'], 'EF2050', message, { help })];
}

/** The key has been checked. */
export function compileOrdering({ ordering }: RouteFields): { readonly ordering?: OrderingRule } {
  if (ordering === undefined) return {};
  const compiled = compileKey(ordering.key);
  if (!compiled.ok) throw new Error(`expected an expression that was checked, got ${ordering.key}`);
  return { ordering: { source: compiled.source, key: (event) => compiled.key(event) } };
}
