/** `batch`: which handlers can take several events at once. */
import { findHandler, fullName, type PluginCatalog } from '../plugins/manifest.ts';
import type { Diagnostic, PathStep } from './diagnostic.ts';
import type { PlannedFile } from './generation.ts';
import { atKey } from './pipeline-file.ts';

/** A handler without `handleBatch` would get no event at all. */
export function checkBatches({ file, routes }: PlannedFile, catalog: PluginCatalog): Diagnostic[] {
  return routes.flatMap(({ index, fields }) => {
    const choice = findHandler(catalog, fields.handler);
    if (fields.batch === undefined || choice.kind !== 'found') return [];
    const { manifest } = choice;
    if (manifest.capabilities['batch'] === true) return [];
    const path: readonly PathStep[] = ['routes', index, 'batch'];
    const message = `expected a handler that takes batches, and ${fullName(manifest)} does not`;
    return [atKey(file, path, 'EF2056', message, { help: 'take `batch` away: its events go one by one then' })];
  });
}
