/** Which signal becomes which line. */
import type { Logger } from 'pino';
import { Repeats } from './repeats.ts';
import type { Signal } from './signals.ts';

type Of<Kind extends Signal['kind']> = Extract<Signal, { kind: Kind }>;

const aMinute = 60_000;

const iso = (at: number | undefined): string | undefined => (at === undefined ? undefined : new Date(at).toISOString());

export class LogLines {
  readonly #log: Logger;
  readonly #debug: boolean;
  readonly #repeats = new Repeats();
  #storeWasUnsafe = false;

  constructor(log: Logger) {
    this.#log = log;
    this.#debug = log.isLevelEnabled('debug');
  }

  readonly observe = (signal: Signal): void => {
    switch (signal.kind) {
      case 'attempt':
      case 'published':
      case 'duplicate_suppressed':
      case 'retry_scheduled':
      case 'unmatched':
      case 'fenced':
      case 'route_started':
      case 'route_stopped':
        if (this.#debug) this.#detail(signal);
        return;
      case 'dead_lettered':
        return this.#dead(signal);
      case 'reclaimed':
        return this.#log.info(
          { route: signal.route.group, count: signal.count },
          `took over ${signal.count} deliveries whose consumer gave no sign of life`,
        );
      case 'lost':
        return this.#log.error(
          { route: signal.route.group, ids: signal.ids },
          `${signal.ids.length} pending deliveries are gone from the bus`,
        );
      case 'data_warning':
        return this.#dataWarning(signal);
      case 'redriven':
        return this.#log.info({ route: signal.group, count: signal.count }, `redrove ${signal.count} dead letters`);
      case 'breaker':
        return this.#breaker(signal);
      case 'dlq_full':
        return this.#dlqFull(signal);
      case 'dlq_dropped':
        return this.#dlqDropped(signal);
      case 'misbehaved':
        return this.#once('warn', `misbehaved ${signal.route.group}`, signal.what, { route: signal.route.group });
      case 'unkeyed':
        return this.#unkeyed(signal);
      case 'leaking':
        return this.#log.error(
          { route: signal.route.group, handler: signal.route.handler, count: signal.count },
          `${signal.count} handlers ignore their abort and still run: they hold memory until the engine is started again. Give delivery.signal to what the handler waits for`,
        );
      case 'late_error':
        return this.#lateError(signal);
      case 'reloaded':
        return this.#reloaded(signal);
      case 'group_renamed':
        return this.#log.info(
          signal,
          `${signal.from} goes by the name of ${signal.to} from now on, with all that it has`,
        );
      case 'previous_unknown':
        return this.#log.warn(
          { route: signal.group, previous: signal.previous },
          `expected previousId to name a route that the bus knows, got ${signal.previous}: ${signal.group} starts with nothing`,
        );
      case 'route_removed':
        return this.#log.warn(
          { route: signal.group, count: signal.count },
          `${signal.count} deliveries found no route any more and were dead-lettered as route_removed; redrive them when ${signal.group} is back`,
        );
      case 'purged':
        return this.#log.warn(signal, `${signal.by} purged ${signal.group}: ${signal.reason}`);
      case 'batch': // A size for the metrics; its deliveries are told one by one.
      case 'detached': // Numbers for the metrics.
      case 'swapped': // A number for the metrics; the reload itself is told.
        return;
      case 'bus_up':
        return this.#busUp(signal);
      case 'bus_error':
        return this.#busError(signal);
      case 'bus_recovered':
        return this.#busRecovered(signal);
      case 'durability':
        return this.#durability(signal);
      case 'store_hazards':
        return this.#storeHazards(signal);
      case 'ingest':
        return this.#ingest(signal);
    }
  };

  /** Held back while it says the same; the line that ends a row tells how many were held back. */
  #once(level: 'warn' | 'error', topic: string, message: string, fields: object): void {
    const repeated = this.#repeats.changed(topic, message);
    if (repeated === undefined) return;
    this.#log[level](repeated === 0 ? fields : { ...fields, repeatedBefore: repeated }, message);
  }

  /** One line for each way in which the data of a type does not fit. */
  #dataWarning({ eventType, eventId, faults }: Of<'data_warning'>): void {
    const said = `the data of ${eventType} does not fit its schema: ${faults.slice(0, 3).join('; ')}`;
    this.#once('warn', `data ${eventType}`, said, { 'event.type': eventType, 'event.id': eventId });
  }

  #lateError({ plugin, how, message }: Of<'late_error'>): void {
    const words = how === 'rejection' ? 'left a promise that was rejected' : 'threw where nobody catches';
    const said = `a plugin ${words}, after its delivery was over: ${message}`;
    this.#once('error', `late_error ${plugin}`, said, { plugin });
  }

  #dead({ route, eventId, eventType, reason, attempts, fault }: Of<'dead_lettered'>): void {
    this.#log.warn(
      {
        route: route.group,
        handler: route.handler,
        'event.id': eventId,
        'event.type': eventType,
        reason,
        attempt: attempts,
        code: fault.code,
        status: fault.status,
        error: fault.message,
      },
      `dead-lettered as ${reason} after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`,
    );
  }

  #unkeyed({ route: { group }, of, reason }: Of<'unkeyed'>): void {
    const what =
      of === undefined ? 'an event runs without order' : `an event has no key and shares the ${of} of all without one`;
    this.#once('warn', `unkeyed ${of ?? ''} ${group}`, `${what}: ${reason}`, { route: group });
  }

  #breaker({ route, key, from, to, why, until }: Of<'breaker'>): void {
    const fields = { route: route.group, handler: route.handler, key, from, to, why, until: iso(until) };
    if (to === 'open') this.#log.warn(fields, `circuit open: ${why}`);
    else this.#log.info(fields, to === 'closed' ? 'circuit closed' : 'circuit half open: probing');
  }

  /** The last that is heard of them. */
  #dlqDropped({ letters }: Of<'dlq_dropped'>): void {
    const fields = {
      route: letters[0]?.group,
      letters: letters.map(({ id, eventId }) => ({ id, 'event.id': eventId })),
    };
    this.#log.warn(
      fields,
      `dropped ${letters.length} dead letters: there is no room for more, and the oldest go first`,
    );
  }

  #dlqFull({ route, full }: Of<'dlq_full'>): void {
    const fields = { route: route.group, maxEntries: route.deadLetter.maxEntries };
    if (full) this.#log.error(fields, 'dead letters are full: the route is held until some are redriven or discarded');
    else this.#log.info(fields, 'dead letters have room again: the route goes on');
  }

  #reloaded({ result, generation, hash, problems, changes, pinned, why }: Of<'reloaded'>): void {
    if (result === 'rejected') {
      const message =
        generation === 0
          ? 'the first load was rejected: nothing runs'
          : `${why === 'rollback' ? 'rollback' : 'reload'} rejected, generation ${generation} goes on${pinned === undefined ? '' : `, ${pinned}`}`;
      if (this.#repeats.changed('reload', problems.join('\n')) !== undefined) this.#log.error({ problems }, message);
      return;
    }
    this.#repeats.forget('reload');
    const message = result === 'changed' ? `generation ${generation} runs` : 'reload changed nothing';
    const fields = { generation, hash, why, ...changes };
    if (pinned === undefined) this.#log.info(fields, message);
    else this.#log.warn(fields, `${message}, ${pinned}`);
  }

  #busUp({ up, label, error }: Of<'bus_up'>): void {
    if (!up) return this.#once('error', 'bus', `bus is down: ${error ?? 'no answer'}`, { bus: label });
    for (const topic of ['bus', 'bus_error connection']) this.#repeats.forget(topic);
    this.#log.info({ bus: label }, 'bus is up');
  }

  /** The bus holds its own repetitions back; those of the workers are held back here. */
  #busError({ errorKind, message }: Of<'bus_error'>): void {
    const repeated = this.#repeats.due(`bus_error ${errorKind}`, message, aMinute);
    if (repeated === undefined) return;
    this.#log.error({ kind: errorKind, ...(repeated === 0 ? {} : { repeatedBefore: repeated }) }, message);
  }

  #busRecovered({ errorKind, message, seconds, times }: Of<'bus_recovered'>): void {
    this.#repeats.forget(`bus_error ${errorKind}`);
    if (times === 1) return;
    this.#log.info({ kind: errorKind, seconds, times }, `over, after ${seconds} s and ${times} times: ${message}`);
  }

  #storeHazards({ hazards }: Of<'store_hazards'>): void {
    if (hazards.length > 0) {
      this.#storeWasUnsafe = true;
      this.#log.error({ hazards }, `the store is unsafe: ${hazards.join('; and ')}`);
    } else if (this.#storeWasUnsafe) this.#log.info('the store is safe again');
  }

  #ingest({ reason, closed, detail }: Of<'ingest'>): void {
    const fields = { reason, detail };
    if (closed) this.#log.error(fields, `new events are refused: ${detail}; deliveries go on`);
    else this.#log.info(fields, `new events are welcome again: ${detail}`);
  }

  #durability({ mode, level, reason }: Of<'durability'>): void {
    // Whoever switched it off knows.
    if (mode === 'none') this.#log.info({ mode, durability: level }, `durability: none. ${reason ?? ''}`.trim());
    else if (level === 'guaranteed') this.#log.info({ mode, durability: level }, `durability: ${mode}, verified`);
    else
      this.#once('warn', 'durability', `durability: best_effort. ${reason ?? ''}`.trim(), { mode, durability: level });
  }

  #detail(
    signal: Of<
      | 'attempt'
      | 'published'
      | 'duplicate_suppressed'
      | 'retry_scheduled'
      | 'unmatched'
      | 'fenced'
      | 'route_started'
      | 'route_stopped'
    >,
  ): void {
    switch (signal.kind) {
      case 'attempt':
      case 'retry_scheduled': {
        const { kind, route, eventId, fault, ...fields } = signal;
        const error = fault === undefined ? {} : { code: fault.code, status: fault.status, error: fault.message };
        return this.#log.debug({ route: route.group, 'event.id': eventId, ...fields, ...error }, words(kind));
      }
      case 'published':
      case 'duplicate_suppressed': {
        const { kind, ...fields } = signal;
        return this.#log.debug(fields, words(kind));
      }
      case 'unmatched':
      case 'fenced':
        return this.#log.debug({ route: signal.route.group, count: signal.count }, signal.kind);
      case 'route_started':
      case 'route_stopped':
        return this.#log.debug({ route: signal.route.group, handler: signal.route.handler }, words(signal.kind));
    }
  }
}

const words = (kind: string): string => kind.replace('_', ' ');
