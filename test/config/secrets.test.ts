/** Secrets are known by key and by value, and nothing that is said about files repeats them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hideCredentials, passwordsIn } from '../../engine/config/credentials.ts';
import { formatDiagnostic, loadSettings, toGithub, toJson } from '../../engine/config/index.ts';
import { toSarif } from '../../engine/config/sarif.ts';
import { eventflow } from '../support/cli.ts';
import { load, said } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'eventflow-secrets-'));
after(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, 'key'), 'hush-file\n');

const pipeline = (options: string, more = ''): string =>
  `apiVersion: eventflow/v1\nkind: Pipeline\nname: a\nroutes:\n  - id: x\n    on: [a]\n    handler: mailer\n${more}    with:\n      to: a@b.c\n${options}`;

const env = { SMTP_PASSWORD: 'hush-variable', PLACE: 'visible', API_TOKEN: 'hush-token', CODE: 'hush-marked' };

const loadText = (text: string) => {
  writeFileSync(join(folder, 'one.yaml'), text);
  return load(['one.yaml'], folder, env);
};

test('every way to a secret is known by value', async () => {
  const table: [string, string[]][] = [
    ['      password: ${CODE}', ['hush-marked']],
    ['      password: pre-${SMTP_PASSWORD}', ['pre-hush-variable', 'hush-variable']],
    ['      subject: ${file:key}', ['hush-file']],
    ['      subject: in ${PLACE}, with ${file:key}', ['hush-file']],
    ['      headers: { X-Key: "Bearer ${API_TOKEN}" }', ['hush-token']],
    ['      site: https://shop:hush%2Furl@example.com/x', ['hush%2Furl', 'hush/url']],
    ['      subject: ${PLACE}', []],
    ['      subject: ${API_TOKENS:-default}', []],
  ];
  for (const [options, secrets] of table) {
    const result = await loadText(pipeline(options));
    assert.ok(result.ok, JSON.stringify(result));
    assert.deepEqual(result.secrets, secrets, options);
  }
});

/** Whatever a form of output there is. */
function everything(result: Awaited<ReturnType<typeof loadText>>): string {
  const diagnostics = result.ok ? result.warnings : result.diagnostics;
  const forms = [diagnostics.map(toJson), diagnostics.map(toGithub), toSarif(diagnostics, '1.0.0')];
  return said(result) + JSON.stringify(forms);
}

test('no form of a diagnostic has a secret, also when the file cannot be read as YAML', async () => {
  const broken = [
    pipeline('      password: hush-plain\n      priority: urgent\n'),
    pipeline('      password: "hush plain"\n     broken: [\n'),
    pipeline('      password: ${SMTP_PASSWORD}\n      port: ${API_TOKEN}\n'),
    pipeline('      site: smtp://u:hush-url@example.com:x y\n      nothing: x\n'),
    pipeline('      tls: ${file:key}\n      port: ${file:key}\n'),
    pipeline('      headers: { X-Token: hush-inline, x: [ }\n'),
    pipeline('      subject: "{{ ${API_TOKEN}"\n'),
    pipeline('      password: hush-plain\n', '    when: event.data ==\n'),
    pipeline('      priority: ${API_TOKEN}\n      password: [hush-list, {a: hush-deep}]\n'),
  ];
  for (const text of broken) {
    const result = await loadText(text);
    assert.ok(!result.ok, text);
    assert.doesNotMatch(everything(result), /hush/, text);
  }
});

test('an option that is a secret comes from a reference, and a password in any other URL is warned of', async () => {
  const refused = await loadText(pipeline('      password: hush-plain'));
  assert.ok(!refused.ok);
  assert.match(said(refused), /error EF2022 routes\[0\]\.with\.password: expected a reference/);
  const warned = await loadText(pipeline('      site: https://shop:hush@example.com/x'));
  assert.ok(warned.ok);
  assert.match(said(warned), /warning EF2022 routes\[0\]\.with\.site/);
  assert.equal(said(await loadText(pipeline('      password: ${NOWHERE:-hush-default}'))), '');
});

test('a reference in front of a fault is shown as it stands', async () => {
  const result = await loadText(pipeline('      password: ${SMTP_PASSWORD}\n      priority: urgent\n'));
  assert.match(said(result), /password: \$\{SMTP_PASSWORD\}/);
});

test('credentials in a line become stars, and everything stays in its column', () => {
  const table: [string, string][] = [
    ['bus: redis://shop:s3cret@cache:6379/0', 'bus: redis://***********@cache:6379/0'],
    ['url: https://user:pa@ss@host/@x', 'url: https://**********@host/@x'],
    ['url: https://host/a@b and https://h?q=a@b', 'url: https://host/a@b and https://h?q=a@b'],
    ['url: smtp://u:${PW}@host', 'url: smtp://u:${PW}@host'],
    ['bus: redis://h/0?sentinelPassword=abc&x=1', 'bus: redis://h/0?sentinelPassword=***&x=1'],
    ['auth: { bearer: abc123, x: 1 } # why', 'auth: { bearer: ******, x: 1 } # why'],
    ['  "api_key": "abc 123"', '  "api_key": "********'],
    ['token: ${TOKEN}', 'token: ${TOKEN}'],
    ['subject: token of thanks', 'subject: token of thanks'],
    ['# tokens: none', '# tokens: ****'],
  ];
  for (const [line, hidden] of table) {
    assert.equal(hideCredentials(line).length, line.length);
    assert.ok(hideCredentials(line).startsWith(hidden), hideCredentials(line));
  }
  assert.deepEqual(passwordsIn('redis://:a%40b@h and x'), ['a%40b', 'a@b']);
  assert.deepEqual(passwordsIn('https://user:pa@ss@host'), ['pa@ss']);
});

test('the settings file keeps its passwords, too', async () => {
  const texts = [
    'bus: redys://u:hush-bus@h\n',
    'bus: redis://u:hush-bus@h\nlog: { level: loud }\n',
    'bus: [redis://u:hush-bus@h\n',
  ];
  for (const text of texts) {
    writeFileSync(join(folder, 'eventflow.yaml'), text);
    const result = await loadSettings({ cwd: folder, env: {} });
    assert.ok(!result.ok);
    const told = result.diagnostics.map((one) => formatDiagnostic(one, result.sources.get(one.file))).join();
    assert.match(told, /\*{6}|\[secret\]/);
    assert.doesNotMatch(told + JSON.stringify(result.diagnostics), /hush/, text);
  }
  const { stdout, stderr, code } = await eventflow(['validate'], { cwd: folder });
  assert.equal(code, 1);
  assert.doesNotMatch(stdout + stderr, /hush/);
});
