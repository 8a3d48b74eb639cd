/** `eventflow plan` as people and pipelines of CI call it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Plan } from '../../engine/operations/index.ts';
import { eventflow } from '../support/cli.ts';
import { spawnEngine } from '../support/engine-process.ts';

const root = join(import.meta.dirname, '../..');

const shop = (more = '', head = ''): string =>
  `apiVersion: eventflow/v1\nkind: Pipeline\nname: shop\n${head}routes:\n  - { id: quick, on: [order.paid], handler: noop }\n${more}`;
const audit = '  - { id: audit, on: [order.paid], handler: log }\n';

/** Inside of the checkout, since plugins are looked for from where the command is started. */
async function folder(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'eventflow-plan-'));
  t.after(() => rm(made, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(made, name, '..'), { recursive: true });
    await writeFile(join(made, name), text);
  }
  return made;
}

const plan = (args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd = root) =>
  eventflow(['plan', ...args], { cwd, env });

test('two folders: 0 when nothing would change, 3 when something would, 1 when one is wrong', async (t) => {
  const made = await folder(t, {
    'a/shop.yaml': shop(),
    'b/shop.yaml': shop(audit),
    'c/shop.yaml': shop('').replace('noop', 'nope'),
  });
  const compare = (from: string, to: string, ...more: string[]) =>
    plan(['--from', join(made, from), '--to', join(made, to), ...more]);

  const same = await compare('a', 'a');
  assert.deepEqual([same.code, same.stderr], [0, '']);
  assert.match(same.stdout, /^no changes: /);

  const more = await compare('a', 'b');
  assert.equal(more.code, 3);
  assert.match(more.stdout, /^\+ shop\.audit {2}shop\.yaml:6$/m);
  assert.match(more.stdout, /^routes: 1 added, 1 unchanged$/m);

  const json = await compare('b', 'a', '--json');
  const told = JSON.parse(json.stdout) as Plan;
  assert.deepEqual([told.version, told.ok, told.changes, told.asked], [1, true, true, false]);
  assert.deepEqual(told.summary, { added: 0, changed: 0, renamed: 0, removed: 1, unchanged: 1 });

  const markdown = await compare('a', 'b', '--markdown');
  assert.match(markdown.stdout, /^### EventFlow plan: routes: 1 added, 1 unchanged$/m);
  assert.match(markdown.stdout, /^#### ➕ `shop\.audit` added$/m);

  const wrong = await compare('a', 'c');
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /shop\.yaml:5:\d+: error EF2010 .*nope/);
});

test('references that have no value stand for themselves in what is only compared', async (t) => {
  const hook = (url: string, more = ''): string =>
    shop(`  - { id: hook, on: [order.paid], handler: webhook, ${more} with: { url: "${url}" } }\n`);
  const made = await folder(t, {
    'a/shop.yaml': hook('${NO_SUCH_URL}'),
    'b/shop.yaml': hook('${NO_SUCH_URL_EITHER}'),
    'c/shop.yaml': hook('${NO_SUCH_URL}', 'timeout: "${NO_SUCH_TIME}",'),
  });
  const changed = await plan(['--from', join(made, 'a'), '--to', join(made, 'b'), '--json']);
  assert.equal(changed.code, 3, changed.stderr);
  const [route] = (JSON.parse(changed.stdout) as Plan).routes;
  assert.deepEqual(route?.fields, [{ path: 'with.url', before: '${NO_SUCH_URL}', after: '${NO_SUCH_URL_EITHER}' }]);
  const unknown = await plan(['--from', join(made, 'a'), '--to', join(made, 'c')]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /error EF1013 routes\[1\]\.timeout: expected a value, got \$\{NO_SUCH_TIME\}/);
  const known = await plan(['--from', join(made, 'a'), '--to', join(made, 'c')], { NO_SUCH_TIME: '3s' });
  assert.equal(known.code, 3, known.stderr);
});

test('revisions of git: the work tree and the index stay as they are', async (t) => {
  const made = await folder(t, {
    'deploy/pipelines/shop.yaml': shop(),
    'deploy/eventflow.yaml': 'log: { level: info }\n',
  });
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
      cwd: made,
      encoding: 'utf8',
    });
  git('init', '-q', '-b', 'main');
  git('add', '.');
  git('commit', '-q', '-m', 'one');
  await writeFile(join(made, 'deploy/pipelines/shop.yaml'), shop(audit));
  await writeFile(join(made, 'deploy/eventflow.yaml'), 'log: { level: debug }\n');
  git('commit', '-q', '-a', '-m', 'two');
  await writeFile(join(made, 'deploy/pipelines/shop.yaml'), shop(`${audit}${audit.replace('audit', 'more')}`));
  const status = git('status', '--porcelain');
  // The plugins of the checkout, from wherever the command is started.
  await mkdir(join(made, 'node_modules'), { recursive: true });
  execFileSync('ln', ['-s', join(root, 'node_modules/@eventflow'), join(made, 'node_modules/@eventflow')]);
  const deploy = join(made, 'deploy');
  const routesOf = async (...args: string[]): Promise<readonly string[]> => {
    const { code, stdout, stderr } = await plan([...args, '--json'], {}, deploy);
    assert.equal(code, 3, stderr);
    return (JSON.parse(stdout) as Plan).routes.map(({ action, group }) => `${action} ${group}`);
  };
  assert.deepEqual(await routesOf('--from-git', 'main~1', '--to-git', 'main'), ['add shop.audit']);
  assert.deepEqual(await routesOf('--from-git', 'main'), ['add shop.more']);
  assert.deepEqual(await routesOf('--from-git', 'main~1', 'pipelines/shop.yaml'), ['add shop.audit', 'add shop.more']);
  const settings = await plan(['--from-git', 'main~1', '--to-git', 'main'], {}, deploy);
  assert.match(settings.stdout, /log\.level {2}"info" → "debug"/);
  assert.equal(git('status', '--porcelain').replace('?? node_modules/\n', ''), status);
  for (const revision of ['no-such-branch', '--help', 'HEAD:deploy']) {
    const unknown = await plan([`--from-git=${revision}`], {}, deploy);
    assert.equal(unknown.code, 2, revision);
    assert.match(unknown.stderr, /expected a revision of git, got/);
  }
});

