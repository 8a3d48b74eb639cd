/** Dashboards from a generation: an overview, and one per pipeline. Pure: the same pipelines give the same bytes. */
import type { Generation } from '../../core/route.ts';
import { toClassic } from './classic.ts';
import { overview } from './overview.ts';
import { pipelineDashboard } from './pipeline.ts';

/** File name → classic Grafana JSON. */
export function generateDashboards(generation: Generation): Record<string, string> {
  const pipelines = [...generation.pipelines].sort((a, b) => (a.name < b.name ? -1 : 1));
  return Object.fromEntries([
    ['eventflow-overview.json', toClassic(overview())],
    ...pipelines.map((pipeline) => [
      `eventflow-pipeline-${pipeline.name}.json`,
      toClassic(pipelineDashboard(pipeline)),
    ]),
  ]);
}
