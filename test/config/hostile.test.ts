/** Files that are made to do harm: refused with a place, in bounded time and memory, while the process goes on. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { after, test } from 'node:test';
import { formatDiagnostic } from '../../engine/config/index.ts';
import { parse } from '../../engine/config/parser.ts';
import { plain } from '../../engine/config/tree.ts';
import { hostileTexts } from './hostile.ts';
import { load, said } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'eventflow-hostile-'));
after(() => rmSync(folder, { recursive: true }));

const file = (name: string, content: string | Buffer): string => {
  writeFileSync(join(folder, name), content);
  return name;
};

async function headline(path: string): Promise<string> {
  const result = await load([path], folder);
  assert.ok(!result.ok, path);
  return said(result).split('\n')[0] ?? '';
}

const head = 'apiVersion: eventflow/v1\nkind: Pipeline\nname: a\n';
const whole = `${head}routes:\n  - id: x\n    on: [a]\n    handler: mailer\n    with: { to: a@b.c }\n`;

test('what cannot be a pipeline file is refused in one line each', async () => {
  file('large.yaml', '');
  truncateSync(join(folder, 'large.yaml'), 100 * 1024 * 1024);
  execFileSync('mkfifo', [join(folder, 'pipe.yaml')]);
  symlinkSync('circle-b.yaml', join(folder, 'circle-a.yaml'));
  symlinkSync('circle-a.yaml', join(folder, 'circle-b.yaml'));
  file('latin1.yaml', Buffer.from(`${head}description: caf\xe9\n`, 'latin1'));
  file('nul.yaml', `${head}description: a\0b\n`);
  const table: [string, string][] = [
    ['large.yaml', 'large.yaml:1:1: error EF1002 expected at most 262144 bytes, got 104857600 bytes'],
    ['pipe.yaml', 'pipe.yaml:1:1: error EF1001 expected a readable file, got: it is no regular file'],
    ['/dev/zero', '/dev/zero:1:1: error EF1001 expected a readable file, got: it is no regular file'],
    ['circle-a.yaml', 'circle-a.yaml:1:1: error EF1001 expected a readable file, got: symbolic links in a circle'],
    ['latin1.yaml', 'latin1.yaml:1:1: error EF1003 expected text in UTF-8, got other bytes'],
    ['nul.yaml', 'nul.yaml:4:15: error EF1003 expected text, got a NUL byte'],
  ];
  for (const [path, line] of table) assert.equal(await headline(path), line);
});

test('a folder that links to itself is read once', async () => {
  symlinkSync('.', join(folder, 'itself'));
  rmSync(join(folder, 'circle-a.yaml'), { force: true });
  const result = await load(['.'], folder);
  assert.ok(result.files.every((path) => !path.includes('itself')));
});

test('a byte order mark and line ends of Windows change neither meaning nor places', async () => {
  const unix = await load([file('unix.yaml', whole)], folder);
  const windows = await load([file('windows.yaml', `\ufeff${whole.replaceAll('\n', '\r\n')}`)], folder);
  assert.ok(unix.ok && windows.ok);
  assert.equal(windows.generation.hash, unix.generation.hash);
  const broken = whole.replace('id: x', 'id: X!').replaceAll('\n', '\r\n');
  assert.match(await headline(file('bom.yaml', `\ufeff${broken}`)), /^bom\.yaml:5:9: error EF2006 routes\[0\]\.id/);
  assert.match(await headline(file('first.yaml', `\ufeffapi: 1\n`)), /^first\.yaml:1:1: /);
});

for (const [name, text] of Object.entries(hostileTexts)) {
  test(`${name}: answered, with few problems, and the event loop goes on`, async () => {
    const delay = monitorEventLoopDelay({ resolution: 5 });
    const path = file('hostile.yaml', text);
    delay.enable();
    const result = await load([path], folder, { A: 'x'.repeat(1_000) });
    const problems = result.ok ? result.warnings : result.diagnostics;
    for (const problem of problems) formatDiagnostic(problem, result.sources.get(problem.file));
    delay.disable();
    assert.ok(result.ok || problems.length > 0);
    assert.ok(problems.length <= 101);
    const lines = text.split('\n').length;
    for (const { line, column, message } of problems) {
      assert.ok(line >= 1 && line <= lines && column >= 1, message);
      assert.ok(message.length < 2_000, message.slice(0, 200));
    }
    // Wide, for a machine that has more to do; what blocks takes seconds.
    assert.ok(delay.max / 1e6 < 1_000, `the loop stood for ${Math.round(delay.max / 1e6)} ms`);
  });
}

test('a text that takes too long is given up, and the next one is read', async () => {
  const text = `${head}description: |\n${'\n'.repeat(200_000)}`;
  const { tree, faults } = await parse(text, 1);
  assert.equal(tree, undefined);
  assert.deepEqual(
    faults.map(({ code }) => code),
    ['EF1017'],
  );
  const next = await parse(`${whole}${'# a comment\n'.repeat(1_000)}`);
  assert.equal(next.tree?.kind, 'fields');
});

test('texts that are parsed at the same time get each its own answer', async () => {
  const texts = ['one', 'two', 'three'].map((word) => `name: ${word}\n${'# a comment\n'.repeat(1_000)}`);
  const parsed = await Promise.all(texts.map((text) => parse(text)));
  assert.deepEqual(
    parsed.map(({ tree }) => tree && plain(tree)),
    [{ name: 'one' }, { name: 'two' }, { name: 'three' }],
  );
});
