/**
 * Texts within the limit of 256 KiB that take a careless reader seconds: each repeats what some parser, validator or
 * check does with the square of it.
 */
const head = 'apiVersion: eventflow/v1\nkind: Pipeline\nname: a\n';
/** Just below the limit. */
const room = 256 * 1024 - 200;
const fill = (unit: string): string => unit.repeat(Math.floor(room / unit.length));
const seq = (count: number, one: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => one(at)).join('');

export const hostileTexts: Readonly<Record<string, string>> = {
  'long word': `${head}transf${'9'.repeat(60_000)}: 1\n`,
  'words with dashes': `${head}description: ${'a-'.repeat(100_000)}\n`,
  'addresses in a row': `${head}x: [${'redis://'.repeat(30_000)}\n`,
  'queries in a row': `${head}x: [${'?password='.repeat(20_000)}\n`,
  'unknown-keys-5000': `${head + seq(2400, (i) => `k${i}: v\n`)}routes: []\n`,
  'unknown-long-keys': head + seq(2400, (i) => `k${'x'.repeat(95)}${i}: v\n`),
  'route-unknown-keys': `${head}routes:\n  - id: a\n${seq(2400, (i) => `    maxAttemptss${'y'.repeat(70)}${i}: v\n`)}`,
  'aliases-2400': `${head}x-a: &a 1\nx-b:\n${seq(4700, (_i) => `  - *a\n`)}`,
  'anchors-aliases': `${head}x-b:\n${seq(2300, (i) => `  - &a${i} 1\n`)}${seq(2300, (i) => `  - *a${i}\n`)}`,
  'one-scalar': `${head}description: "${'a'.repeat(room - 100)}"\nroutes: []\n`,
  'plain-multiline': `${head}description: \n${fill('  ab\n')}`,
  'plain-multiline-blank': `${head}description: a\n${fill('\n')}`,
  'dq-multiline': `${head}description: "${fill('\\\n a\n')}"`,
  'dq-multi2': `${head}description: "${fill('a\n')}"`,
  'dq-multi3': `${head}description: "${fill(' a\n\n')}"`,
  'dq-escapes': `${head}description: "${fill('\\u0041')}"`,
  sq: `${head}description: '${fill("''")}'`,
  'unclosed dq': `${head}description: "${fill('a\n')}`,
  'unclosed sq': `${head}description: '${fill('a ')}`,
  block: `${head}description: |\n${fill('  a\n')}`,
  folded: `${head}description: >\n${fill('  a\n')}`,
  folded2: `${head}description: >\n${fill('  a\n\n   b\n')}`,
  'block-blank': `${head}description: |\n${fill('\n')}`,
  comments: `${head + fill('#\n')}routes: []\n`,
  comments2: `${head}routes:\n${fill('  #\n')}`,
  comments3: `${head}x-a:\n${fill('  - a #b\n').slice(0, 40000)}`,
  spaces: `${head}a:${fill(' ')}`,
  'spaces lines': head + fill('    \n'),
  tabs: head + fill('\t\n'),
  tabs2: `${head}a:${fill('\t')}`,
  cr: head + fill('\r'),
  crlf: head + fill('\r\n'),
  refs: `${head}description: "${fill('${A}')}"`,
  'refs-missing': `${head}description: "${fill('${Q}')}"`,
  'refs-open': `${head}description: "${fill('${')}"`,
  'refs-nested': `${head}description: "${fill('${a')}"`,
  'refs-default': `${head}description: "${fill('${A:-')}"`,
  'errors-many': head + fill('a: b: c\n'),
  'errors-many2': head + fill('}\n'),
  'errors-many3': head + fill('- a\nb: c\n').slice(0, 40000),
  'errors-tag': head + seq(4900, (i) => `k${i}: !x v\n`),
  docs: fill('---\n'),
  docs2: fill('---\na\n'),
  docs3: fill('...\n'),
  directives: fill('%YAML 1.2\n'),
  'directives-tag': `${seq(12000, (i) => `%TAG !${i}! tag:x,2000:\n`)}---\na: 1\n`,
  'anchor-long': `${head}a: &${fill('a')} 1`,
  'tag-long': `${head}a: !${fill('a')} 1`,
  'anchors-many': `${head}a: ${fill('&a ')}`,
  'tags-many': `${head}a: ${fill('! ')}`,
  props: `${head}a: ${fill('&a !b ')}`,
  'dup keys': head + seq(2400, (_i) => `k: v\n`),
  'flow-commas': `${head}a: [${fill(',')}`,
  'flow-nl': `${head}a: [${fill('\n')}]`,
  'flow-many': `${head}a: [${seq(4900, (_i) => 'a,')}]`,
  'flow-pairs': `${head}a: [${seq(2400, (_i) => 'a: b,')}]`,
  'flow-map': `${head}a: {${seq(2400, (i) => `a${i}: b,`)}}`,
  'flow-colon': `${head}a: {${fill(':')}`,
  'flow-colon2': `${head}a: {${fill(': ')}`,
  'flow-q': `${head}a: {${fill('? ')}`,
  'flow-close': `${head}a: ${fill(']')}`,
  'flow-openclose': `${head}a: [${fill('[],')}`,
  'flow-openclose2': `${head}a: ${fill('[]')}`,
  'flow-openclose3': `${head}a: [${fill('[] ')}`,
  'openclose-lines': `${head}a:\n${fill('  - []\n')}`,
  'null items': `${head}a:\n${fill('  -\n')}`,
  'null keys': `${head}a:\n${fill('  :\n')}`,
  explicit: `${head}a:\n${fill('  ?\n')}`,
  colons: `${head}a${fill(':')}`,
  colons2: head + fill(': '),
  dashes: head + fill('-'),
  'merge-chain': `${head}x-0: &m0 {a: 1}\n${seq(1000, (i) => `x-${i + 1}: &m${i + 1}\n  <<: *m${i}\n  b${i}: 1\n`)}`,
  'merge-wide': `${head}x-0: &m\n${seq(500, (i) => `  k${i}: 1\n`)}x-1:\n  <<: [${seq(8, () => '*m,')}]\n`,
  'merge-list': `${head}x-0: &m {a: 1}\nx-1:\n  <<: [${seq(2300, () => '*m,')}]\n`,
  uniq:
    head +
    'routes:\n  - id: a\n    handler: mailer\n    on: [' +
    seq(4500, (i) => `a${i},`) +
    ']\n    with: {to: a@b.c}\n',
  'uniq-maps':
    head +
    'routes:\n  - id: a\n    handler: mailer\n    on: [' +
    seq(2200, (i) => `{a: ${i}},`) +
    ']\n    with: {to: a@b.c}\n',
  routes: `${head}routes:\n${seq(600, (i) => `  - id: r${i}\n    handler: mailer\n    on: [a]\n    with: {to: a@b.c}\n`)}`,
  'routes-broken': `${head}routes:\n${seq(1200, (i) => `  - di: r${i}\n    handlr: mailer\n`)}`,
  'routes-empty': `${head}routes:\n${seq(4900, (_i) => `  - {}\n`)}`,
  'routes-null': `${head}routes:\n${seq(4900, (_i) => `  -\n`)}`,
  types:
    head +
    'eventTypes:\n' +
    seq(2000, (i) => `  t${i}.${'a'.repeat(60)}:\n`) +
    'routes:\n  - id: a\n    handler: mailer\n    with: {to: a@b.c}\n    on: [' +
    seq(2000, (i) => `u${i}.${'a'.repeat(60)},`) +
    ']\n',
  'types-stars':
    head +
    'eventTypes:\n' +
    seq(1200, (i) => `  ${'a.'.repeat(40)}b${i}:\n`) +
    'routes:\n  - id: a\n    handler: mailer\n    with: {to: a@b.c}\n    on: [' +
    seq(1200, (i) => `"${'**.'.repeat(20)}c${i}",`) +
    ']\n',
  handlers: `${head}routes:\n${seq(800, (i) => `  - id: r${i}\n    handler: ${'m'.repeat(90)}${i}\n    on: [a]\n`)}`,
  policies:
    head +
    'policies:\n  retry:\n' +
    seq(2000, (i) => `    ${'p'.repeat(60)}${i}: {}\n`) +
    'routes:\n  - {id: a, on: [a], handler: mailer, retry: zzz, with: {to: a@b.c}}\n',
  'policies-use':
    head +
    'policies:\n  retry:\n' +
    seq(1000, (i) => `    ${'p'.repeat(60)}${i}:\n`) +
    'routes:\n' +
    seq(400, (i) => `  - {id: a${i}, on: [a], handler: mailer, retry: ${'q'.repeat(60)}${i}, with: {to: a@b.c}}\n`),
  'retry-many':
    head +
    'defaults: {retry: {maxAttempts: 1000000000, initialInterval: 1ms, maxElapsed: 365d}, maxAge: 1s}\nroutes:\n' +
    seq(600, (i) => `  - id: r${i}\n    handler: mailer\n    on: [a]\n    with: {to: a@b.c}\n`),
  'long-number': `${head}a: ${'1'.repeat(room - 100)}`,
  'long-float': `${head}a: 0.${'1'.repeat(room - 100)}`,
  'long-hex': `${head}a: 0x${'1'.repeat(room - 100)}`,
  'long-digits-dash': `${head}a: ${'1-'.repeat(room / 2 - 100)}`,
  'long-key': `${head + 'a'.repeat(room - 100)}: 1`,
  emoji: `${head}a: ${'🦀'.repeat(50000)}`,
  combining: `${head}description: ${'e\u0301'.repeat(80000)}`,
  durations: `${head}defaults: { timeout: ${'1'.repeat(room - 100)}s }`,
  'x-range': `${head}defaults: { timeout: "${'9s'.repeat(room / 2 - 100)}" }`,
  'name long': `apiVersion: eventflow/v1\nkind: Pipeline\nname: ${'a'.repeat(room - 100)}\nroutes: []\n`,
  'lines-diag': `${head}routes:\n${seq(4000, (_i) => `  - 1\n`)}${'\n'.repeat(200000)}`,
  liquid: `${head}routes:\n  - {id: a, on: [a], handler: mailer, with: {to: "${fill('{{ a }}').slice(0, 200000)}"}}\n`,
  'liquid-open':
    head +
    'routes:\n  - {id: a, on: [a], handler: mailer, with: {to: "' +
    fill('{% if a %}').slice(0, 200000) +
    '"}}\n',
  'liquid-brace': `${head}routes:\n  - {id: a, on: [a], handler: mailer, with: {to: "${fill('{{').slice(0, 200000)}"}}\n`,
};
