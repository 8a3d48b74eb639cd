/** Graphs of pipelines: what is in them, and that no name of anybody means anything in the languages they are written in. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { instance, type Viz } from '@viz-js/viz';
import fc from 'fast-check';
import type { Generation, Route } from '../../engine/core/route.ts';
import { toDot } from '../../engine/graph/dot.ts';
import { layOut } from '../../engine/graph/layout.ts';
import { mermaidLimit, toMermaid } from '../../engine/graph/mermaid.ts';
import { type Graph, type GraphOptions, graphOf } from '../../engine/graph/model.ts';
import { toSvg } from '../../engine/graph/svg.ts';
import { retryPolicy, routeOf } from '../support/policies.ts';

function generation(routes: readonly Route[], declared: readonly string[] = []): Generation {
  const names = [...new Set(routes.map(({ pipeline }) => pipeline))];
  return {
    hash: '',
    pipelines: names.map((name) => ({
      name,
      description: undefined,
      labels: {},
      file: `${name}.yaml`,
      routes: routes.filter(({ pipeline }) => pipeline === name),
    })),
    routes: new Map(routes.map((route) => [route.group, route])),
    eventTypes: new Map(declared.map((type) => [type, { type, check: undefined, onInvalid: 'reject' }])),
  };
}

const graph = (routes: readonly Route[], declared: readonly string[] = [], options: GraphOptions = {}): Graph =>
  graphOf(generation(routes, declared), options);

const edges = ({ edges: all }: Graph): string[] =>
  all.map(({ from, to, label, enabled }) => `${from} → ${to}${label ? ` (${label})` : ''}${enabled ? '' : ' off'}`);

describe('the graph', () => {
  test('leads from event types over routes to handlers, and a handler that several routes use is there once', () => {
    const routes = [routeOf({ on: ['order.paid', 'order.shipped'] }), routeOf({ id: 'audit', on: ['order.paid'] })];
    assert.deepEqual(edges(graph(routes)), [
      'type:order.paid → route:orders.receipt',
      'type:order.shipped → route:orders.receipt',
      'route:orders.receipt → handler:@eventflow/plugin-log:noop',
      'type:order.paid → route:orders.audit',
      'route:orders.audit → handler:@eventflow/plugin-log:noop',
    ]);
    assert.equal(graph(routes).nodes.filter(({ kind }) => kind === 'handler').length, 1);
  });

  test('finds what a wildcard means in the catalogue and in what other routes name', () => {
    const routes = [routeOf({ on: ['order.*'] }), routeOf({ id: 'late', on: ['order.late'] })];
    assert.deepEqual(edges(graph(routes, ['order.paid', 'user.left'])).slice(0, 2), [
      'type:order.late → route:orders.receipt (order.*)',
      'type:order.paid → route:orders.receipt (order.*)',
    ]);
  });

  test('shows a wildcard by itself when nothing known fits it', () => {
    const only = graph([routeOf({ on: ['stock.**'] })], ['order.paid']);
    assert.deepEqual(edges(only)[0], 'pattern:stock.** → route:orders.receipt');
    assert.ok(only.nodes.some(({ kind, label }) => kind === 'eventType' && label === 'order.paid'));
  });

  test('says at each edge on what condition a route wants the event', () => {
    const when = { source: 'event.data.total >= 100', test: () => true, why: () => [] };
    const shown = graph([routeOf({ on: ['order.*'], when }), routeOf({ id: 'all', on: ['order.paid'], when })]);
    assert.deepEqual(
      edges(shown).filter((edge) => edge.startsWith('type:')),
      [
        'type:order.paid → route:orders.receipt (order.* when event.data.total >= 100)',
        'type:order.paid → route:orders.all (when event.data.total >= 100)',
      ],
    );
    assert.match(toMermaid(shown), /\|"when event\.data\.total #62;#61; 100"\|/);
  });

  test('is told when mermaid would not draw it', () => {
    const types = (count: number): Graph =>
      graph([routeOf({ on: Array.from({ length: count }, (_, at) => `t.${at}`) })]);
    assert.equal(mermaidLimit(types(498)), undefined);
    assert.match(mermaidLimit(types(499)) ?? '', /this graph has 500/);
  });

  test('a type that two patterns of a route take has one edge', () => {
    assert.equal(edges(graph([routeOf({ on: ['order.paid', 'order.*', '**'] })])).length, 2);
  });

  test('says after how many attempts a route gives up, when it is asked for dead letters', () => {
    const routes = [
      routeOf({ retry: retryPolicy({ maxAttempts: 8 }) }),
      routeOf({ id: 'once', retry: retryPolicy({ maxAttempts: 1 }) }),
    ];
    const shown = edges(graph(routes, [], { deadLetters: true }));
    assert.ok(shown.includes('route:orders.receipt → deadLetters:orders (after 8 attempts)'));
    assert.ok(shown.includes('route:orders.once → deadLetters:orders (after 1 attempt)'));
  });

  test('shows what is switched off as such', () => {
    const off = graph([routeOf({ enabled: false })]);
    assert.ok(edges(off).every((edge) => edge.endsWith(' off')));
    assert.match(toMermaid(off), /n1\["receipt"\]:::off/);
    assert.match(toMermaid(off), /-\.->/);
    assert.match(toDot(off), /label="receipt".*style="dashed"/);
    assert.match(toSvg(off), /class="box route off"/);
  });
});

const hostile = [
  'end',
  'x"]; click n0 call alert(1)',
  '</text><script>alert(1)</script>',
  '"; shell="x" label="',
  'a\\',
  'a\\" b',
  '`markdown` **b**',
  '#quot;#35;&amp;&#0;',
  'line\nbreak\r\n\u2028 end',
  '-->|x| n0; %% comment',
  '\u001b[31mred\u0000\u0007',
  '\ud800 lone',
  '\u202eright to left',
  '<!--',
  ']]>',
  '{{ liquid }} ${VAR} \\N \\G',
  '日本語 🎉 ñ',
  '',
  ' ',
  'x'.repeat(5_000),
];

/** Everything that a name can be in, with names that schemas would never let in. */
const full = (names: readonly string[]): Graph =>
  graph(
    names.flatMap((name, at) => [
      routeOf({ pipeline: `p${at} ${name}`, id: name, on: [name, `${name}.*`], handler: name, plugin: name }),
      routeOf({ pipeline: `p${at} ${name}`, id: `${name} off`, on: ['**'], enabled: at % 2 === 0 }),
    ]),
    names.slice(0, 2),
    { deadLetters: true },
  );