/** A repository with one commit and the plugins of the checkout, and how its work tree is compared with that commit. */
async function repository(t: TestContext, files: Readonly<Record<string, string>>) {
  const made = await folder(t, files);
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
      cwd: made,
      encoding: 'utf8',
    });
  git('init', '-q', '-b', 'main');
  git('add', '.');
  git('commit', '-q', '--allow-empty', '-m', 'one');
  await mkdir(join(made, 'node_modules'), { recursive: true });
  execFileSync('ln', ['-s', join(root, 'node_modules/@eventflow'), join(made, 'node_modules/@eventflow')]);
  const write = async (name: string, text: string): Promise<void> => {
    await mkdir(join(made, name, '..'), { recursive: true });
    await writeFile(join(made, name), text);
  };
  const compare = (args: readonly string[] = [], env: Readonly<Record<string, string>> = {}, at = '') =>
    plan(['--from-git', 'main', ...args], env, join(made, at));
  return { write, compare };
}

test('a revision without pipelines, whatever else it holds, is one that has none', async (t) => {
  for (const files of [{}, { 'docker-compose.yml': 'services: {}\n' }]) {
    const { write, compare } = await repository(t, files);
    await write('pipelines/shop.yaml', shop());
    for (const args of [[], ['pipelines/shop.yaml'], ['pipelines/*.yaml']]) {
      const { code, stdout, stderr } = await compare([...args, '--json']);
      assert.equal(code, 3, stderr);
      const told = JSON.parse(stdout) as Plan;
      assert.deepEqual(
        [told.fromProblems, told.routes.map(({ action, group }) => `${action} ${group}`)],
        [undefined, ['add shop.quick']],
      );
    }
    await write('deploy/pipelines/shop.yaml', shop(audit));
    const below = await compare([], {}, 'deploy');
    assert.equal(below.code, 3, below.stderr);
    assert.match(below.stdout, /^routes: 2 added, 0 unchanged/m);
  }
});

test('a work tree without pipelines is wrong, and is named as people know it', async (t) => {
  const { compare } = await repository(t, { 'docker-compose.yml': 'services: {}\n' });
  const { code, stderr } = await compare();
  assert.equal(code, 1);
  assert.match(stderr, /^error: the work tree is wrong\n\npipelines:1:1: error EF\d+ /m);
  assert.doesNotMatch(stderr, /docker-compose|eventflow-plan-\w+\/(from|to)-/);
});

test('a change that mends what was there before is planned, and what was wrong is told first', async (t) => {
  const broken = shop().replace('noop', 'nope').replace('name: shop', 'name: shop\ndescription: "${SIGNING}"');
  const { write, compare } = await repository(t, { 'pipelines/shop.yaml': broken });
  const stillBroken = await compare();
  assert.equal(stillBroken.code, 1);
  assert.match(stillBroken.stderr, /^error: the work tree is wrong\n/);

  await write('pipelines/shop.yaml', shop());
  const env = { SIGNING: 'hushhush-signing' };
  const text = await compare([], env);
  assert.equal(text.code, 3, text.stderr);
  assert.match(
    text.stdout,
    /^what was there before cannot be read: .*\n\npipelines\/shop\.yaml:\d+:\d+: error EF2010 /,
  );
  assert.match(text.stdout, /^routes: 1 added, 0 unchanged/m);
  const markdown = await compare(['--markdown'], env);
  assert.match(
    markdown.stdout,
    /^### EventFlow plan: .*\n\n.*\n\n.*what was there before cannot be read: .*\n\n```text\npipelines\/shop\.yaml:/,
  );
  const json = await compare(['--json'], env);
  const told = JSON.parse(json.stdout) as Plan;
  assert.match(told.fromProblems?.join() ?? '', /error EF2010/);
  assert.deepEqual([told.ok, told.from.hash, told.summary.added], [true, '', 1]);
  for (const { stdout } of [text, markdown, json]) {
    assert.doesNotMatch(stdout, /hushhush|eventflow-plan-\w+\/(from|to)-/);
  }
});

