/**
 * What an engine does in a process of its own, as `eventflow run` is one: it ends the process when the event loop is stuck,
 * and judges what nobody caught. In somebody else's process both would be theirs to decide.
 */
import { type LateErrorDeps, listenToLateErrors } from './late-errors.ts';
import type { Observer } from './observe/signals.ts';
import type { PluginCatalog } from './plugins/manifest.ts';
import { startWatchdog, type WatchdogOptions } from './watchdog.ts';

export interface OwnProcess {
  /** Nobody caught it, and no plugin is to blame: the engine should be stopped and the process end. */
  readonly onFailure: LateErrorDeps['onFailure'];
}

export interface GuardDeps extends OwnProcess, Omit<WatchdogOptions, 'limitMs'> {
  /** ms; undefined: no watchdog. */
  readonly watchdogMs: number | undefined;
  readonly catalog: () => PluginCatalog;
  readonly observer: Observer;
}

/** Returns what ends the guard. */
export function guardProcess({ watchdogMs, catalog, observer, onFailure, ...words }: GuardDeps): () => void {
  const deaf = listenToLateErrors({
    plugins: () => [...catalog().handlers.values()].flat(),
    onLateError: (error) => observer({ kind: 'late_error', ...error }),
    onFailure,
  });
  const asleep = watchdogMs === undefined ? undefined : startWatchdog({ ...words, limitMs: watchdogMs });
  return () => {
    deaf();
    asleep?.();
  };
}
