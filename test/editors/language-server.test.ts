/** What an author sees: the schemas in the YAML language server that VS Code, Neovim, Helix and Zed run. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { schemaDrafts } from '../../engine/config/schema-form.ts';
import { files, root } from '../repo/sources.ts';
import { temporaryFolder } from '../support/children.ts';
import { eventflow } from '../support/cli.ts';
import { type Editor, openEditor } from '../support/language-server.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
/** Knows the schemas as VS Code does, from its settings. */
let editor: Editor;

const ef = async (...args: readonly string[]): Promise<void> => {
  const { code, stderr } = await eventflow(args, { cwd: folder.path });
  assert.equal(code, 0, stderr);
};

before(async () => {
  folder = await temporaryFolder('eventflow-editor-');
  await symlink(join(root, 'node_modules'), join(folder.path, 'node_modules'));
  await writeFile(
    join(folder.path, 'eventflow.yaml'),
    "plugins: ['@eventflow/plugin-webhook', eventflow-plugin-crm]\n",
  );
  await ef('schema', '--vscode');
  for (const draft of schemaDrafts)
    await ef('schema', '--draft', draft, '--variant', 'editor', '--out', `${draft}.json`);
  const settings = JSON.parse(await readFile(join(folder.path, '.vscode/settings.json'), 'utf8')) as {
    readonly 'yaml.schemas': Record<string, string[]>;
  };
  editor = await openEditor(folder.path, settings['yaml.schemas']);
});

after(async () => {
  await editor.close();
  await folder.remove();
});

const crm = `    handler: crm
    with:
      baseUrl: https://crm.example
      token: \${CRM_TOKEN}`;

/** A pipeline of one route, whose first line names a schema. */
const pipeline = (schema: string, route: string, top = ''): string => `# yaml-language-server: $schema=${schema}
apiVersion: eventflow/v1
kind: Pipeline
name: contacts
${top}routes:
  - id: crm
    on: [account.created]
${route}
`;

/** One mistake each: the route, what is underlined, and what is said about it. `top` stands above the routes. */
interface Mistake {
  readonly what: string;
  readonly route: string;
  readonly top?: string;
  readonly underlined: string;
  readonly says: RegExp;
}

const mistakes: readonly Mistake[] = [
  {
    what: 'a handler that is not installed',
    route: '    handler: crmm',
    underlined: 'crmm',
    says: /Valid values: "webhook", "crm"\./,
  },
  {
    what: 'a text for a number',
    route: `${crm}\n    concurrency: "three"`,
    underlined: '"three"',
    says: /Expected "integer"/,
  },
  {
    what: 'a number that is too small',
    route: `${crm}\n    concurrency: 0`,
    underlined: '0',
    says: /below the minimum of 1/,
  },
  {
    what: 'a text for a boolean',
    route: `${crm}\n    enabled: maybe`,
    underlined: 'maybe',
    says: /Expected "boolean"/,
  },
  {
    what: 'a word that is not in the list',
    route: `${crm}\n    startFrom: now`,
    underlined: 'now',
    says: /Valid values: "new", "beginning"\./,
  },
  {
    what: 'a duration without a unit',
    route: `${crm}\n    timeout: 5`,
    underlined: '5',
    says: /^expected a duration such as 500ms/,
  },
  {
    what: 'a duration with a unit that is none',
    route: `${crm}\n    timeout: 5 min`,
    underlined: '5 min',
    says: /^expected a duration/,
  },
  {
    what: 'an unknown field of a route',
    route: `${crm}\n    timout: 5s`,
    underlined: 'timout',
    says: /timout is not allowed/,
  },
  {
    what: 'an unknown field of the file',
    route: crm,
    top: 'labls: {}\n',
    underlined: 'labls',
    says: /labls is not allowed/,
  },
  { what: 'an unknown option', route: `${crm}\n      prio: high`, underlined: 'prio', says: /prio is not allowed/ },
  {
    what: 'an option that is not in the list',
    route: `${crm}\n      priority: urgent`,
    underlined: 'urgent',
    says: /"low", "normal", "high"\./,
  },
  { what: 'an option of the wrong type', route: `${crm}\n      email: 5`, underlined: '5', says: /Expected "string"/ },
  {
    what: 'a missing option',
    route: '    handler: crm\n    with:\n      token: ${T}',
    underlined: 'with',
    says: /Missing property "baseUrl"/,
  },
  {
    what: 'options that are missing at all',
    route: '    handler: crm',
    underlined: 'i',
    says: /Missing property "with"/,
  },
  {
    what: 'a field of a policy',
    route: `${crm}\n    retry: { maxAtempts: 3 }`,
    underlined: 'maxAtempts',
    says: /maxAtempts is not allowed/,
  },
  {
    what: 'a policy that is a list',
    route: `${crm}\n    retry: [3]`,
    underlined: '[3]',
    says: /^expected the name of a policy, or a map$/,
  },
  {
    what: 'a breaker that is true',
    route: `${crm}\n    circuitBreaker: true`,
    underlined: 'true',
    says: /^expected false, the name of a policy, or a map$/,
  },
  {
    what: 'a fault that is none',
    route: `${crm}\n    retry: { retryOn: [tmeout] }`,
    underlined: 'tmeout',
    says: /^expected timeout, connection, dns/,
  },
  {
    what: 'policies that build on each other',
    route: crm,
    top: 'policies: { retry: { a: { use: b } } }\n',
    underlined: 'b',
    says: /not allowed/,
  },
];

