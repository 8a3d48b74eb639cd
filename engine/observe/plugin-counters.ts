/** Counters that handlers keep for themselves. They are made before their generation is swapped in, and go with it. */
import type { Route } from '../core/route.ts';
import type { Counter } from '../plugin.ts';
import type { RouteSeries } from './series.ts';
import { pluginMetricName } from './table.ts';

class Cell implements Counter {
  value = 0;

  inc(by = 1): void {
    if (!(by >= 0 && by < Number.POSITIVE_INFINITY)) {
      throw new RangeError(
        `expected a counter to grow by a number from 0, got ${by}: count what happened, not a level`,
      );
    }
    this.value += by;
  }
}

/** Counters of one handler of one route. */
type Cells = Map<string, Cell>;

const maxNames = 20;
const namePattern = /^[a-z][a-z0-9_]{0,63}$/;

const keyOf = (group: string, handler: string): string => `${group} ${handler}`;

export class PluginCounters {
  /** By exported name; the first help wins. */
  readonly helps = new Map<string, string>();
  readonly #cells = new Map<string, Cells>();

  /** The same counter for the same name. Throws when the name is not one, or when it is the 21st of its handler. */
  counter(name: string, help: string, route: Route): Counter {
    if (!namePattern.test(name)) {
      throw new TypeError(
        `expected a counter name that matches ${namePattern.source}, got ${JSON.stringify(name)}, in route ${route.group}`,
      );
    }
    const exported = pluginMetricName(name);
    const key = keyOf(route.group, route.handler);
    const cells = this.#cells.get(key) ?? new Map<string, Cell>();
    this.#cells.set(key, cells);
    return cells.get(exported) ?? this.#add(cells, exported, help, route);
  }

  #add(cells: Cells, exported: string, help: string, route: Route): Counter {
    if (cells.size >= maxNames) {
      throw new RangeError(
        `expected at most ${maxNames} counters per handler, got ${exported} as one more, in route ${route.group}: names must not come from events`,
      );
    }
    const cell = new Cell();
    cells.set(exported, cell);
    if (!this.helps.has(exported)) this.helps.set(exported, help);
    return cell;
  }

  /** Counters of routes that are gone go too. Returns the names that nobody has any more. */
  keepOnly(routes: Iterable<RouteSeries>): readonly string[] {
    const kept = new Set(Array.from(routes, (series) => keyOf(series.group, series.labels.handler)));
    for (const key of this.#cells.keys()) if (!kept.has(key)) this.#cells.delete(key);
    const used = new Set(Array.from(this.#cells.values(), (cells) => [...cells.keys()]).flat());
    const unused = [...this.helps.keys()].filter((name) => !used.has(name));
    for (const name of unused) this.helps.delete(name);
    return unused;
  }

  value(exported: string, series: RouteSeries): number | undefined {
    return this.#cells.get(keyOf(series.group, series.labels.handler))?.get(exported)?.value;
  }
}
