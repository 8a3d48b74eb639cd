/** What the tests of a file saw of each route. */
import type { Generation } from '../core/route.ts';
import type { Timeline } from './timeline.ts';

/** What tests did with a route. */
export interface RouteUse {
  readonly group: string;
  /** Of the pipeline. */
  readonly file: string;
  readonly line: number;
  readonly outcomes: ReadonlySet<Outcome>;
}

export const outcomes = ['delivered', 'retried', 'dead', 'skipped'] as const;
export type Outcome = (typeof outcomes)[number];

const outcomesIn = (timeline: Timeline, group: string): Outcome[] => [
  ...(timeline.of('settled', group).some(({ status }) => status === 'delivered') ? (['delivered'] as const) : []),
  ...(timeline.of('settled', group).some(({ status }) => status === 'skipped') ? (['skipped'] as const) : []),
  ...(timeline.of('retry', group).length > 0 ? (['retried'] as const) : []),
  ...(timeline.of('dead', group).length > 0 ? (['dead'] as const) : []),
];

/** Gathers over the tests of a file. */
export class Uses {
  readonly #uses = new Map<string, RouteUse & { readonly outcomes: Set<Outcome> }>();

  know(generation: Generation): void {
    for (const { group, position, enabled } of generation.routes.values()) {
      if (!enabled || this.#uses.has(group)) continue;
      this.#uses.set(group, { group, file: position.file, line: position.line, outcomes: new Set() });
    }
  }

  saw(timeline: Timeline): void {
    for (const [group, { outcomes: seen }] of this.#uses) {
      for (const outcome of outcomesIn(timeline, group)) seen.add(outcome);
    }
  }

  list(): RouteUse[] {
    return [...this.#uses.values()];
  }
}