const lineOf = (text: string, { line, character }: { line: number; character: number }, end: number): string =>
  (text.split('\n')[line] ?? '').slice(character, end);

for (const draft of schemaDrafts) {
  describe(`with the schema in ${draft}`, () => {
    const schema = `${draft}.json`;

    for (const { what, route, top, underlined, says } of mistakes) {
      test(`${what} is one error, at its place`, async () => {
        const text = pipeline(schema, route, top);
        const found = await editor.diagnose('mistake.yaml', text);
        assert.equal(found.length, 1, JSON.stringify(found));
        const [
          { message, range } = {
            message: '',
            range: { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } },
          },
        ] = found;
        assert.match(message, says);
        assert.equal(lineOf(text, range.start, range.end.character), underlined);
        assert.equal(range.end.line, range.start.line);
      });
    }

    test('a file without mistakes has none', async () => {
      assert.deepEqual(await editor.diagnose('good.yaml', pipeline(schema, crm)), []);
    });

    test('a reference fits wherever a value can come from one', async () => {
      const references = [
        ...['concurrency: ${N:-5}', 'enabled: ${ON:-true}', 'timeout: ${TIMEOUT:-5s}', 'startFrom: ${FROM}'],
        ...[
          'retry: { maxAttempts: "${N:?how often}", jitter: "${J}", multiplier: "${M}" }',
          'maxAge: ${file:/etc/age}',
        ],
      ];
      const route = [`${crm}\n      priority: \${PRIORITY}`, ...references].join('\n    ');
      assert.deepEqual(await editor.diagnose('references.yaml', pipeline(schema, route)), []);
    });

    test('the fields of a route are offered, and not those that it has', async () => {
      const offered = await editor.complete('complete.yaml', pipeline(schema, `${crm}\n    concurrency: 5\n    |`));
      for (const field of ['timeout', 'retry', 'circuitBreaker', 'deadLetter', 'startFrom'])
        assert.ok(offered.includes(field), field);
      for (const field of ['concurrency', 'handler', 'baseUrl']) assert.ok(!offered.includes(field), field);
    });

    test('the names of installed handlers are offered, and no others', async () => {
      const offered = await editor.complete('complete.yaml', pipeline(schema, '    handler: |'));
      assert.deepEqual(offered.toSorted(), ['crm', 'webhook']);
    });

    test('the options of a third-party plugin are offered within `with`, and their values', async () => {
      const options = await editor.complete('complete.yaml', pipeline(schema, `${crm}\n      |`));
      assert.deepEqual(options.toSorted(), ['email', 'priority']);
      const values = await editor.complete('complete.yaml', pipeline(schema, `${crm}\n      priority: |`));
      assert.deepEqual(values.toSorted(), ['high', 'low', 'normal']);
    });

    test('each handler has its own options', async () => {
      const url = '    handler: webhook\n    with:\n      url: https://a.example';
      const options = await editor.complete('complete.yaml', pipeline(schema, `${url}\n      |`));
      assert.ok(options.includes('method') && !options.includes('priority'), options.join());
      assert.deepEqual(
        (await editor.complete('complete.yaml', pipeline(schema, `${url}\n      method: |`))).toSorted(),
        [...['DELETE', 'PATCH', 'POST', 'PUT']],
      );
    });

    test('the fields of a policy are offered where one is written inline', async () => {
      const offered = await editor.complete('complete.yaml', pipeline(schema, `${crm}\n    retry:\n      |`));
      for (const field of ['use', 'maxAttempts', 'backoff', 'schedule']) assert.ok(offered.includes(field), field);
    });

    test('a route to each handler is offered whole, and what it puts in is valid', async () => {
      const start = pipeline(schema, crm).trimEnd();
      const offered = await editor.offers('complete.yaml', `${start}\n  - |`);
      for (const handler of ['webhook', 'crm']) {
        const inserted = offered.get(`route to ${handler}`);
        assert.ok(inserted !== undefined, [...offered.keys()].join());
        // As an editor would: indented like the line, and nothing typed over the placeholders.
        const text = `${start}\n  - ${inserted
          .replace(/\n/g, '\n  ')
          .replace(/\$\{\d+:((?:\\.|[^}\\])*)\}/g, '$1')
          .replace(/\\([$}\\])/g, '$1')}\n`;
        assert.deepEqual(
          await editor.diagnose('inserted.yaml', text.replace('id: name', `id: ${handler}-2`)),
          [],
          text,
        );
      }
    });

    test('over a field stands what it is for, with its default', async () => {
      const concurrency = await editor.hover('hover.yaml', pipeline(schema, `${crm}\n    concur|rency: 5`));
      assert.match(concurrency, /Deliveries of this route that run at once, per engine process\.\s+Default: `16`/);
      const backoff = await editor.hover('hover.yaml', pipeline(schema, `${crm}\n    retry: { back|off: fixed }`));
      assert.match(backoff, /`schedule` takes its waits from the field of that name\./);
    });

    test('over an option of a third-party plugin stands what its author wrote', async () => {
      const hover = await editor.hover('hover.yaml', pipeline(schema, `${crm}\n      prio|rity: high`));
      assert.match(hover, /How soon somebody should look at the contact\./);
      assert.match(
        await editor.hover('hover.yaml', pipeline(schema, crm.replace('baseUrl', 'base|Url'))),
        /The address of the CRM's API\./,
      );
    });
  });
}

