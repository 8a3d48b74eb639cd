/**
 * Optional packages for other platforms in package-lock.json. npm leaves out those that its registry does not have, and
 * `npm ci` then refuses the file everywhere. `node test/repo/lock-file.ts` puts them back after an `npm install`.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const file = new URL('../../package-lock.json', import.meta.url);

interface Locked {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

type Packages = Record<string, Locked>;
type LockFile = { readonly packages: Packages };

const systems = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32', 'aix', 'netbsd', 'openbsd', 'sunos'];
const processors = ['arm64', 'arm', 'x64', 'ia32', 'ppc64', 'riscv64', 's390x', 'loong64', 'mips64el'];

/** The folders in which a package at `path` finds what it needs, the nearest first. */
function placesFor(path: string, name: string): string[] {
  const at = `${path}/node_modules/${name}`.replace(/^\//, '');
  const above = path.slice(0, Math.max(path.lastIndexOf('/node_modules/'), 0));
  return path === '' ? [at] : [at, ...placesFor(above, name)];
}

export interface Missing {
  readonly name: string;
  readonly version: string;
  readonly dev: boolean;
}

/** Optional dependencies that the lock file names and does not describe. */
export function missingPackages({ packages }: LockFile): readonly Missing[] {
  return Object.entries(packages).flatMap(([path, { optionalDependencies = {}, dev = false }]) =>
    Object.entries(optionalDependencies)
      .filter(([name]) => !placesFor(path, name).some((place) => place in packages))
      .map(([name, version]) => ({ name, version, dev })),
  );
}

/** What npm would have written, by what the name says; without a checksum, since nobody has seen the package. */
function stubOf({ name, version, dev }: Missing): Locked {
  const words = name.split('/').at(-1)?.split('-') ?? [];
  const os = systems.find((one) => words.includes(one));
  const cpu = processors.find((one) => words.includes(one));
  if (os === undefined || cpu === undefined || !/^\d/.test(version)) {
    throw new Error(`expected a package for one platform in one version, got ${name} ${version}`);
  }
  const libc = words.some((word) => word.startsWith('musl')) ? ['musl'] : words.includes('gnu') ? ['glibc'] : undefined;
  return {
    version,
    ...{ cpu: [cpu] },
    ...(dev ? { dev } : {}),
    ...(libc === undefined ? {} : { libc }),
    ...{ optional: true, os: [os] },
  };
}

export const readLockFile = (): LockFile => JSON.parse(readFileSync(file, 'utf8')) as LockFile;

if (import.meta.main) {
  const lock = readLockFile();
  for (const missing of missingPackages(lock)) lock.packages[`node_modules/${missing.name}`] = stubOf(missing);
  const { '': root = {}, ...rest } = lock.packages;
  const sorted = Object.entries(rest).sort(([a], [b]) => a.localeCompare(b, 'en'));
  const packages = Object.fromEntries([['', root], ...sorted]);
  writeFileSync(file, `${JSON.stringify({ ...lock, packages }, null, 2)}\n`);
}
