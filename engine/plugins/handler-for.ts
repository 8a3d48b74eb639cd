/** From a compiled route to its running handler: find the plugin, load it, ask its target whether it answers. */
import { relative } from 'node:path';
import type { Route } from '../core/route.ts';
import type { Handler } from '../plugin.ts';
import { loadHandler } from './load.ts';
import { findHandler, type PluginCatalog } from './manifest.ts';

type Batching = Required<Pick<Handler, 'handleBatch'>>;

/** Rejects when no plugin has the handler, or with what `loadHandler` rejects with. */
export async function handlerFor(
  route: Route,
  catalog: PluginCatalog,
  deps: Parameters<typeof loadHandler>[2],
): Promise<Handler> {
  const choice = findHandler(catalog, `${route.plugin}:${route.handler}`);
  if (choice.kind !== 'found')
    throw new Error(`expected a plugin with the handler ${route.handler}, ${route.plugin} has none`);
  const { manifest } = choice;
  const source = {
    plugin: manifest.plugin,
    folder: manifest.folder,
    version: manifest.version,
    entry: `./${relative(manifest.folder, manifest.entry)}`,
  };
  const loaded = await loadHandler(route, source, deps);
  void loaded.check().then((result) => {
    if (!result.ok)
      deps.log(route).warn({ error: result.error.message }, 'the target of this route does not answer yet');
  });
  const { handler } = loaded;
  return {
    handle: (event, delivery) => handler.handle(event, delivery),
    ...(handler.handleBatch === undefined
      ? {}
      : { handleBatch: (events, batch) => (handler as Batching).handleBatch(events, batch) }),
    ...(handler.target === undefined ? {} : { target: (event) => handler.target?.(event) ?? '' }),
    close: () => loaded.close(),
  };
}
