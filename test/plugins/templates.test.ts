import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hintOf } from 'eventflow/plugin';
import { createTemplates } from '../../engine/plugins/templates.ts';

const templates = createTemplates();
const scope = {
  event: { id: 'o-1', data: { name: '<b>"Ada" & Co</b>', n: 3, list: [1, 2], empty: '', path: 'a/b c' } },
};
const render = (source: string, mode?: 'html' | 'url' | 'none') =>
  templates.compile(source, mode === undefined ? {} : { escape: mode }).render(scope);

describe('a template', () => {
  test('without Liquid in it is its own result', () => assert.equal(render('a } b { c %'), 'a } b { c %'));

  test('renders values, filters, conditions and loops', () => {
    assert.equal(
      render(
        '{{ event.id }}/{{ event.data.n | times: 2 }}/{% if event.data.n > 2 %}y{% endif %}/{% for i in event.data.list %}{{ i }}{% endfor %}',
      ),
      'o-1/6/y/12',
    );
  });

  test('escapes every output as it is told', () => {
    assert.equal(render('<i>{{ event.data.name }}</i>', 'html'), '<i>&lt;b&gt;&#34;Ada&#34; &amp; Co&lt;/b&gt;</i>');
    assert.equal(render('/{{ event.data.path }}/{{ event.data.list }}', 'url'), '/a%2Fb%20c/%5B1%2C2%5D');
    assert.equal(render('{{ event.data.name }}'), '<b>"Ada" & Co</b>');
    assert.equal(render('{{ event.data | json }}'), JSON.stringify(scope.event.data));
  });

  test('can give a default for what is not there', () => {
    assert.equal(render('{{ event.data.nope | default: "none" }}{% if event.data.nope %}x{% endif %}'), 'none');
  });

  for (const path of [
    'event.data.nope',
    'event.data.name.constructor',
    'event.__proto__',
    'event.constructor',
    'event.data.toString',
    'process',
    'this',
  ]) {
    test(`fails for good on ${path}, and names it`, () => {
      assert.throws(
        () => render(`{{ ${path} }}`),
        (error: Error) => {
          assert.equal(hintOf(error).permanent, true);
          assert.match(error.message, /line 1, column \d+/);
          assert.ok(error.message.includes(path.split('.').slice(0, 2).join('.')), error.message);
          return true;
        },
      );
    });
  }

  for (const source of [
    '{{ event.id',
    '{% if event.id %}',
    '{{ event.id | nofilter }}',
    '{% include "/etc/passwd" %}',
    '{% render "x" %}',
    '{% layout "x" %}',
    '{% nosuchtag %}',
  ]) {
    test(`is refused when it is compiled: ${source}`, () => {
      assert.throws(() => templates.compile(source), /not Liquid.*line 1/);
    });
  }

  for (const source of [
    '{% for i in (1..100000000) %}x{% endfor %}',
    '{% assign a = "xxxxxxxxxx" %}{% for i in (1..40) %}{% assign a = a | append: a %}{% endfor %}',
  ]) {
    test(`ends when it asks for too much: ${source.slice(0, 40)}`, () => {
      const start = Date.now();
      assert.throws(() => render(source), /limit exceeded/);
      assert.ok(Date.now() - start < 5_000);
    });
  }
});
