/**
 * From a route to its running handler: import the plugin's entry, look at what it exports, create the handler. Each step
 * has a deadline, and what goes wrong says which plugin, which route, and where in the YAML the route stands.
 */
import { realpathSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Route } from '../core/route.ts';
import { type ErrorCode, EventFlowError } from '../errors.ts';
import { apiVersion, type Handler, type Plugin } from '../plugin.ts';
import { type ContextDeps, createContext } from './context.ts';
import { freshUrl } from './editions.ts';

/** Where the manifest says the code is. */
export interface HandlerSource {
  /** The package's folder, absolute. */
  readonly folder: string;
  /** The file to import, absolute or from that folder. */
  readonly entry: string;
  /** Of the package: another one than before is imported anew. */
  readonly version?: string;
}

export interface LoadDeps extends ContextDeps {
  /** For the import, for `create` and for `check`, each, ms [10,000]. */
  readonly deadline?: number;
}

type CheckResult = { readonly ok: true } | { readonly ok: false; readonly error: Error };

export interface LoadedHandler {
  readonly route: Route;
  readonly handler: Handler;
  /** Asks whether the target can be reached; within the deadline; never rejects. Without a `check` it is fine. */
  check(): Promise<CheckResult>;
  /** Resolves when the handler has closed or the deadline is over; logs a failure, never rejects. */
  close(): Promise<void>;
}

/** Something wrong with a plugin, at a route. */
export class PluginError extends EventFlowError {
  readonly plugin: string;
  readonly route: string;
  readonly position: Route['position'];
  constructor(code: ErrorCode, route: Route, problem: string, cause?: unknown) {
    const { file, line, column } = route.position;
    const message = `${file}:${line}:${column}: route ${route.group}, plugin ${route.plugin}: ${problem}`;
    super(code, message, { cause });
    this.name = 'PluginError';
    this.plugin = route.plugin;
    this.route = route.group;
    this.position = route.position;
  }
}

const defaultDeadline = 10_000;
const late = Symbol('late');

async function within<T>(ms: number, work: Promise<T>): Promise<T | typeof late> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<typeof late>((resolve) => {
    timer = setTimeout(resolve, ms, late);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** What throws at once and what rejects are one. */
const callAsync = async <T>(call: () => T | Promise<T>): Promise<T> => call();

const errorText = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The entry as a file; throws when it is not there or outside the package's folder. */
function entryFile({ folder, entry }: HandlerSource): string {
  const file = realpathSync(resolve(folder, entry));
  if (file.startsWith(realpathSync(folder) + sep)) return file;
  throw new Error(`expected the entry to be inside the package, got ${entry}`);
}

interface Imported {
  readonly version: string | undefined;
  readonly module: Promise<unknown>;
}

/** By entry file; undefined where every import has failed. */
const imported = new Map<string, Imported | undefined>();

async function importEntry(source: HandlerSource): Promise<unknown> {
  const file = entryFile(source);
  const known = imported.get(file);
  if (known !== undefined && known.version === source.version) return known.module;
  const url = imported.has(file) ? freshUrl(file, realpathSync(source.folder)) : pathToFileURL(file).href;
  const module = import(url).then((exports: { default?: unknown }) => exports.default);
  imported.set(file, { version: source.version, module });
  // Node remembers the failure as well, so the next try is made under another URL.
  module.catch(() => imported.set(file, known));
  return module;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

function asPlugin(value: unknown, route: Route): Plugin {
  if (!isObject(value) || typeof value.apiVersion !== 'number' || !isObject(value.handlers)) {
    const got = isObject(value) ? `an object with ${Object.keys(value).join(', ') || 'nothing in it'}` : typeof value;
    throw new PluginError('EF3103', route, `expected the default export to be what definePlugin returns, got ${got}`);
  }
  const version = value.apiVersion;
  if (version < 1 || (version !== apiVersion && version !== apiVersion - 1)) {
    throw new PluginError('EF3102', route, `expected apiVersion ${apiVersion}, got ${version}`);
  }
  return value as unknown as Plugin;
}

async function importPlugin(route: Route, source: HandlerSource, deadline: number): Promise<Plugin> {
  const exported = await within(deadline, importEntry(source)).catch((error: unknown) => {
    throw new PluginError('EF3101', route, `cannot be imported: ${errorText(error)}`, error);
  });
  if (exported === late) {
    throw new PluginError('EF3106', route, `expected the import to end within ${deadline} ms, it still runs`);
  }
  return asPlugin(exported, route);
}

const isHandler = (value: unknown): value is Handler => isObject(value) && typeof value.handle === 'function';

async function createHandler(route: Route, plugin: Plugin, deps: LoadDeps, deadline: number): Promise<Handler> {
  const definition = Object.hasOwn(plugin.handlers, route.handler) ? plugin.handlers[route.handler] : undefined;
  if (typeof definition?.create !== 'function') {
    const has = Object.keys(plugin.handlers).join(', ') || 'none';
    throw new PluginError('EF3104', route, `expected a handler ${route.handler} with create(), got ${has}`);
  }
  const creating = callAsync(() => definition.create(route.options, createContext(route, deps)));
  const handler = await within(deadline, creating).catch((error: unknown) => {
    throw new PluginError('EF3105', route, `handler ${route.handler}: ${errorText(error)}`, error);
  });
  if (handler === late) {
    closeWhenCreated(creating);
    throw new PluginError('EF3106', route, `expected create() to end within ${deadline} ms, it still runs`);
  }
  if (!isHandler(handler))
    throw new PluginError(
      'EF3103',
      route,
      `expected create() to return an object with handle(), got ${typeof handler}`,
    );
  if (route.batch === undefined || typeof handler.handleBatch === 'function') return handler;
  closeWhenCreated(creating);
  const promised = 'expected create() to return an object with handleBatch(), as the manifest says "batch": true';
  throw new PluginError('EF3103', route, `${promised}, got one with ${Object.keys(handler).join(', ')}`);
}

/** Nobody waits for this handler any more; it must not live on. */
function closeWhenCreated(creating: Promise<Handler>): void {
  creating.then((handler) => handler.close?.()).catch(() => undefined);
}

async function check(handler: Handler, deadline: number): Promise<CheckResult> {
  try {
    const answer = await within(
      deadline,
      callAsync(() => handler.check?.()),
    );
    if (answer !== late) return { ok: true };
    return { ok: false, error: new Error(`expected check() to end within ${deadline} ms, it still runs`) };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error : new Error(String(error)) };
  }
}

async function close(route: Route, handler: Handler, deps: LoadDeps, deadline: number): Promise<void> {
  const problem = await within(
    deadline,
    callAsync(() => handler.close?.()),
  ).then(
    (answer) => (answer === late ? `close() still runs after ${deadline} ms` : undefined),
    (error: unknown) => `close() failed: ${errorText(error)}`,
  );
  if (problem !== undefined) deps.log(route).warn({ route: route.group, plugin: route.plugin }, problem);
}

/**
 * The route's handler, created and ready. Rejects with {@link PluginError} (EF3101…EF3106). The target is not asked
 * here: call `check()` when it suits, since targets come and go.
 */
export async function loadHandler(route: Route, source: HandlerSource, deps: LoadDeps): Promise<LoadedHandler> {
  const deadline = deps.deadline ?? defaultDeadline;
  const plugin = await importPlugin(route, source, deadline);
  const handler = await createHandler(route, plugin, deps, deadline);
  return {
    route,
    handler,
    check: () => check(handler, deadline),
    close: () => close(route, handler, deps, deadline),
  };
}