/** Each line of a flowchart as we write it. A label holds letters, digits, a few marks and codes, and nothing else. */
const label = '"(?:[\\p{L}\\p{M}\\p{N} _.,:/()…-]|#\\d{1,7};)+"';
const shape = `(?:\\(\\[${label}\\]\\)|\\[${label}\\]|\\{\\{${label}\\}\\}|\\[\\(${label}\\)\\])`;
const mermaidLine = new RegExp(
  [
    'flowchart LR',
    `  n\\d+${shape}`,
    `  subgraph p\\d+\\[${label}\\]`,
    `    n\\d+\\[${label}\\](?::::off)?`,
    '  end',
    `  n\\d+ (?:-->|-\\.->)(?:\\|${label}\\|)? n\\d+`,
    '  classDef off stroke-dasharray: 4 4, opacity: 0\\.7',
  ]
    .map((form) => `^${form}$`)
    .join('|'),
  'u',
);

function assertMermaid(text: string): void {
  const lines = text.split('\n');
  assert.equal(lines.pop(), '');
  for (const line of lines) assert.match(line, mermaidLine);
}

/** Tags that open and close as they should, and texts in which nothing but entities begins with `&`. */
function assertXml(text: string): void {
  const open: string[] = [];
  const token = /<(\/?)([a-z]+)((?: [a-zA-Z-]+="[^"<]*")*)(\/?)>|([^<]+)/gy;
  let end = 0;
  for (const [whole, closes, name = '', attributes = '', empty, content = ''] of text.matchAll(token)) {
    end += whole.length;
    assert.doesNotMatch(attributes + content, /&(?!(?:amp|lt|gt|quot|#39);)/, whole.slice(0, 200));
    if (closes === '/') assert.equal(open.pop(), name);
    else if (name !== '' && empty !== '/') open.push(name);
  }
  assert.equal(end, text.length, `expected XML to the end, got ${JSON.stringify(text.slice(end, end + 80))}`);
  assert.deepEqual(open, []);
  assert.doesNotMatch(text, /(?!\n)[\p{Cc}\ufffe\uffff]/u);
  assert.ok(text.isWellFormed());
}

interface Drawn {
  readonly objects?: readonly { readonly label?: string; readonly nodes?: unknown; readonly name: string }[];
  readonly edges?: readonly unknown[];
}

describe('names that mean something elsewhere', () => {
  let viz: Viz;
  before(async () => {
    viz = await instance();
  });

  const read = (text: string): Drawn => viz.renderJSON(text) as Drawn;

  test('are nothing but names in mermaid', () => {
    assertMermaid(toMermaid(full(hostile)));
    for (const name of hostile) assertMermaid(toMermaid(full([name])));
  });

  test('are nothing but names in dot, as Graphviz reads it', () => {
    for (const name of hostile) {
      const drawn = full([name]);
      const { objects = [], edges: read_ = [] } = read(toDot(drawn));
      assert.equal(objects.filter(({ nodes }) => nodes === undefined).length, drawn.nodes.length, name);
      assert.equal(read_.length, drawn.edges.length, name);
    }
  });

  test('come back from Graphviz as they were', () => {
    const { objects = [] } = read(toDot(graph([routeOf({ id: 'a\\"b\\N<c>', on: ['x'] })])));
    // As Graphviz keeps it: `\\\\` is its own way to write one backslash.
    assert.ok(
      objects.some(({ label: shown }) => shown === 'a\\\\"b\\\\N<c>'),
      JSON.stringify(objects),
    );
  });

  test('are nothing but names in a picture', () => {
    assertXml(toSvg(full(hostile)));
    for (const name of hostile) assertXml(toSvg(full([name])));
  });

  test('whatever they are', () => {
    const name = fc.string({ unit: 'binary', maxLength: 60 });
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 3 }), (names) => {
        const drawn = full(names);
        assertMermaid(toMermaid(drawn));
        assertXml(toSvg(drawn));
        assert.equal(read(toDot(drawn)).edges?.length, drawn.edges.length);
      }),
      { numRuns: 60 },
    );
  });
});

