/** The marks in the schemas of our handlers say what the handlers do: tests of pipelines show templates by them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import analytics from '@eventflow/plugin-analytics';
import email from '@eventflow/plugin-email';
import log from '@eventflow/plugin-log';
import notification from '@eventflow/plugin-notification';
import webhook from '@eventflow/plugin-webhook';
import { findHandler, readCatalog } from '../../engine/config/index.ts';
import { compileOptions } from '../../engine/pipeline-test/render.ts';
import type { HandlerContext, Plugin, Templates } from '../../engine/plugin.ts';
import { silent } from '../support/worker.ts';

const { catalog } = readCatalog(undefined, join(import.meta.dirname, '../..'));

/** Notes how each template is escaped. */
function recorder(): { readonly modes: Map<string, string>; readonly templates: Templates } {
  const modes = new Map<string, string>();
  const compile: Templates['compile'] = (source, { escape: mode = 'none' } = {}) => {
    if (source.includes('{{')) modes.set(source, mode);
    return { render: () => source };
  };
  return { modes, templates: { compile } };
}

const contextWith = (templates: Templates): HandlerContext => ({
  route: 'p.r',
  timeout: 1_000,
  concurrency: 1,
  http: { request: () => Promise.reject(new Error('nobody asks')), assertAllowed: () => undefined },
  templates,
  metrics: { counter: () => ({ inc: () => undefined }) },
  log: silent,
  clock: () => 0,
  folder: import.meta.dirname,
});

/** Every template of each handler; each text once. */
const handlers: readonly (readonly [handler: string, plugin: Plugin, options: object])[] = [
  [
    'webhook',
    webhook,
    {
      url: 'https://x.example/{{ 1 }}',
      mode: 'template',
      body: '{{ 2 }}',
      headers: { 'x-a': '{{ 3 }}' },
      method: 'POST',
    },
  ],
  [
    'email',
    email,
    {
      url: 'smtp://127.0.0.1:1',
      from: '{{ 1 }}',
      to: ['{{ 2 }}'],
      cc: '{{ 3 }}',
      bcc: '{{ 4 }}',
      replyTo: '{{ 5 }}',
      subject: '{{ 6 }}',
      text: '{{ 7 }}',
      html: '{{ 8 }}',
      headers: { 'x-a': '{{ 9 }}' },
      attachments: [{ filename: '{{ 10 }}', content: '{{ 11 }}' }],
    },
  ],
  [
    'notification',
    notification,
    {
      channel: 'generic',
      endpoint: 'https://x.example/',
      title: '{{ 1 }}',
      body: '{{ 2 }}',
      severity: '{{ 3 }}',
      url: '{{ 4 }}',
      fields: { a: '{{ 5 }}' },
    },
  ],
  ['analytics', analytics, { counters: [{ name: 'a', dimensions: { b: '{{ 1 }}' } }] }],
  ['log', log, { level: 'info', message: '{{ 1 }}' }],
];

for (const [name, plugin, options] of handlers) {
  test(`the templates of ${name} are marked with how it escapes them`, async () => {
    const choice = findHandler(catalog, name);
    assert.ok(choice.kind === 'found');
    const [real, marked] = [recorder(), recorder()];
    const handler = await plugin.handlers[name]?.create(options, contextWith(real.templates));
    compileOptions(options, choice.manifest.schema, marked.templates);
    await handler?.close?.();
    assert.ok(real.modes.size > 0);
    assert.deepEqual(Object.fromEntries(marked.modes), Object.fromEntries(real.modes));
  });
}