const plain = (text: string): string => text.slice(text.indexOf('\n') + 1);

test('in VS Code each kind of file has its schema by its name', async () => {
  const broken = plain(pipeline('', `${crm}\n    timout: 5s`));
  const messages = async (name: string, text: string): Promise<readonly string[]> =>
    (await editor.diagnose(name, text)).map(({ message }) => message);
  assert.deepEqual(await messages('pipelines/contacts.yaml', broken), ['Property timout is not allowed.']);
  assert.deepEqual(await messages('pipelines/deep/contacts.yml', plain(pipeline('', crm))), []);
  assert.deepEqual(await messages('eventflow.yaml', 'jurnal: {}\n'), ['Property jurnal is not allowed.']);
  assert.deepEqual(await messages('eventflow.yaml', 'bus: ${REDIS_URL}\nlog: { level: "${LEVEL:-info}" }\n'), []);
  const cases = 'apiVersion: eventflow/v1\nkind: PipelineTest\ntests:\n  - name: nothing happens\n    evnts: []\n';
  const said = await messages('pipelines/contacts.test.yaml', cases);
  assert.ok(
    said.length > 0 && said.every((one) => /evnts is not allowed|Missing property "/.test(one)),
    said.join('\n'),
  );
  assert.deepEqual(await messages('elsewhere/contacts.yaml', broken), []);
});

const shipped = files.filter((name) => /^pipelines\/[^/]*(?<!\.test)\.yaml$/.test(name));

test('an editor finds nothing in the pipelines of this project', async () => {
  const plugins = ['webhook', 'email', 'notification', 'analytics', 'log'].map((name) => `@eventflow/plugin-${name}`);
  await ef('schema', ...plugins.flatMap((name) => ['--plugin', name]), '--variant', 'editor', '--out', 'all.json');
  assert.ok(shipped.length >= 3);
  for (const file of shipped) {
    const text = readFileSync(join(root, file), 'utf8').replace(/\$schema=.*/, '$schema=all.json');
    assert.deepEqual(await editor.diagnose('shipped.yaml', text), [], file);
  }
});