describe('the picture', () => {
  /** Sixty routes in eight pipelines, each of a few of twenty types. */
  const many = (): Graph => {
    const routes = Array.from({ length: 60 }, (_, at) =>
      routeOf({
        pipeline: `team-${at % 8}`,
        id: `route-${at}`,
        on: [`type.${(at * 7) % 20}`, ...(at % 3 === 0 ? [`type.${(at * 11) % 20}`] : [])],
        handler: ['webhook', 'email', 'log'][at % 3] ?? '',
      }),
    );
    return graph(routes, [], { deadLetters: true });
  };

  test('is the same each time', () => {
    assert.equal(toSvg(many()), toSvg(many()));
  });

  test('says in words what it shows, and has colours for light and dark', () => {
    const text = toSvg(many());
    assert.match(text, /role="img" aria-labelledby="eventflow-title eventflow-desc"/);
    assert.match(
      text,
      /<desc id="eventflow-desc">From left to right: 20 event types; 60 routes in 8 pipelines; 3 handlers\.</,
    );
    assert.match(text, /@media \(prefers-color-scheme: dark\)/);
  });

  test('of nothing is a picture all the same', () => {
    assertXml(toSvg(graph([])));
    assertMermaid(toMermaid(graph([])));
  });

  const box = (id: string, layer: number, frame?: string) => ({ id, layer, width: 80, height: 28, frame });
  const options = { gap: 16, padding: 12, heading: 16, lead: [0, 72, 72, 72] };
  type Area = { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  const apart = (a: Area, b: Area): boolean =>
    a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y + 1e-6 || b.y + b.height <= a.y + 1e-6;

  test('has no two boxes or frames upon each other, and every box in its frame', () => {
    const wiring = fc.array(fc.tuple(fc.nat(9), fc.nat(29), fc.nat(4), fc.boolean()), { maxLength: 80 });
    fc.assert(
      fc.property(wiring, (picks) => {
        const boxes = [
          ...Array.from({ length: 10 }, (_, at) => box(`t${at}`, 0)),
          ...Array.from({ length: 30 }, (_, at) => box(`r${at}`, 1, `f${at % 4}`)),
          ...Array.from({ length: 5 }, (_, at) => box(`h${at}`, 2)),
          box('d', 3),
        ];
        const wires = picks.flatMap(([t, r, h, dead]) => [
          { from: `t${t}`, to: `r${r}` },
          { from: `r${r}`, to: `h${h}` },
          ...(dead ? [{ from: `r${r}`, to: 'd' }] : []),
        ]);
        const layout = layOut(boxes, wires, options);
        const areas = [...layout.boxes.values()];
        const frames = [...layout.frames.values()];
        for (const all of [areas, frames]) {
          for (const [at, a] of all.entries()) {
            for (const b of all.slice(at + 1)) assert.ok(apart(a, b), JSON.stringify([a, b]));
          }
        }
        for (const { id, frame } of boxes) {
          const [area, around] = [layout.boxes.get(id), layout.frames.get(frame ?? '')];
          assert.ok(area !== undefined && area.y >= -1e-6);
          if (frame === undefined) continue;
          assert.ok(around !== undefined && area.y >= around.y && area.y + area.height <= around.y + around.height);
        }
        assert.ok(layout.wires.every((points) => points.length >= 2 && points.every(({ y }) => Number.isFinite(y))));
      }),
      { numRuns: 60 },
    );
  });

  test('puts what belongs together at one height', () => {
    const layout = layOut(
      [box('a', 0), box('b', 0), box('c', 1), box('d', 1)],
      [
        { from: 'a', to: 'd' },
        { from: 'b', to: 'c' },
      ],
      options,
    );
    assert.equal(layout.boxes.get('a')?.y, layout.boxes.get('d')?.y);
    assert.equal(layout.boxes.get('b')?.y, layout.boxes.get('c')?.y);
  });
});
