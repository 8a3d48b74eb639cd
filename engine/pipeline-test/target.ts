/** Where a route would send its events, from its options alone: no plugin code runs in a test. Pure. */
import type { Route } from '../core/route.ts';
import { findHandler, type PluginCatalog } from '../plugins/manifest.ts';

/** Of the schemes whose port a URL of the platform does not know. */
const usualPorts: Readonly<Record<string, number>> = { 'smtp:': 587, 'smtps:': 465 };

/** The host of a URL whose scheme and host stand there literally; what follows may be a template. */
function hostOfUrl(text: string): string | undefined {
  const start = /^[a-z][a-z0-9+.-]*:\/\/[^/?#{}\s]+(?=$|[/?#])/i.exec(text)?.[0];
  const url = start === undefined ? null : URL.parse(start);
  if (url === null || url.host === '') return undefined;
  const port = url.port === '' ? usualPorts[url.protocol] : undefined;
  return port === undefined ? url.host : `${url.host}:${port}`;
}

function hostOfFields({ host, port, secure }: Readonly<Record<string, unknown>>): string | undefined {
  if (typeof host !== 'string' || /[{}\s]/.test(host)) return undefined;
  if (typeof port === 'number') return `${host}:${port}`;
  return secure === undefined ? host : `${host}:${secure === true ? 465 : 587}`;
}

/**
 * The target as the route's handler would say it, `host` or `host:port`: of the first URL in the order of the schema, or of
 * the options `host` and `port`. Where neither is there, a name that is the route's alone. Undefined: the handler says no
 * targets.
 */
export function targetOf({ plugin, handler, group, options }: Route, catalog: PluginCatalog): string | undefined {
  const choice = findHandler(catalog, `${plugin}:${handler}`);
  if (choice.kind !== 'found' || choice.manifest.capabilities['target'] !== true) return undefined;
  const { properties } = choice.manifest.schema;
  const texts = Object.keys(Object(properties) as object).map((name) => options[name]);
  const hosts = texts.flatMap((text) => (typeof text === 'string' ? (hostOfUrl(text) ?? []) : []));
  return hosts[0] ?? hostOfFields(options) ?? `(${group})`;
}
