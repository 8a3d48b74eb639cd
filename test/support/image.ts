/**
 * The image `eventflow-redis:local`: this machine's own redis-server with the libraries it is linked to, so that the
 * tests meet a container without any registry.
 */
import { execFile, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type DockerEngine, findDocker, hasImage } from './docker.ts';

export const redisImage = 'eventflow-redis:local';

const run = promisify(execFile);

/** `ldd` prints `name => /path (address)`, and `/path (address)` for the loader. */
async function libraries(binary: string): Promise<readonly string[]> {
  const { stdout } = await run('ldd', [binary]);
  return [...stdout.matchAll(/(?:=> |^\s*)(\/\S+)/gm)].map(([, path = '']) => path);
}

async function copyInto(root: string, from: string, to: string): Promise<void> {
  await mkdir(join(root, dirname(to)), { recursive: true });
  await cp(await realpath(from), join(root, to));
}

/** Lays `program` and everything it is linked to under `root`, at the paths where the loader looks. */
async function install(root: string, program: string): Promise<void> {
  const { stdout } = await run('sh', ['-c', `command -v ${program}`]);
  const path = stdout.trim();
  await copyInto(root, path, `/usr/bin/${program}`);
  for (const library of await libraries(path)) await copyInto(root, library, library);
}

/** `tar | docker import`: an image of one layer. */
async function importFolder(root: string, image: string): Promise<void> {
  const tar = spawn('tar', ['-C', root, '-c', '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const changes = ['ENV PATH=/usr/bin', 'EXPOSE 6379', 'CMD ["redis-server", "--protected-mode", "no"]'];
  const flags = changes.flatMap((change) => ['--change', change]);
  const docker = spawn('docker', ['import', ...flags, '-', image], { stdio: [tar.stdout, 'ignore', 'inherit'] });
  const code = await new Promise<number | null>((resolve, reject) => {
    docker.on('error', reject);
    docker.on('close', resolve);
  });
  if (code !== 0) throw new Error(`expected \`docker import\` to make ${image}, got exit code ${code}`);
}

/** Makes the image unless the engine has it. Needs Linux, redis-server and the docker client. */
export async function ensureRedisImage(docker: DockerEngine, image = redisImage): Promise<void> {
  if (await hasImage(docker, image)) return;
  const root = await mkdtemp(join(tmpdir(), 'eventflow-image-'));
  try {
    for (const program of ['redis-server', 'redis-cli', 'sh']) await install(root, program);
    await importFolder(root, image);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const docker = await findDocker();
  if (docker === undefined) throw new Error('expected a Docker engine, got no answer on its socket: start dockerd');
  await ensureRedisImage(docker);
  console.log(`${redisImage} is there (Docker ${docker.version})`);
}
