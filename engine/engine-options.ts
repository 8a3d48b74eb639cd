/** What an engine is made from. */
import type { Bus } from './bus/bus.ts';
import type { Settings } from './config/index.ts';
import type { Observer } from './observe/signals.ts';
import type { OwnProcess } from './own-process.ts';
import type { PluginsPlace } from './plugins/manifest.ts';

export interface EngineOptions {
  readonly settings: Settings;
  /** Paths in messages are relative to this folder. */
  readonly cwd: string;
  /** Where the settings list their plugins, for messages about them. */
  readonly pluginsPlace?: PluginsPlace | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The settings as the next start would read them, for plans [not compared]. Undefined: they are wrong. */
  readonly readSettings?: () => Promise<Settings | undefined>;
  /** Reload when a pipeline, or a file that one refers to, changes [true]. */
  readonly watch?: boolean;
  /** Look for changes every so many ms instead of being told by the system: for network file systems. */
  readonly watchPollMs?: number;
  /** Where the last good pipelines are kept [nowhere]. */
  readonly stateFolder?: string;
  /** When the pipelines are refused at the start, begin with the last good ones [false: the start fails]. */
  readonly lastGood?: boolean;
  readonly allowEmpty?: boolean;
  /** Also run on a store that may drop what it was given [false]. */
  readonly allowUnsafeStore?: boolean;
  /** `undefined`: listen where the settings say. `false`: no listener. */
  readonly ingest?: false;
  readonly admin?: false;
  /** An open bus instead of `settings.bus`; the engine does not close it. */
  readonly bus?: Bus;
  /** Where log lines go [stdout]. */
  readonly logTo?: { write(line: string): void };
  /** Sees every signal, after metrics and log. */
  readonly observer?: Observer;
  /** The process is the engine's alone: a stuck event loop ends it, and errors that nobody caught are judged [neither]. */
  readonly ownProcess?: OwnProcess;
}
