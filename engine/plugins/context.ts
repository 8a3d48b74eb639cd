/** Builds what a handler is given: everything it may use of the engine, bound to its route. */
import { dirname } from 'node:path';
import type { Route } from '../core/route.ts';
import type { Counter, HandlerContext, HttpClient, Log, Templates } from '../plugin.ts';

export interface ContextDeps {
  readonly http: HttpClient;
  readonly templates: Templates;
  /** The route's log; redacts secrets. */
  readonly log: (route: Route) => Log;
  /** ms since the epoch. */
  readonly clock: () => number;
  /** Where a handler's numbers go: `eventflow_plugin_<name>_total{pipeline,route}`. */
  readonly counter: (name: string, help: string, route: Route) => Counter;
}

const maxCounters = 20;
const counterName = /^[a-z][a-z0-9_]{0,63}$/;

/** A handler that makes counters per event would fill the metrics page: names are few, and checked. */
function boundedCounters(route: Route, make: ContextDeps['counter']): HandlerContext['metrics'] {
  const counters = new Map<string, Counter>();
  return {
    counter(name, help) {
      const known = counters.get(name);
      if (known !== undefined) return known;
      if (!counterName.test(name)) {
        throw new TypeError(
          `expected a counter name like messages_sent ([a-z][a-z0-9_]*), got ${JSON.stringify(name)}`,
        );
      }
      if (counters.size >= maxCounters) {
        throw new RangeError(`expected at most ${maxCounters} counters a handler, got one more: ${name}`);
      }
      const counter = make(name, help, route);
      counters.set(name, counter);
      return counter;
    },
  };
}

export function createContext(route: Route, deps: ContextDeps): HandlerContext {
  return Object.freeze({
    route: route.group,
    timeout: route.timeout,
    concurrency: route.concurrency,
    http: deps.http,
    templates: deps.templates,
    metrics: boundedCounters(route, deps.counter),
    log: deps.log(route),
    clock: deps.clock,
    folder: dirname(route.position.file),
  });
}
