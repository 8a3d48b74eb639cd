/** The checks of `eventflow doctor` about this machine and the files: none of them needs the store. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { request } from 'undici';
import type { Diagnostic, Settings } from '../config/index.ts';
import { isLoopback } from '../http/admin.ts';
import { readListen } from '../http/server.ts';
import type { HandlerManifest } from '../plugins/manifest.ts';
import { type Finding, ok, problem, warning } from './doctor-finding.ts';
import { compareVersions } from './doctor-versions.ts';
import { plural } from './output.ts';

/** As in `engines` of package.json. */
export const oldestNode = '22.22.0';

export function checkNode(version: string): Finding {
  if (compareVersions(version, oldestNode) >= 0) return ok('node', `Node.js ${version}`);
  return problem('node', `Node.js ${version}`, `${oldestNode} or later`, 'update Node.js');
}

const kinds: readonly (readonly [check: string, codes: RegExp, advice: string])[] = [
  ['variables', /^EF1013$/, 'set the variable, or give it a default: ${NAME:-default}'],
  ['files', /^EF10(01|15|16)$/, 'check the path, and that the user that the engine runs as may read it'],
  ['plugins', /^EF3/, 'install or update the plugin: `eventflow plugins list`'],
  ['pipelines', /^EF/, '`eventflow validate` shows the places'],
];

/** One finding for each kind of thing that settings, plugins and pipelines can have wrong. */
export function checkConfiguration(diagnostics: readonly Diagnostic[]): readonly Finding[] {
  const rest = new Set(diagnostics.filter(({ severity }) => severity === 'error'));
  return kinds.map(([check, codes, advice]) => {
    const of = [...rest].filter(({ code }) => codes.test(code));
    for (const one of of) rest.delete(one);
    if (of.length === 0) return ok(check, 'nothing wrong');
    const got = of.map(({ file, line, code, message }) => `${file}:${line} ${code} ${message}`).join('; ');
    return problem(check, got, 'nothing wrong', advice);
  });
}

/** What is installed must be what the lock file names, and made for this engine. */
export function checkPlugins(
  manifests: readonly HandlerManifest[],
  folder: string,
  engine: string,
): readonly Finding[] {
  const lock = readLock(folder);
  const plugins = new Map(manifests.map((manifest) => [manifest.plugin, manifest]));
  return [...plugins.values()].map(({ plugin, version, folder: at }) => {
    const locked = lock?.[`node_modules/${plugin}`]?.version;
    if (locked !== undefined && locked !== version) {
      return warning('plugins', `${plugin} ${version}`, `${locked}, as in package-lock.json`, 'run `npm ci`');
    }
    const range = rangeFor(at);
    if (range !== undefined && !satisfies(engine, range)) {
      return warning(
        'plugins',
        `${plugin} ${version} wants eventflow ${range}`,
        `one for ${engine}`,
        'update the plugin or the engine',
      );
    }
    return ok('plugins', `${plugin} ${version}`);
  });
}

type Lock = Readonly<Record<string, { readonly version?: string }>>;