test('a change that takes a plugin out, which is not installed any more, is planned', async (t) => {
  const settings = (more: string): string => `plugins: ["@eventflow/plugin-log"${more}]\nlog: { level: info }\n`;
  const { write, compare } = await repository(t, {
    'eventflow.yaml': settings(', eventflow-plugin-gone'),
    'pipelines/shop.yaml': shop().replace('noop', 'log'),
  });
  await write('eventflow.yaml', settings(''));
  const { code, stdout, stderr } = await compare();
  assert.equal(code, 3, stderr);
  assert.match(stdout, /^what was there before cannot be read: .*\n\neventflow\.yaml:1:\d+: error EF3001 plugins\[1\]/);
  assert.match(stdout, /^\+ shop\.quick /m);
});

test('a running engine is asked about its own files and about others, and 69 says that there is none', async (t) => {
  const made = await folder(t, { 'live/shop.yaml': shop(), 'next/live/shop.yaml': shop(audit) });
  const bus = `sqlite:${join(made, 'bus.db')}`;
  const nobody = await plan([], { EVENTFLOW_BUS: bus, EVENTFLOW_HTTP_ADMIN_LISTEN: '127.0.0.1:1' });
  assert.equal(nobody.code, 69, nobody.stderr);
  assert.match(nobody.stderr, /EF6021 expected an engine's admin listener at http:\/\/127\.0\.0\.1:1/);

  const engine = await spawnEngine(['--bus', bus, '--pipelines', join(made, 'live'), '--no-watch'], {}, { cwd: root });
  t.after(() => engine.stop());
  const env = { EVENTFLOW_BUS: bus };
  assert.equal((await plan([], env)).code, 0);
  await writeFile(join(made, 'live/shop.yaml'), shop(audit));
  const found = await plan([], env);
  assert.equal(found.code, 3, found.stderr);
  assert.match(found.stdout, /^generation 1 → its files$/m);
  assert.match(found.stdout, /^\+ shop\.audit/m);
  const asked = await plan(['--url', engine.admin, '--json']);
  assert.equal((JSON.parse(asked.stdout) as Plan).asked, true);

  await writeFile(join(made, 'live/shop.yaml'), shop().replace('noop', 'nope'));
  const wrong = await plan([], env);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stdout, /error EF2010/);
});

test('two folders are compared with the work of a bus that is named', async (t) => {
  const made = await folder(t, { 'a/shop.yaml': shop(), 'b/shop.yaml': shop().replace('noop', 'log') });
  const bus = `sqlite:${join(made, 'bus.db')}`;
  const engine = await spawnEngine(['--bus', bus, '--pipelines', join(made, 'a'), '--no-watch'], {}, { cwd: root });
  t.after(() => engine.stop());
  const compared = await plan(['--from', join(made, 'a'), '--to', join(made, 'b'), '--bus', bus, '--json']);
  assert.equal(compared.code, 3, compared.stderr);
  const [route] = (JSON.parse(compared.stdout) as Plan).routes;
  assert.deepEqual([route?.group, route?.live?.waiting, route?.consumerGroup], ['shop.quick', 0, 'keep']);
});

test('files are sent to an engine that has others, without the secret files that they name', async (t) => {
  const secret =
    '  - { id: hook, on: [order.paid], handler: webhook, with: { url: "https://example.com/", auth: { bearer: "${file:token}" } } }\n';
  const made = await folder(t, {
    'live/shop.yaml': shop(),
    'here/live/shop.yaml': shop(audit),
    'here/live/token': 'hushhush',
  });
  const engine = await spawnEngine(
    ['--bus', 'sqlite::memory:', '--pipelines', join(made, 'live'), '--no-watch'],
    {},
    { cwd: root },
  );
  t.after(() => engine.stop());
  await mkdir(join(made, 'here/node_modules'), { recursive: true });
  execFileSync('ln', ['-s', join(root, 'node_modules/@eventflow'), join(made, 'here/node_modules/@eventflow')]);
  const sent = await plan(['live', '--url', engine.admin, '--json'], {}, join(made, 'here'));
  assert.equal(sent.code, 3, sent.stderr);
  assert.deepEqual(
    (JSON.parse(sent.stdout) as Plan).routes.map(({ action, group }) => `${action} ${group}`),
    ['add shop.audit'],
  );
  await writeFile(join(made, 'here/live/shop.yaml'), shop(secret));
  const refused = await plan(['live', '--url', engine.admin], {}, join(made, 'here'));
  assert.equal(refused.code, 1, refused.stderr);
  assert.match(refused.stdout, /what runs does not read it/);
  assert.doesNotMatch(refused.stdout + refused.stderr, /hushhush/);
});

test('flags that do not go together are usage', async () => {
  for (const args of [
    ['--from', '.', '--from-git', 'main'],
    ['--to', '.'],
    ['--to-git', 'main'],
    ['--from', '.', '--to', '.', '--to-git', 'main'],
    ['--from', '.', 'x'],
    ['--from', 'no-such-folder'],
    ['--nope'],
  ]) {
    const { code, stderr } = await plan(args);
    assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
  }
});
