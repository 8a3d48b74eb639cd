/** Formatting changes how a file looks and never what it says. */
import assert from 'node:assert/strict';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { formatText } from '../../engine/config/format.ts';
import { eventflow } from '../support/cli.ts';
import { fixtures, load } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'eventflow-format-'));
after(() => rmSync(folder, { recursive: true }));

async function format(text: string, name = 'a.yaml'): Promise<string> {
  const formatted = await formatText(text, name);
  assert.ok(formatted.ok, JSON.stringify(formatted));
  return formatted.text;
}

const untidy = `# about the file
kind:   Pipeline   # what
name: "orders"
apiVersion: eventflow/v1
routes:


    - handler: mailer   # the handler
      # why this type
      on: [ order.paid,order.refunded ]
      id: a
      with: {to: "a@b.c", port: 25}
      retry: {<<: *quick,maxAttempts: 4}
    # the second
    - {id: b, on: [${'order.paid, '.repeat(12)}order.refunded], handler: mailer, with: {to: '\${TO:-a@b.c}'}}

policies:
  retry: {standard: {jitter: none, maxAttempts: 3}}
x-quick: &quick
  maxAttempts: 3
  backoff: fixed
# the end
`
  .replace('x-quick: &quick\n  maxAttempts: 3\n  backoff: fixed\n', '')
  .replace(
    'apiVersion: eventflow/v1\n',
    'apiVersion: eventflow/v1\nx-quick: &quick\n  maxAttempts: 3\n  backoff: fixed\n',
  );

test('a blank line between two routes stays, and one in front of the first goes', async () => {
  const routes = (between: string): string => `routes:\n${between}  - id: a\n    on: [a]\n\n  - id: b\n    on: [b]\n`;
  assert.equal(await format(routes('\n')), routes(''));
});

test('fields come in the order of the schema, and comments stay where they belong', async () => {
  assert.equal(
    await format(untidy),
    `# about the file
apiVersion: eventflow/v1
kind: Pipeline # what
name: "orders"
x-quick: &quick
  maxAttempts: 3
  backoff: fixed

policies:
  retry: { standard: { maxAttempts: 3, jitter: none } }
routes:
  - id: a
    # why this type
    on: [order.paid, order.refunded]
    handler: mailer # the handler
    with: { to: "a@b.c", port: 25 }
    retry: { <<: *quick, maxAttempts: 4 }
  # the second
  - id: b
    on:
${'      - order.paid\n'.repeat(12)}      - order.refunded
    handler: mailer
    with: { to: '\${TO:-a@b.c}' }

# the end
`,
  );
});

test('a file whose anchors would come after their aliases keeps its order', async () => {
  const text = `policies:\n  retry: &all\n    standard: {}\nname: a\nx-z: *all\n`;
  assert.equal(await format(text), text);
});

test('settings are put in the order of their schema', async () => {
  assert.equal(
    await format(`log: {level: debug}\nbus:   'sqlite::memory:'\n`, 'ops/eventflow.yaml'),
    `bus: 'sqlite::memory:'\nlog: { level: debug }\n`,
  );
});

test('line ends of Windows stay, and a text that is no YAML is told about', async () => {
  assert.equal(await format('kind: Pipeline\r\napiVersion:  x\r\n'), 'apiVersion: x\r\nkind: Pipeline\r\n');
  const broken = await formatText('a: [', 'a.yaml');
  assert.ok(!broken.ok && broken.faults[0]?.code === 'EF1005');
});

const good = join(fixtures, 'good');
const seeds = readdirSync(good)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => readFileSync(join(good, name), 'utf8'));

/** Undefined: it does not load. */
const hashOf = async (text: string): Promise<string | undefined> => {
  for (const name of ['mail.liquid', 'order.paid.schema.json']) {
    writeFileSync(join(folder, name), readFileSync(join(good, name)));
  }
  writeFileSync(join(folder, 'one.yaml'), text);
  const result = await load(['one.yaml'], folder);
  return result.ok ? result.generation.hash : undefined;
};

/** Noise between the lines of a block: what people leave behind. */
const noise = ['', '', '# a comment', '#', '   # deep', '\t'];

