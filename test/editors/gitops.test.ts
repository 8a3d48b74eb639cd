/** The repository in examples/gitops, in git: its workflow and its hooks let good changes through and stop bad ones. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFile, chmod, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { parse } from 'yaml';
import { commandsOf } from '../repo/markdown.ts';
import { root, textOf } from '../repo/sources.ts';
import { temporaryFolder } from '../support/children.ts';

const example = join(root, 'examples/gitops');

/** What a runner has: npm installs what is in this checkout, npx finds it, and gh keeps what it is told to post. */
const programs: Readonly<Record<string, string>> = {
  npm: `ln -sfn ${join(root, 'node_modules')} node_modules`,
  npx: 'exec "$@"',
  eventflow: `exec ${process.execPath} --conditions=eventflow-source ${join(root, 'engine/cli/main.ts')} "$@"`,
  gh: 'test -z "$READ_ONLY" || { echo "HTTP 403: Resource not accessible by integration" >&2; exit 1; }; echo "$@" > "$POSTED"',
};

interface Step {
  readonly name?: string;
  readonly uses?: string;
  readonly if?: string;
  readonly run?: string;
  readonly env?: Readonly<Record<string, string>>;
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

let place: Awaited<ReturnType<typeof temporaryFolder>>;
/** The repository with its first commit, made once; each test works on a copy. */
let origin = '';
let folder = '';
let base = '';

function sh(command: string, cwd: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const kept = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(EVENTFLOW|GIT)_/.test(name)));
  const identity = {
    ...{ GIT_AUTHOR_NAME: 'You', GIT_AUTHOR_EMAIL: 'you@shop.example', GIT_COMMITTER_NAME: 'You' },
    ...{ GIT_COMMITTER_EMAIL: 'you@shop.example', GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' },
  };
  const PATH = `${join(place.path, 'bin')}${delimiter}${process.env['PATH']}`;
  // As GitHub runs a step.
  const child = spawn('bash', ['-e', '-c', command], {
    cwd,
    env: { ...kept, ...identity, NO_COLOR: '1', PATH, ...env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
}

async function must(command: string, cwd = folder): Promise<string> {
  const { code, output } = await sh(command, cwd);
  assert.equal(code, 0, `${command}: ${output}`);
  return output;
}

before(async () => {
  place = await temporaryFolder('eventflow-gitops-');
  const bin = join(place.path, 'bin');
  await mkdir(bin);
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(bin, name), 0o755);
  }
  origin = join(place.path, 'origin');
  await cp(example, origin, {
    recursive: true,
    filter: (path) => !/\/(node_modules|\.eventflow|monitoring)$/.test(path),
  });
  // What the README says to do first.
  for (const { words } of commandsOf(textOf('examples/gitops/README.md'))) await must(words.join(' '), origin);
  await must('git init --quiet --initial-branch=main && git add . && git rm --quiet --cached node_modules', origin);
  await must('git commit --quiet --message "The first pipelines"', origin);
});
after(() => place.remove());

beforeEach(async () => {
  folder = join(place.path, 'work');
  await cp(origin, folder, { recursive: true, verbatimSymlinks: true });
  base = (await must('git rev-parse HEAD')).trim();
});
afterEach(() => rm(folder, { recursive: true }));

const edit = async (file: string, from: string, to: string): Promise<void> => {
  const text = await readFile(join(folder, file), 'utf8');
  assert.ok(text.includes(from), `${file} says ${from}`);
  await writeFile(join(folder, file), text.replace(from, to));
};

const commit = (): Promise<string> => must('git commit --quiet --all --no-verify --message "A change"');

const workflow = parse(textOf('examples/gitops/.github/workflows/pipelines.yaml')) as {
  readonly jobs: { readonly check: { readonly steps: readonly Step[] } };
};

/** What GitHub puts in place of its expressions for a pull request. */
const expressions: Readonly<Record<string, () => string>> = {
  'github.event.pull_request.base.sha': () => base,
  'github.event.pull_request.number': () => '7',
  'github.token': () => 'token',
};

const filled = (text: string): string =>
  text.replace(/\$\{\{\s*(.*?)\s*\}\}/g, (_, expression: string) => {
    const value = expressions[expression];
    assert.ok(value !== undefined, `an expression that the test knows: ${expression}`);
    return value();
  });

interface Report {
  /** The names of the steps that failed; GitHub would stop at the first one. */
  readonly failed: readonly string[];
  readonly outputs: Readonly<Record<string, string>>;
}

/** The steps of these names [all with a command], also behind one that failed; none needs another but the first. */
async function check(...names: readonly string[]): Promise<Report> {
  return checkWith({}, ...names);
}

async function checkWith(more: Readonly<Record<string, string>>, ...names: readonly string[]): Promise<Report> {
  const files = { GITHUB_STEP_SUMMARY: join(place.path, 'summary.md'), POSTED: join(place.path, 'posted') };
  const take = async ({ name = '', run = '', env = {} }: Step): Promise<Ended & { readonly name: string }> => {
    const given = Object.fromEntries(Object.entries(env).map(([key, value]) => [key, filled(value)]));
    return { name, ...(await sh(filled(run), folder, { ...given, ...files, ...more })) };
  };
  const [install = {}, ...steps] = workflow.jobs.check.steps
    .filter(({ run }) => run !== undefined)
    .filter(({ name = '' }) => names.length === 0 || name === 'Install' || names.includes(name));
  const ended = [await take(install), ...(await Promise.all(steps.map(take)))];
  return {
    failed: ended.flatMap(({ name, code }) => (code === 0 ? [] : [name])),
    outputs: Object.fromEntries(ended.map(({ name, output }) => [name, output])),
  };
}

test('the workflow has a step for everything, with the actions that it needs', () => {
  const { steps } = workflow.jobs.check;
  assert.deepEqual(
    steps.flatMap(({ name, run }) => (run === undefined ? [] : [name])),
    ['Install', 'Validate', 'Format', 'Test', 'Generated files', 'Plan'],
  );
  assert.deepEqual(
    steps.flatMap(({ uses }) => uses?.replace(/@v\d+$/, '') ?? []),
    ['actions/checkout', 'actions/setup-node'],
  );
});

test('a good change passes, and its plan is posted', async () => {
  await edit('pipelines/orders.yaml', 'maxAttempts: 8', 'maxAttempts: 12');
  await must('npx eventflow generate all --out monitoring');
  await must('git add .');
  await commit();
  const { failed, outputs } = await check();
  assert.deepEqual(failed, [], JSON.stringify(outputs));
  const plan = await readFile(join(folder, 'plan.md'), 'utf8');
  assert.match(plan, /orders\.warehouse/);
  assert.match(plan, /8.*12/);
  assert.equal(await readFile(join(place.path, 'summary.md'), 'utf8'), plan);
  assert.equal(
    await readFile(join(place.path, 'posted'), 'utf8'),
    'pr comment 7 --body-file plan.md --edit-last --create-if-none\n',
  );
});

test('a change of nothing has a plan too', async () => {
  await appendFile(join(folder, 'README.md'), '\nOurs.\n');
  await commit();
  const { failed, outputs } = await check('Plan');
  assert.deepEqual(failed, [], JSON.stringify(outputs));
});

test('the first pipelines, and those that mend a broken base, have a plan', async () => {
  await must('git rm --quiet -r --cached pipelines && git commit --quiet --no-verify --message "None yet"');
  base = (await must('git rev-parse HEAD')).trim();
  await must('git add pipelines');
  await commit();
  const first = await check('Plan');
  assert.deepEqual(first.failed, [], JSON.stringify(first.outputs));
  assert.match(await readFile(join(folder, 'plan.md'), 'utf8'), /`accounts\.crm` added/);

  await edit('pipelines/orders.yaml', 'handler: webhook', 'handler: webhok');
  await commit();
  base = (await must('git rev-parse HEAD')).trim();
  await edit('pipelines/orders.yaml', 'handler: webhok', 'handler: webhook');
  await commit();
  const mended = await check('Plan');
  assert.deepEqual(mended.failed, [], JSON.stringify(mended.outputs));
  assert.match(await readFile(join(folder, 'plan.md'), 'utf8'), /what was there before cannot be read: [\s\S]*EF2010/);
});

test('a token that may only read does not fail a pull request: the plan is in the summary', async () => {
  await rm(join(place.path, 'posted'), { force: true });
  await rm(join(place.path, 'summary.md'), { force: true });
  await edit('pipelines/orders.yaml', 'maxAttempts: 8', 'maxAttempts: 12');
  await commit();
  const { failed, outputs } = await checkWith({ READ_ONLY: '1' }, 'Plan');
  assert.deepEqual(failed, [], JSON.stringify(outputs));
  assert.match(outputs['Plan'] ?? '', /^::warning title=Plan::/m);
  assert.match(await readFile(join(place.path, 'summary.md'), 'utf8'), /orders\.warehouse/);
  await assert.rejects(readFile(join(place.path, 'posted')), { code: 'ENOENT' });
});

test('a broken pipeline fails with an annotation at its line', async () => {
  await edit('pipelines/orders.yaml', 'handler: webhook', 'handler: webhok');
  await commit();
  const { failed, outputs } = await check();
  assert.ok(failed.includes('Validate') && failed.includes('Plan'), failed.join());
  const line = textOf('examples/gitops/pipelines/orders.yaml').split('\n').indexOf('    handler: webhook') + 1;
  assert.match(
    outputs['Validate'] ?? '',
    new RegExp(`^::error file=pipelines/orders\\.yaml,line=${line},col=14,`, 'm'),
  );
});

test('a test that fails and a file that is not formatted each fail their own step', async () => {
  await edit('pipelines/orders.yaml', '{{ event.type }} {{ event.data.order_id }}', '{{ event.type }}');
  await edit('pipelines/accounts.yaml', 'labels: { team: growth }', 'labels: {team:   growth}');
  await commit();
  const { failed, outputs } = await check('Validate', 'Format', 'Test', 'Plan');
  assert.deepEqual(failed, ['Format', 'Test']);
  assert.match(outputs['Test'] ?? '', /expected "order\.refunded o-1"/);
  assert.match(outputs['Format'] ?? '', /pipelines\/accounts\.yaml/);
});

test('dashboards that do not fit the pipelines any more fail', async () => {
  await edit(
    'pipelines/accounts.yaml',
    'routes:\n',
    'routes:\n  - id: audit\n    on: [account.**]\n    handler: log\n\n',
  );
  await commit();
  const { failed, outputs } = await check('Validate', 'Format', 'Generated files');
  assert.deepEqual(failed, ['Generated files']);
  assert.match(outputs['Generated files'] ?? '', /^monitoring\/.*\(changed\)$/m);
});

test('schemas that do not know the plugins any more fail', async () => {
  await edit(
    'eventflow.yaml',
    '  - "@eventflow/plugin-log"\n',
    '  - "@eventflow/plugin-log"\n  - "@eventflow/plugin-analytics"\n',
  );
  await commit();
  const { failed, outputs } = await check('Generated files');
  assert.deepEqual(failed, ['Generated files']);
  assert.match(outputs['Generated files'] ?? '', /\.eventflow\/schema\.json \(out of date\)/);
});

test('the hook refuses a commit that would fail, and takes one that would not', async () => {
  await must('git config core.hooksPath hooks');
  await edit('pipelines/orders.yaml', 'handler: webhook', 'handler: webhok');
  const refused = await sh('git commit --quiet --all --message broken', folder);
  assert.notEqual(refused.code, 0);
  assert.match(refused.output, /did you mean "webhook"\?/);
  await edit('pipelines/orders.yaml', 'handler: webhok', 'handler: webhook');
  await edit('pipelines/orders.yaml', 'timeout: 10s', 'timeout: 12s');
  await must('npx eventflow generate all --out monitoring && git commit --quiet --all --message good');
  await appendFile(join(folder, 'README.md'), '\nOurs.\n');
  const untouched = await sh('git commit --quiet --all --message words', folder);
  assert.deepEqual(untouched, { code: 0, output: '' }, 'nothing runs for other files');
});

/** Without what only says how findings are printed. */
const checksIn = (text: string): readonly string[] =>
  [...text.matchAll(/npx eventflow (?!plan )(.*)/g)].map(([, command = '']) => command.replace('--output github ', ''));

test('both hooks check what the workflow checks', () => {
  const [ci = [], ...hooks] = [
    'examples/gitops/.github/workflows/pipelines.yaml',
    'examples/gitops/hooks/pre-commit',
    'examples/gitops/.pre-commit-config.yaml',
  ].map((file) => checksIn(textOf(file)));
  assert.ok(ci.includes('validate --deny-warnings') && ci.includes('schema --vscode --check'), ci.join());
  assert.deepEqual(hooks, [ci, ci]);
});

test('each hook for pre-commit passes on what is good and fails on what it is for', async () => {
  const { repos } = parse(textOf('examples/gitops/.pre-commit-config.yaml')) as {
    readonly repos: readonly {
      readonly hooks: readonly { readonly id: string; readonly entry: string; readonly files: string }[];
    }[];
  };
  const hooks = repos.flatMap((repo) => repo.hooks);
  const run = async (): Promise<readonly string[]> => {
    const ended = await Promise.all(hooks.map(async ({ id, entry }) => ({ id, ...(await sh(entry, folder)) })));
    return ended.filter(({ code }) => code !== 0).map(({ id }) => id);
  };
  assert.deepEqual(await run(), []);
  for (const { id, files } of hooks) {
    assert.match('eventflow.yaml', new RegExp(files));
    assert.match(id === 'eventflow-schema' ? 'package-lock.json' : 'pipelines/orders.yaml', new RegExp(files));
    assert.doesNotMatch('README.md', new RegExp(files));
  }
  await edit('pipelines/orders.yaml', '    handler: log', '    handler: lug');
  assert.ok((await run()).includes('eventflow-validate'));
  await edit('pipelines/orders.yaml', '    handler: lug', '    handler:   log');
  assert.deepEqual(await run(), ['eventflow-fmt']);
});

test('what is generated is in git after the first steps, and the bus is not', async () => {
  const known = (await must('git ls-files')).split('\n');
  for (const file of ['.eventflow/schema.json', '.vscode/settings.json']) assert.ok(known.includes(file), file);
  assert.ok(known.some((file) => /^monitoring\/dashboards\/.*\.json$/.test(file)));
  assert.ok((await readdir(join(folder, 'monitoring'))).includes('alerts'));
  for (const name of ['bus.db', 'last-good.json']) await writeFile(join(folder, '.eventflow', name), '');
  assert.equal(await must('git status --porcelain -- .eventflow'), '');
});
