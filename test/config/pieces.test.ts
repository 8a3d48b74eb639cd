/** The small parts, each alone. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { formatDiagnostic, sortDiagnostics, toGithub, toJson } from '../../engine/config/index.ts';
import { interpolate } from '../../engine/config/interpolate.ts';
import { prescan } from '../../engine/config/prescan.ts';
import { openReading } from '../../engine/config/reading.ts';
import { nearest, slips } from '../../engine/config/suggest.ts';
import { formatDuration, parseDuration } from '../../engine/core/duration.ts';
import { fixtures, load } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'eventflow-pieces-'));
after(() => rmSync(folder, { recursive: true }));

test('durations are read and written', () => {
  const table: [string, number][] = [
    ['0ms', 0],
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['24h', 86_400_000],
  ];
  for (const [text, ms] of table) assert.equal(parseDuration(text), ms);
  for (const text of ['', '5', '5 s', '-5s', '1.5s', '5S', '5s ', '1e3s', '9999999999s'])
    assert.equal(parseDuration(text), undefined);
  for (const text of ['0ms', '1d', '90s', '2m', '1500ms', '36h'])
    assert.equal(formatDuration(parseDuration(text) ?? -1), text);
});

test('a written duration is read back exactly', () => {
  fc.assert(fc.property(fc.nat(999_999_999), (ms) => parseDuration(formatDuration(ms)) === ms));
});

test('slips are counted as typists make them', () => {
  const table: [string, string, number][] = [
    ['', 'abc', 3],
    ['hihg', 'high', 1],
    ['retires', 'retry', 3],
    ['same', 'same', 0],
    ['kitten', 'sitting', 3],
  ];
  for (const [a, b, apart] of table) assert.deepEqual([slips(a, b), slips(b, a)], [apart, apart]);
});

test('what is far away is not suggested', () => {
  assert.equal(nearest('telegraph', ['email', 'webhook']), undefined);
  assert.equal(nearest('emial', ['webhook', 'email']), 'email');
  assert.equal(nearest('max_attempts', ['maxAttempts', 'maxInterval']), 'maxAttempts');
});

const fill = (text: string, env: Record<string, string> = {}): string => {
  const { value, faults } = interpolate(text, folder, openReading(folder, env));
  return faults.length > 0 ? `! ${faults.map((fault) => `${fault.code} ${fault.raw}`).join(', ')}` : value;
};

test('references are filled in, once, and never read again', () => {
  const env = { A: 'a', EMPTY: '', NESTED: '${A}', LINES: 'x: 1\ny: 2' };
  const table: [string, string][] = [
    ['plain $A {{ event.data.x }} $', 'plain $A {{ event.data.x }} $'],
    ['${A}-${A}', 'a-a'],
    ['${NONE:-fallback}${EMPTY:-other}', 'fallbackother'],
    ['[${EMPTY}]', '[]'],
    ['${A:?must be set}', 'a'],
    ['$${A} and $$${A}', '${A} and $${A}'],
    ['${NESTED}', '${A}'],
    ['${LINES}', 'x: 1\ny: 2'],
    ['${NONE:-}', ''],
    ['${NONE:-a:-b}', 'a:-b'],
    ['${NONE:-${A}}', '! EF1014 ${NONE:-${A}'],
    ['${A:?${NONE}}', '! EF1014 ${A:?${NONE}'],
    ['${NONE}', '! EF1013 ${NONE}'],
    ['${EMPTY:?why}', '! EF1013 ${EMPTY:?why}'],
    ['${a b}', '! EF1014 ${a b}'],
    ['${', '! EF1014 ${'],
    ['${file:}', '! EF1014 ${file:}'],
    ['${file:none}', '! EF1015 ${file:none}'],
  ];
  for (const [text, filled] of table) assert.equal(fill(text, env), filled, text);
});

test('a secret file loses the line break at its end and no more', () => {
  writeFileSync(join(folder, 'token'), 'a\n\n');
  assert.equal(fill('${file:token}'), 'a\n');
  assert.equal(fill(`\${file:${join(folder, 'token')}}`), 'a\n');
});

test('the value of a variable never becomes YAML', async () => {
  const result = await load([join(fixtures, 'good/everything.yaml')], fixtures, { TEAM: 'x\nroutes: []\n# ' });
  assert.ok(result.ok);
  assert.equal(result.generation.routes.size, 6);
});

const hostile: Record<string, string> = {
  'brackets without end': '['.repeat(40_000),
  'braces without end': '{'.repeat(40_000),
  'lists in lists on one line': '- '.repeat(20_000),
  'questions in questions': '? '.repeat(20_000),
  'too many keys': Array.from({ length: 20_000 }, (_, at) => `k${at}: v`).join('\n'),
  'too many items in a line': `[${'a,'.repeat(20_000)}]`,
};

test('hostile text is refused before the parser sees it', () => {
  for (const [what, text] of Object.entries(hostile)) assert.notEqual(prescan(text), undefined, what);
});

test('brackets in texts and comments are no nesting', () => {
  const many = '['.repeat(100);
  for (const text of [
    `a: "${many}"`,
    `a: '${many}'`,
    `# ${many}\na: 1`,
    `a: |\n  ${many}\nb: ${'x'.repeat(50)}`,
    `a: x${many}`,
  ]) {
    assert.equal(prescan(text), undefined, text);
  }
});

test('hostile files are refused quickly and the process lives', () => {
  const script = `
    import { readDocument } from ${JSON.stringify(new URL('../../engine/config/document.ts', import.meta.url).href)};
    import { openReading } from ${JSON.stringify(new URL('../../engine/config/reading.ts', import.meta.url).href)};
    for (const path of process.argv.slice(1)) {
      const { diagnostics } = await readDocument(path, openReading('/', {}));
      console.log(diagnostics.map(({ code }) => code).join());
    }`;
  const texts = [
    ...Object.values(hostile),
    `a: ${'&a '.repeat(50_000)}`,
    'a: b\n'.repeat(60_000),
    '\u0000',
    '#\n'.repeat(100_000),
  ];
  const paths = texts.map((text, at) => {
    const path = join(folder, `hostile-${at}.yaml`);
    writeFileSync(path, text);
    return path;
  });
  const args = ['--conditions=eventflow-source', '--input-type=module', '-e', script, '--', ...paths];
  const { stdout, status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000 });
  assert.equal(status, 0, stderr);
  const codes = stdout.trim().split('\n');
  assert.deepEqual(codes.slice(0, 6), ['EF1004', 'EF1004', 'EF1004', 'EF1004', 'EF1009', 'EF1009']);
  assert.deepEqual(codes.slice(7), ['EF1002', 'EF1003', 'EF1011']);
});

const seed = readFileSync(join(fixtures, 'good/everything.yaml'), 'utf8');
const shards = [
  '[',
  '}',
  ': ',
  '- ',
  '\t',
  '\n',
  '"',
  "'",
  '&a ',
  '*a',
  '<<: ',
  '!!x ',
  '${',
  '}',
  '|',
  '#',
  '---\n',
  'null',
  '1e999',
  '\u0007',
  '🦀',
  'routes:',
  '  ',
];

test('no mangled file makes the loader throw, and each has a verdict with places inside of the file', async () => {
  const path = join(folder, 'mangled.yaml');
  const edit = fc.record({ at: fc.nat(seed.length), cut: fc.nat(40), put: fc.constantFrom(...shards) });
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
      const text = edits.reduce((now, { at, cut, put }) => now.slice(0, at) + put + now.slice(at + cut), seed);
      writeFileSync(path, text);
      const result = await load([path], folder);
      const diagnostics = result.ok ? result.warnings : result.diagnostics;
      assert.ok(result.ok || diagnostics.length > 0);
      for (const { code, line, column, endColumn, message } of diagnostics) {
        assert.ok(line >= 1 && line <= text.split('\n').length && column >= 1 && endColumn > column, message);
        assert.doesNotMatch(message, /undefined|\[object/);
        if (code.startsWith('EF2')) assert.doesNotMatch(message, /must (be|have|NOT|match)/);
      }
    }),
    { numRuns: 300 },
  );
});

const diagnostic = {
  code: 'EF2003',
  severity: 'error',
  file: 'pipelines/orders.yaml',
  line: 9,
  column: 17,
  endColumn: 23,
  path: 'routes[0].with.priority',
  message: 'expected one of low, normal, high, got "urgent"',
  help: 'did you mean "high"?',
} as const;

test('a diagnostic is printed with its code and its place', () => {
  const text = `${'\n'.repeat(7)}      subject: Hi\n      priority: urgent\n`;
  assert.equal(
    formatDiagnostic(diagnostic, text),
    [
      'pipelines/orders.yaml:9:17: error EF2003 routes[0].with.priority: expected one of low, normal, high, got "urgent"',
      '   8 |       subject: Hi',
      '   9 |       priority: urgent',
      '     |                 ^^^^^^',
      '   = help: did you mean "high"?',
    ].join('\n'),
  );
});

test('a diagnostic for GitHub has no line breaks and no stray separators', () => {
  assert.equal(
    toGithub({ ...diagnostic, file: 'a,b:c.yaml', message: '100%\nbad' }),
    '::error file=a%2Cb%3Ac.yaml,line=9,col=17,endColumn=23,title=EF2003::routes[0].with.priority: 100%25%0Abad (did you mean "high"?)',
  );
});

test('a diagnostic for programs has a range', () => {
  const { range, ...rest } = toJson(diagnostic);
  assert.deepEqual(range, { start: { line: 9, column: 17 }, end: { line: 9, column: 23 } });
  assert.equal(rest.code, 'EF2003');
});

test('diagnostics come in the order of the files, each once', () => {
  const at = (file: string, line: number): typeof diagnostic => ({ ...diagnostic, file, line }) as typeof diagnostic;
  const sorted = sortDiagnostics([at('b', 1), at('a', 10), at('a', 9), at('b', 1)]);
  assert.deepEqual(
    sorted.map(({ file, line }) => `${file}${line}`),
    ['a9', 'a10', 'b1'],
  );
});
