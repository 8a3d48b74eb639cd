/** The generations that ran lately: what can be gone back to, and what each of them changed. */
import type { GenerationDiff } from './core/diff.ts';
import type { Generation } from './core/route.ts';
import type { GenerationInfo, ReloadReason, ReloadReport, RouteFields } from './operations/operations.ts';

/** Kept in memory, the running one included. */
const mostKept = 10;

interface Kept {
  readonly generation: Generation;
  readonly info: Omit<GenerationInfo, 'running'>;
}

export class Generations {
  #kept: readonly Kept[] = [];

  add(
    number: number,
    generation: Generation,
    at: number,
    why: ReloadReason,
    changes: ReloadReport['changes'],
    fields: readonly RouteFields[],
  ): void {
    const info = { number, hash: generation.hash, at, why, changes, fields };
    this.#kept = [{ generation, info }, ...this.#kept].slice(0, mostKept);
  }

  /** Newest first. */
  list(): readonly GenerationInfo[] {
    return this.#kept.map(({ info }, at) => ({ ...info, running: at === 0 }));
  }

  /** One that is kept; without a number the one before that which runs. Undefined: there is none. */
  find(number: number | undefined): { readonly number: number; readonly generation: Generation } | undefined {
    const running = this.#kept[0]?.generation.hash;
    const found =
      number === undefined
        ? this.#kept.find(({ generation }) => generation.hash !== running)
        : this.#kept.find(({ info }) => info.number === number);
    return found && { number: found.info.number, generation: found.generation };
  }
}

/** Field by field, what is told of a diff. */
export const fieldsOf = ({ change, rename }: GenerationDiff): readonly RouteFields[] =>
  [...change, ...rename].map(({ after, fields }) => ({ route: after.group, fields }));
