/** How long `eventflow validate` takes for many pipelines, what memory it needs, and how both grow. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const cli = join(root, 'engine/cli/main.ts');

/** As platform teams write them: defaults and policies once, then routes with options of their own. */
const routeText = (at: number): string => `  - id: route-${at}
    on: [orders.v${at}.paid, "orders.v${at}.refunded.*"]
    when: event.data.total >= ${at} && has(event.data.customer)
    handler: webhook
    with:
      url: https://example.com/hooks/${at}
      body: '{"id": "{{ event.id }}", "total": {{ event.data.total }}}'
    retry: { use: patient, maxAttempts: ${3 + (at % 5)} }
`;

const pipelineText = (name: string, routes: number): string => `# ${name}
apiVersion: eventflow/v1
kind: Pipeline
name: ${name}
description: What happens to the orders of ${name}
labels: { team: team-${name} }
defaults: { timeout: 10s, retry: patient }
policies:
  retry:
    patient: { maxAttempts: 8, initialInterval: 1s, maxInterval: 5m }
routes:
${Array.from({ length: routes }, (_, at) => routeText(at)).join('')}`;

export interface ValidateReading {
  readonly pipelines: number;
  /** From the start of the process to its end. */
  readonly ms: number;
  /** The most memory that it had, MiB. */
  readonly mib: number;
}

const tellMemory =
  "data:text/javascript,process.on('exit',()=>process.stderr.write('\\n'+process.resourceUsage().maxRSS))";

async function validateOnce(folder: string): Promise<{ ms: number; mib: number }> {
  const started = performance.now();
  const flags = ['--conditions=eventflow-source', `--import=${tellMemory}`];
  const child = spawn(process.execPath, [...flags, cli, 'validate', folder], { cwd: root });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk));
  child.stdout.resume();
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(`expected the pipelines to be valid: ${errors}`);
  return { ms: performance.now() - started, mib: Number(errors.trim().split('\n').at(-1)) / 1024 };
}

/** `pipelines` files of `routes` routes each, `rounds` times; the fastest counts, since others may be at work besides. */
export async function measureValidate(pipelines: number, routes: number, rounds: number): Promise<ValidateReading> {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-validate-'));
  try {
    for (let at = 0; at < pipelines; at++) {
      await writeFile(join(folder, `p${at}.yaml`), pipelineText(`pipeline-${at}`, routes));
    }
    const readings = [];
    for (let round = 0; round < rounds; round++) readings.push(await validateOnce(folder));
    const ms = Math.min(...readings.map((reading) => reading.ms));
    return { pipelines, ms, mib: Math.max(...readings.map((reading) => reading.mib)) };
  } finally {
    await rm(folder, { recursive: true });
  }
}
