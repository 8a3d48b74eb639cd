/** How findings are printed for programs, and pipelines that stand in documents. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadGeneration, pipelinesInMarkdown } from '../../engine/config/index.ts';
import { toSarif } from '../../engine/config/sarif.ts';
import { catalogue } from '../../engine/errors.ts';
import { catalog, env, fixtures, load } from './support.ts';

const folder = join(fixtures, 'bad');
const faults = readdirSync(folder).filter((name) => !name.endsWith('.expected.txt'));

/** What SARIF 2.1.0 (sections 3.13 to 3.52) asks of the objects that we write. */
function assertSarif(log: ReturnType<typeof toSarif>): void {
  assert.equal(log.version, '2.1.0');
  assert.match(log.$schema, /sarif-schema-2\.1\.0\.json$/);
  const [run, ...others] = log.runs;
  assert.ok(run !== undefined && others.length === 0);
  assert.equal(run.columnKind, 'utf16CodeUnits');
  const { rules, name, semanticVersion } = run.tool.driver;
  assert.equal(name, 'EventFlow');
  assert.match(semanticVersion, /^\d+\.\d+\.\d+/);
  assert.equal(new Set(rules.map(({ id }) => id)).size, rules.length, 'rules are unique');
  for (const { id, shortDescription, help } of rules) {
    assert.equal(shortDescription.text, catalogue[id].title);
    assert.ok(help.text.length > 0 && help.markdown.length > 0);
  }
  for (const { ruleId, ruleIndex, level, message, locations } of run.results) {
    assert.equal(rules[ruleIndex]?.id, ruleId);
    assert.ok(['error', 'warning', 'note', 'none'].includes(level));
    assert.ok(message.text.length > 0);
    const [location, ...more] = locations;
    assert.ok(location !== undefined && more.length === 0);
    const { artifactLocation, region } = location.physicalLocation;
    assert.doesNotMatch(artifactLocation.uri, /[\s\\]|^\.\.?\//);
    assert.ok(URL.canParse(artifactLocation.uri, 'file:///checkout/'), artifactLocation.uri);
    for (const at of Object.values(region)) assert.ok(Number.isInteger(at) && at >= 1);
    assert.ok(region.endLine === region.startLine && region.endColumn > region.startColumn);
  }
}

test('all findings about the broken files make one log of SARIF', async () => {
  const result = await load(faults, folder);
  assert.ok(!result.ok);
  const log = toSarif(result.diagnostics, '1.2.3');
  assertSarif(log);
  assert.equal(log.runs[0]?.results.length, result.diagnostics.length);
  assert.doesNotMatch(JSON.stringify(log), /swordfish|hunter22|1000000/);
});

test('a log without findings is one, too, and odd names of files are escaped', () => {
  assertSarif(toSarif([], '1.2.3'));
  const file = 'a b/100%/ü#1.yaml';
  const place = { line: 1, column: 1, endColumn: 2 };
  const log = toSarif([{ code: 'EF1011', severity: 'error', file, ...place, path: '', message: 'x' }], '1.2.3');
  assertSarif(log);
  const uri = log.runs[0]?.results[0]?.locations[0]?.physicalLocation.artifactLocation.uri;
  assert.equal(uri, 'a%20b/100%25/%C3%BC%231.yaml');
});

const block = (handler: string): string =>
  `apiVersion: eventflow/v1\nkind: Pipeline\nname: a\nroutes:\n  - id: x\n    on: [a]\n    handler: ${handler}\n    with: { to: a@b.c }\n`;

const indented = (text: string, by: string): string => text.replace(/^(?=.)/gm, by);

const documents: Readonly<Record<string, [text: string, at: string]>> = {
  plain: [`# Title\n\n\`\`\`yaml\n${block('mialer')}\`\`\`\n`, '10:14'],
  'windows lines': [`# Title\n\n\`\`\`yaml\n${block('mialer')}\`\`\`\n`.replaceAll('\n', '\r\n'), '10:14'],
  'in a list': [`- see\n\n  \`\`\`yml\n${indented(block('mialer'), '  ')}  \`\`\`\n`, '10:16'],
  'in a quotation': [`> \`\`\`yaml title="x"\n${indented(block('mialer'), '> ')}> \`\`\`\n`, '8:16'],
  'longer fences': [`~~~~yaml\n${block('mialer')}# ~~~\n~~~~\n`, '8:14'],
  'an open fence': [`\`\`\`yaml\n${block('mialer')}`, '8:14'],
  'after others': [
    `\`\`\`sh\n\`\`\`yaml\n\`\`\`\n\n\`\`\`yaml\na: 1\n\`\`\`\n\`\`\`yaml\n${block('mialer')}\`\`\``,
    '15:14',
  ],
};

for (const [name, [markdown, at]] of Object.entries(documents)) {
  test(`a pipeline in a document (${name}) is checked at its place there`, async () => {
    const texts = pipelinesInMarkdown(markdown).map((text) => ({ path: join(folder, 'a.md'), file: 'a.md', text }));
    assert.equal(texts.length, 1);
    const result = await loadGeneration({ paths: [], texts, catalog, env, cwd: folder });
    assert.ok(!result.ok);
    assert.deepEqual(
      result.diagnostics.map(({ file, line, column, code }) => `${file}:${line}:${column} ${code}`),
      [`a.md:${at} EF2010`],
    );
  });
}

test('blocks of other kinds, and what stands in them, are no pipelines', () => {
  const pipeline = `\`\`\`yaml\n${block('mailer')}\`\`\`\n`;
  for (const text of [
    '```yaml\nkind: Deployment\n```\n',
    '```json\n{}\n```',
    `\`\`\`\`md\n${pipeline}\`\`\`\`\n`,
    `~~~\n${pipeline}~~~\n`,
    `\`\`\`text\n${pipeline}`,
    '',
  ]) {
    assert.deepEqual(pipelinesInMarkdown(text), [], text);
  }
});

test('a pipeline after code in a line, or after a quotation with an open fence, is one', () => {
  for (const before of ['```code``` in a line\n', '> ```text\n> quoted\n\n']) {
    assert.equal(pipelinesInMarkdown(`${before}\`\`\`yaml\n${block('mailer')}\`\`\`\n`).length, 1, before);
  }
});

test('what a block says stays as it is, but for the marks of the quotation around it', () => {
  const texts = 'apiVersion: eventflow/v1\nwhen:\n  >-\n  a\nsaid: |\n  > cite\n  ```yaml\n> x';
  const quoted = texts.replace(/^/gm, '> > ');
  assert.deepEqual(pipelinesInMarkdown(`\`\`\`yaml\n${texts}\n\`\`\``), [`\n${texts}\n`]);
  assert.deepEqual(pipelinesInMarkdown(`> > ~~~yaml\n${quoted}\n> > ~~~`), [`\n${indented(texts, '    ')}\n`]);
  assert.deepEqual(pipelinesInMarkdown(`>> ~~~yaml\n${quoted}\n# after`), [`\n${indented(texts, '    ')}\n`]);
});
