/**
 * The log: one JSON object per line. Tells of dead letters, breakers, reloads, the bus and durability; of single
 * deliveries at `debug` only, since a line per event costs half of the throughput.
 */
import { type Logger, pino } from 'pino';
import type { Route } from '../core/route.ts';
import type { Log } from '../plugin.ts';
import { LogLines } from './log-lines.ts';
import { inert, redact } from './redact.ts';
import type { Observer } from './signals.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LogOptions {
  readonly level: LogLevel;
  /** Every secret value that is known now; asked again for every line, since a reload brings new ones. */
  readonly secrets: () => Iterable<string>;
  /** Gets whole lines that end in LF [stdout]. */
  readonly destination?: { write(line: string): void };
}

export interface EngineLog {
  readonly log: Logger;
  readonly observer: Observer;
  /** What a handler of this route writes to; its lines carry the route and cannot pass for another's. */
  logFor(route: Route): Log;
}

/** Every line goes through here, also those of handlers, child loggers and serializers. */
function guarded(options: LogOptions): { write(line: string): void } {
  const destination = options.destination ?? pino.destination({ dest: 1, sync: true });
  return {
    write(line) {
      destination.write(`${inert(redact(JSON.parse(line), options.secrets()))}\n`);
    },
  };
}

export function createLog(options: LogOptions): EngineLog {
  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    guarded(options),
  );
  return { log, observer: new LogLines(log).observe, logFor: (route) => handlerLog(log, route) };
}

const reserved: ReadonlySet<string> = new Set(['level', 'time', 'msg', 'route', 'handler']);

function handlerLog(log: Logger, route: Route): Log {
  const write = (level: 'debug' | 'info' | 'warn' | 'error') => (fields: object, message: string) => {
    if (!log.isLevelEnabled(level)) return;
    const own = fields instanceof Error ? { err: fields } : fields;
    const safe = Object.entries(own ?? {}).filter(([key]) => !reserved.has(key));
    log[level]({ ...Object.fromEntries(safe), route: route.group, handler: route.handler }, String(message));
  };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}
