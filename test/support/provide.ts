/** What the tests need beyond npm: a redis-server, promtool and openssl. Installed where we may, asked for where we may not. */
import { execFileSync, spawnSync } from 'node:child_process';
import { type DockerEngine, findDocker } from './docker.ts';
import { ensureRedisImage, redisImage } from './image.ts';

/** Debian's package for each program. */
const packages = { 'redis-server': 'redis-server', promtool: 'prometheus', openssl: 'openssl' } as const;
type Program = keyof typeof packages;

const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

/** `RUNLEVEL=1` keeps the package from starting its own server. */
const aptEnv = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };

function aptInstall(names: readonly string[]): void {
  console.log(`installing ${names.join(' and ')} with apt-get …`);
  execFileSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 'inherit'], env: aptEnv });
  const flags = ['install', '-y', '-qq', '--no-install-recommends'];
  execFileSync('apt-get', [...flags, ...names], { stdio: ['ignore', 'ignore', 'inherit'], env: aptEnv });
}

/** Throws, with one line that says what to install, when something is missing and we may not install it. */
function provide(programs: readonly Program[]): void {
  const missing = programs.filter((program) => !has(program)).map((program) => packages[program]);
  if (missing.length === 0) return;
  if (process.getuid?.() === 0 && has('apt-get')) return aptInstall(missing);
  throw new Error(
    `the tests need ${missing.join(' and ')}: run \`sudo apt-get install ${missing.join(' ')}\` (or what your system has in its place)`,
  );
}

const firstVersion = (text: string): string => /\d+\.\d+\.\d+/.exec(text)?.[0] ?? 'of unknown version';

const versionOf = (command: string, ...args: readonly string[]): string => {
  const { stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  return firstVersion(stdout + stderr);
};

export interface Provided {
  /** For the test files: how to come by a Redis. */
  readonly env: Readonly<Record<string, string>>;
  /** One line for people. */
  readonly text: string;
}

async function container(docker: DockerEngine): Promise<Provided> {
  const image = process.env['EVENTFLOW_TEST_REDIS_IMAGE'] ?? redisImage;
  if (image === redisImage) await ensureRedisImage(docker, image);
  return {
    env: {
      EVENTFLOW_TEST_REDIS_IMAGE: image,
      TESTCONTAINERS_RYUK_DISABLED: 'true',
    },
    text: `Redis ${versionOf('docker', 'run', '--rm', image, 'redis-server', '--version')} in Testcontainers (${image}, Docker ${docker.version})`,
  };
}

const ownProcess = (why: string): Provided => ({
  env: {},
  text: `Redis ${versionOf('redis-server', '--version')} as a redis-server process (${why})`,
});

const given = (url: string): Provided => ({
  env: {},
  text: `Redis ${versionOf('redis-cli', '-u', url, 'info', 'server')} at ${new URL(url).host} (EVENTFLOW_TEST_REDIS_URL)`,
});

/** `EVENTFLOW_TEST_REDIS_URL`, else a container where Docker answers, else a process. */
async function redis(): Promise<Provided> {
  const url = process.env['EVENTFLOW_TEST_REDIS_URL'];
  if (url !== undefined && url !== '') return given(url);
  const docker = await findDocker();
  if (docker === undefined) return ownProcess('no Docker engine answers');
  if (!has('docker'))
    return ownProcess('a Docker engine answers, but there is no docker client to make the image with');
  return container(docker);
}

export async function provideForTests(): Promise<Provided> {
  provide(['redis-server', 'promtool', 'openssl']);
  const { env, text } = await redis();
  return { env, text: `${text} · promtool ${versionOf('promtool', '--version')}` };
}
