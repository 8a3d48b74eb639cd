/**
 * Errors that nobody caught, which come when the delivery that caused them is over: a promise that a plugin left alone, a
 * timer of it that throws. Those of a plugin are told and counted, and the process goes on: what threw is the plugin's
 * own, and everybody else's deliveries run in the same process. Any other error may be the engine's own, which then is in
 * a state that nobody thought of: it should drain, hand back and end.
 *
 * Whose an error is, its stack tells. (AsyncLocalStorage would know it for stackless ones too, and costs each delivery:
 * three times the price of an await on Node.js 24, and on 22 it slows down every promise of the process fivefold.)
 */
import { realpathSync } from 'node:fs';
import { sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hintOf } from './plugin.ts';

export interface PluginFolder {
  readonly plugin: string;
  /** Absolute. */
  readonly folder: string;
}

/** `how` it came: nobody handled a rejection, or nobody caught an exception. */
export interface LateError {
  /** Undefined: a plugin's beyond doubt, and no more is known. */
  readonly plugin: string | undefined;
  readonly how: 'rejection' | 'exception';
  readonly message: string;
}

export interface LateErrorDeps {
  readonly plugins: () => readonly PluginFolder[];
  readonly onLateError: (error: LateError) => void;
  /** No plugin is to blame: the process should end. */
  readonly onFailure: (error: unknown) => void;
}

const framePlace = /(?:\(|at )(?:async )?(file:\/\/\/\S+?|\/\S+?|[A-Za-z]:\\\S+?):\d+:\d+\)?$/;

function framesOf(reason: unknown): string[] {
  const stack = reason instanceof Error && typeof reason.stack === 'string' ? reason.stack : '';
  return stack.split('\n').flatMap((line) => {
    const [, place] = framePlace.exec(line) ?? [];
    if (place === undefined) return [];
    return [place.startsWith('file:') ? fileURLToPath(place) : place];
  });
}

/** Reads what was thrown; anything may be, also what throws when it is looked at. */
function safely<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

const isPlain = (reason: object): boolean => Object.keys(hintOf(reason)).length === 0;

/** Whose the error is: the innermost plugin on its stack. `null`: some plugin's. Undefined: nobody knows. */
export function culpritOf(reason: unknown, plugins: readonly PluginFolder[]): string | null | undefined {
  for (const frame of safely(() => framesOf(reason), [])) {
    const found = plugins.find(({ folder }) => frame.startsWith(folder + sep));
    if (found !== undefined) return found.plugin;
  }
  // The engine's HTTP client and `permanent` and the like mark what they throw, and only plugins use them.
  return typeof reason === 'object' && reason !== null && !safely(() => isPlain(reason), true) ? null : undefined;
}

const messageOf = (reason: unknown): string =>
  safely(
    () => (reason instanceof Error ? `${reason.name}: ${reason.message}` : String(reason)),
    'a value that cannot be read',
  );

/** Listens to what nobody caught in this process, until the returned function is called. */
export function listenToLateErrors({ plugins, onLateError, onFailure }: LateErrorDeps): () => void {
  // Stacks name real paths, and an upgrade may move them; the deepest folder wins where one plugin lies inside another.
  const real = (): readonly PluginFolder[] =>
    plugins()
      .map(({ plugin, folder }) => ({ plugin, folder: safely(() => realpathSync(folder), folder) }))
      .sort((a, b) => b.folder.length - a.folder.length);
  const judge = (reason: unknown, how: LateError['how']): void => {
    const culprit = culpritOf(reason, real());
    if (culprit === undefined) return onFailure(reason);
    onLateError({ plugin: culprit ?? undefined, how, message: messageOf(reason).slice(0, 300) });
  };
  const rejected = (reason: unknown): void => judge(reason, 'rejection');
  const thrown = (reason: unknown): void => judge(reason, 'exception');
  process.on('unhandledRejection', rejected);
  process.on('uncaughtException', thrown);
  return () => {
    process.off('unhandledRejection', rejected);
    process.off('uncaughtException', thrown);
  };
}
