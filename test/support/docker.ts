/** What the Docker engine says, asked over its socket as Testcontainers asks it. */
import { request } from 'node:http';

export interface DockerEngine {
  readonly version: string;
  readonly socketPath: string;
}

/** The local socket of `DOCKER_HOST`, or the usual one. A remote engine is left to Testcontainers itself. */
export function dockerSocket(env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  const host = env['DOCKER_HOST'];
  if (host === undefined || host === '') return '/var/run/docker.sock';
  return host.startsWith('unix://') ? host.slice('unix://'.length) : undefined;
}

/** GET `path`; the status and the body, or undefined when nobody answers within 2 s. */
function ask(socketPath: string, path: string): Promise<{ status: number; body: string } | undefined> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path, timeout: 2_000 }, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => {
        body += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(undefined));
    asked.end();
  });
}

/** The engine, when one answers. */
export async function findDocker(): Promise<DockerEngine | undefined> {
  const socketPath = dockerSocket();
  if (socketPath === undefined) return undefined;
  const answer = await ask(socketPath, '/version');
  if (answer?.status !== 200) return undefined;
  const { Version } = JSON.parse(answer.body) as { Version: string };
  return { version: Version, socketPath };
}

export async function hasImage(docker: DockerEngine, image: string): Promise<boolean> {
  const answer = await ask(docker.socketPath, `/images/${encodeURIComponent(image)}/json`);
  return answer?.status === 200;
}
