/** Lag per stream. Streams are named by publishers, not by the configuration, so their number is bounded here. */
import type { Sample, View } from './collect.ts';
import type { RouteSeries } from './series.ts';
import { other } from './table.ts';

interface StreamLag {
  readonly stream: string;
  readonly entries: number;
  readonly known: boolean;
}

/** Streams of one route with series of their own; what comes later is folded into one. */
const maxStreams = 100;

/** Series of lag and `lag_known`. */
const seriesPerStream = 2;

/** Before the bus has been read the lag of a literal type is shown as 0 and unknown. */
function streamsOf(series: RouteSeries, view: View): readonly StreamLag[] {
  const stats = view.bus.stats.get(series.group);
  if (stats !== undefined && stats.lag.length > 0) return fold(series, view, stats.lag);
  const known = stats !== undefined;
  const streams = series.types.size > 0 ? [...series.types.keys()] : [other];
  return fold(
    series,
    view,
    streams.map((stream) => ({ stream, entries: 0, known })),
  );
}

function fold(series: RouteSeries, view: View, lag: readonly StreamLag[]): readonly StreamLag[] {
  const own = lag.filter(({ stream }) => admits(series, view, stream));
  const rest = lag.filter(({ stream }) => !series.streams.has(stream));
  if (rest.length === 0) return own;
  const { budget } = view.recorder;
  budget.refused += Math.max(0, rest.length - series.streamsFolded) * seriesPerStream;
  series.streamsFolded = Math.max(series.streamsFolded, rest.length);
  const entries = rest.reduce((sum, stream) => sum + stream.entries, 0);
  return [...own, { stream: other, entries, known: rest.every((stream) => stream.known) }];
}

function admits(series: RouteSeries, view: View, stream: string): boolean {
  if (series.streams.has(stream)) return true;
  if (series.streams.size >= maxStreams || !view.recorder.budget.tryTake(seriesPerStream)) return false;
  series.streams.add(stream);
  return true;
}

export const lagSamples = (view: View, read: (lag: StreamLag) => number): readonly Sample[] =>
  [...view.recorder.routes.values()].flatMap((series) =>
    streamsOf(series, view).map((lag) => ({
      shared: series.lagLabels,
      labels: { stream: lag.stream },
      value: read(lag),
    })),
  );
