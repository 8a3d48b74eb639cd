/** The expressions of a route as its file would have given them. */
import { compileExpressions } from '../../engine/config/route-expressions.ts';
import type { Condition, Transform } from '../../engine/core/route.ts';

const basis = { id: 'receipt', on: ['order.paid'], handler: 'noop' } satisfies Parameters<typeof compileExpressions>[0];

export function conditionOf(source: string): Condition {
  const { when } = compileExpressions({ ...basis, when: source });
  if (when === undefined) throw new Error(`expected a condition of ${source}`);
  return when;
}

export function transformOf(fields: {
  readonly pick?: [string, ...string[]];
  readonly set?: Record<string, string | number | boolean>;
}): Transform {
  const { transform } = compileExpressions({ ...basis, transform: fields });
  if (transform === undefined) throw new Error('expected a transform');
  return transform;
}