test('formatted files mean the same, and formatting them again changes nothing', async () => {
  const lines = fc.array(fc.tuple(fc.nat(200), fc.constantFrom(...noise)), { maxLength: 8 });
  const spaces = fc.array(fc.nat(400), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...seeds), lines, spaces, async (seed, put, wide) => {
      const all = seed.split('\n');
      for (const [at, line] of put) all.splice(at % all.length, 0, line);
      const text = all.map((line, at) => (wide.includes(at) ? line.replace(/: (?=\S)/, ':   ') : line)).join('\n');
      const hash = await hashOf(text);
      // A comment in the middle of a text of several lines ends it, and what follows is no YAML.
      fc.pre(hash !== undefined);
      const formatted = await format(text);
      assert.equal(await format(formatted), formatted);
      assert.equal(await hashOf(formatted), hash);
      assert.deepEqual(commentsIn(formatted), commentsIn(text));
    }),
    { numRuns: 40 },
  );
});

const commentsIn = (text: string): string[] => (text.match(/(?<=^|\s)#.*$/gm) ?? []).map((one) => one.trim()).sort();

test('what is broken in other ways than its YAML is formatted all the same, once and for all', async () => {
  const bad = join(fixtures, 'bad');
  for (const name of readdirSync(bad).filter((file) => file.endsWith('.yaml'))) {
    const before = readFileSync(join(bad, name), 'utf8');
    const formatted = await formatText(before, name);
    if (!formatted.ok) continue;
    assert.deepEqual(await formatText(formatted.text, name), formatted, name);
  }
});

test('eventflow fmt prints, checks, shows and writes', async () => {
  const path = join(folder, 'cli.yaml');
  writeFileSync(path, untidy);
  const tidy = await format(untidy);
  const fmt = (...args: string[]) => eventflow(['fmt', ...args], { cwd: folder });
  assert.deepEqual(await fmt('cli.yaml'), { code: 0, stdout: tidy, stderr: '' });
  const check = await fmt('cli.yaml', '--check');
  assert.deepEqual([check.code, check.stdout], [1, 'cli.yaml\n']);
  assert.match((await fmt('cli.yaml', '--diff')).stdout, /^- kind: {3}Pipeline {3}# what$/m);
  assert.equal(readFileSync(path, 'utf8'), untidy);
  assert.deepEqual(await fmt('cli.yaml', '--write'), {
    code: 0,
    stdout: 'cli.yaml\n',
    stderr: '1 file of 1 written anew\n',
  });
  assert.equal(readFileSync(path, 'utf8'), tidy);
  assert.deepEqual(await fmt('cli.yaml', '--check'), { code: 0, stdout: '', stderr: '' });
  const stdin = await eventflow(['fmt', '-'], { cwd: folder, input: untidy });
  assert.equal(stdin.stdout, tidy);
  writeFileSync(path, 'a: [');
  const broken = await fmt('cli.yaml', '--write');
  assert.equal(broken.code, 1);
  assert.match(broken.stderr, /cli\.yaml:1:5: error EF1005/);
  assert.equal(readFileSync(path, 'utf8'), 'a: [');
});

test('eventflow fmt says where a file with line ends of Windows is broken, as validate does', async () => {
  writeFileSync(join(folder, 'crlf.yaml'), '\ufeffkind: Pipeline\r\nname: a\r\nroutes:\r\n  - id: x\r\n  on: [\r\n');
  const run = (command: string) => eventflow([command, 'crlf.yaml'], { cwd: folder });
  const places = (text: string): string[] => text.match(/^crlf\.yaml:\d+:\d+: error .*$/gm) ?? [];
  const [formatted, validated] = [await run('fmt'), await run('validate')];
  assert.notDeepEqual(places(formatted.stderr), []);
  assert.deepEqual(places(formatted.stderr), places(validated.stdout));
});

test('eventflow fmt --write leaves links as they are, and writes what they lead to', async () => {
  mkdirSync(join(folder, 'real'));
  writeFileSync(join(folder, 'real/a.yaml'), untidy);
  symlinkSync('real/a.yaml', join(folder, 'link.yaml'));
  const { stdout } = await eventflow(['fmt', '--write', 'link.yaml'], { cwd: folder });
  assert.equal(stdout, 'link.yaml\n');
  assert.ok(lstatSync(join(folder, 'link.yaml')).isSymbolicLink());
  assert.equal(readFileSync(join(folder, 'real/a.yaml'), 'utf8'), await format(untidy));
  assert.deepEqual(readdirSync(join(folder, 'real')), ['a.yaml']);
});

test('eventflow fmt has nowhere to write what comes from stdin', async () => {
  const { code, stdout, stderr } = await eventflow(['fmt', '-', '--write'], { cwd: folder, input: untidy });
  assert.deepEqual([code, stdout], [2, '']);
  assert.match(stderr, /^error: expected files to write, got - with --write/);
});