function readLock(folder: string): Lock | undefined {
  for (let at = folder; ; at = dirname(at)) {
    const file = join(at, 'package-lock.json');
    if (existsSync(file)) return (readJson(file) as { packages?: Lock } | undefined)?.packages;
    if (at === dirname(at)) return undefined;
  }
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

const rangeFor = (folder: string): string | undefined =>
  (readJson(join(folder, 'package.json')) as { peerDependencies?: Record<string, string> } | undefined)
    ?.peerDependencies?.['eventflow'];

/** `^1.2.3`, `~1.2.3`, `>=1.2.3` and `1.2.3`; what is written in any other way is npm's to judge. */
export function satisfies(version: string, range: string): boolean {
  const [, sign, least = ''] = /^(\^|~|>=|)\s*v?(\d+\.\d+\.\d+)$/.exec(range) ?? [];
  if (sign === undefined) return true;
  const [major, minor] = least.split('.').map(Number) as [number, number];
  if (compareVersions(version, least) < 0) return false;
  switch (sign) {
    case '^':
      return compareVersions(version, major > 0 ? `${major + 1}.0.0` : `0.${minor + 1}.0`) < 0;
    case '~':
      return compareVersions(version, `${major}.${minor + 1}.0`) < 0;
    case '':
      return compareVersions(version, least) === 0;
    default:
      return true;
  }
}

/** `files`: how many the engine would watch. Where there is no inotify there is no such limit. */
export function checkInotify(files: number, limits: InotifyLimits | undefined = readInotify()): Finding {
  if (limits === undefined) return ok('inotify', 'not used on this system');
  const { watches, instances, instancesInUse } = limits;
  const got = `${plural(files, 'file')} to watch, ${watches} watches and ${instances} instances allowed, ${instancesInUse} instances in use`;
  if (files > watches) {
    return problem('inotify', got, `${files} watches or more`, `sysctl fs.inotify.max_user_watches=${2 * files}`);
  }
  if (instancesInUse < instances) return ok('inotify', got);
  return problem('inotify', got, 'a free instance', `sysctl fs.inotify.max_user_instances=${2 * instances}`);
}

interface InotifyLimits {
  readonly watches: number;
  readonly instances: number;
  /** Of this user, as far as it may look. */
  readonly instancesInUse: number;
}

function readInotify(): InotifyLimits | undefined {
  const limit = (name: string): number => Number(readFileSync(`/proc/sys/fs/inotify/${name}`, 'utf8'));
  try {
    return {
      watches: limit('max_user_watches'),
      instances: limit('max_user_instances'),
      instancesInUse: list('/proc')
        .filter((pid) => /^\d+$/.test(pid))
        .reduce((sum, pid) => sum + inotifiesOf(pid), 0),
    };
  } catch {
    return undefined;
  }
}

const inotifiesOf = (pid: string): number =>
  list(`/proc/${pid}/fd`).filter((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === 'anon_inode:inotify').length;

/** Processes of others cannot be looked into, and any may end meanwhile. */
function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

export async function checkListeners({ http }: Settings): Promise<readonly Finding[]> {
  const engine = await engineAt(http.adminListen);
  return [
    await checkPort('ingest', http.listen, engine),
    checkIngestAddress(http.listen),
    await checkPort('admin', http.adminListen, engine),
    checkAdminAddress(http.adminListen),
  ];
}

export function checkIngestAddress(listen: string): Finding {
  if (isLoopback(readListen(listen).host)) return ok('ingest', `${listen} is reached from this machine only`);
  const advice = 'put a proxy with authentication in front, and let only it reach this port';
  return warning(
    'ingest',
    `${listen} takes events from whoever can reach it`,
    'a loopback address, or a proxy',
    advice,
  );
}

export function checkAdminAddress(listen: string): Finding {
  if (isLoopback(readListen(listen).host)) return ok('admin', `${listen} is reached from this machine only`);
  const advice = 'set http.adminListen to 127.0.0.1:8788, and reach it by a tunnel or a proxy with authentication';
  return problem('admin', `${listen} is public and has no authentication`, 'a loopback address', advice);
}

/** The version of the engine that answers there. */
async function engineAt(listen: string): Promise<string | undefined> {
  const { host, port } = readListen(listen);
  try {
    const { body } = await request(`http://${host.includes(':') ? `[${host}]` : host}:${port}/version`, {
      signal: AbortSignal.timeout(2_000),
    });
    const { version } = (await body.json()) as { version?: unknown };
    return typeof version === 'string' ? version : undefined;
  } catch {
    return undefined;
  }
}

async function checkPort(check: string, listen: string, engine: string | undefined): Promise<Finding> {
  const fault = await bindFault(listen);
  if (fault === undefined) return ok(check, `${listen} is free`);
  if (engine !== undefined) return ok(check, `${listen} is in use; an engine (${engine}) runs here`);
  const advice = `stop who listens there, or set another address (\`http.listen\`, \`http.adminListen\`)`;
  return problem(check, `${listen} cannot be bound: ${fault}`, 'a free port', advice);
}

function bindFault(listen: string): Promise<string | undefined> {
  const { host, port } = readListen(listen);
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code, message }: NodeJS.ErrnoException) => resolve(code ?? message));
    server.listen(port, host, () => server.close(() => resolve(undefined)));
  });
}
