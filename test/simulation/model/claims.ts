/** Who has which routes, and what groups are called. */
import type { GroupInfo } from '../../../engine/bus/bus.ts';
import type { Claims, EngineInfo } from '../../../engine/core/claims.ts';
import { type ClaimPlan, engineLifeMs, type Holding, planClaims } from '../../../engine/core/claims.ts';
import type { State } from './state.ts';

/** What is told of a group beside what rests in it. */
export interface Called {
  readonly name: string;
  readonly former: readonly string[];
  readonly removedAt: number | undefined;
}

export interface Life extends EngineInfo {
  /** What the engine calls the groups that it has, by storage. */
  readonly groups: ReadonlyMap<string, string>;
}

export const calledOf = (state: State, storage: string): Called =>
  state.called.get(storage) ?? { name: storage, former: [], removedAt: undefined };

export const holdingsOf = (state: State): readonly Holding[] =>
  [...state.groups.keys()].map((storage) => {
    const { removedAt, ...called } = calledOf(state, storage);
    return { storage, ...called, removed: removedAt !== undefined };
  });

export const living = (state: State, now: number): readonly Life[] =>
  [...state.engines.values()].filter(({ at }) => at >= now - engineLifeMs);

export function claim(state: State, engine: string, { routes, generation, hash }: Claims, now: number): ClaimPlan {
  const holdings = holdingsOf(state);
  const others = living(state, now).filter(({ name }) => name !== engine);
  const called = holdings.filter(({ storage, name }) => others.some(({ groups }) => groups.get(storage) === name));
  const plan = planClaims(holdings, routes, new Set(called.map(({ storage }) => storage)));
  for (const { storage, to, former } of plan.renames) {
    state.called.set(storage, { ...calledOf(state, storage), name: to, former });
  }
  const groups = new Map([...plan.storages].map(([group, storage]) => [storage, group]));
  state.engines.set(engine, { name: engine, at: now, generation, hash, groups });
  return plan;
}

export function infosOf(state: State, now: number): readonly GroupInfo[] {
  return [...state.groups].map(([storage, { patterns, cursors }]) => {
    const { name, former, removedAt } = calledOf(state, storage);
    const users = living(state, now).filter(({ groups }) => groups.has(storage));
    const engines = users.map((engine) => engine.name);
    const disabled = false;
    return {
      group: name,
      storage,
      former,
      removedAt,
      engines,
      disabled,
      patterns,
      streams: [...cursors.keys()],
      activatedAt: 0,
    };
  });
}
