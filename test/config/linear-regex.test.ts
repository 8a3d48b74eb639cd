/** The engine's own regular expressions against those of the language, and what they refuse. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRegex, PatternError } from '../../engine/config/cel/linear-regex.ts';
import { dice } from '../../engine/pipeline-test/dice.ts';

const atoms = ['a', 'b', '.', '[ab]', '[^a]', '[a-c_]', '\\d', '\\w', '\\S', '\\s', '\\.', '^', '$', '\\b', 'é', '😀'];
const repeats = ['', '', '', '*', '+', '?', '{2}', '{1,3}', '{2,}', '*?', '+?'];
const letters = ['a', 'b', 'c', '1', '_', ' ', '.', 'é', '😀', '\n'];

function pattern(random: () => number, depth = 0): string {
  const pick = (from: readonly string[]): string => from[Math.floor(random() * from.length)] ?? '';
  const count = 1 + Math.floor(random() * 3);
  const parts = Array.from({ length: count }, () => {
    const isGroup = depth < 3 && random() < 0.3;
    const atom = isGroup ? `(${random() < 0.5 ? '?:' : ''}${pattern(random, depth + 1)})` : pick(atoms);
    return ['^', '$', '\\b'].includes(atom) ? atom : atom + pick(repeats);
  });
  return random() < 0.25 ? `${parts.join('')}|${pattern(random, depth + 1)}` : parts.join('');
}

/** Some of the random ones are beyond the limit, and say so. */
function compiledOrTooLarge(source: string): ((text: string) => boolean) | undefined {
  try {
    return compileRegex(source);
  } catch (error) {
    if (error instanceof PatternError && error.message.endsWith('500 steps')) return undefined;
    throw error;
  }
}

test('a pattern answers as that of the language does', () => {
  const seed = Number(process.env['EVENTFLOW_TEST_SEED'] ?? Date.now() % 1_000_000);
  console.log(`# EVENTFLOW_TEST_SEED=${seed}`);
  const random = dice(seed);
  for (let round = 0; round < 2_000; ) {
    const source = pattern(random);
    const ours = compiledOrTooLarge(source);
    if (ours === undefined) continue;
    round += 1;
    const theirs = new RegExp(source, 'u');
    for (let n = 0; n < 8; n++) {
      const text = Array.from({ length: Math.floor(random() * 6) }, () => letters[Math.floor(random() * 10)]).join('');
      assert.equal(ours(text), theirs.test(text), `${source} on ${JSON.stringify(text)}`);
    }
  }
});

test('(?i) in front takes the letters of the alphabet in either case', () => {
  const test = compileRegex('(?i)^order-[a-z]+$');
  assert.deepEqual(['ORDER-x', 'order-Xy', 'Order-1'].map(test), [true, true, false]);
});

const refused: readonly (readonly [string, RegExp, number])[] = [
  ['(a', /^expected a \) for this \($/, 2],
  ['a)', /^expected no \) without its \($/, 1],
  ['(?=a)', /^expected a plain group/, 2],
  ['(?<n>a)', /^expected a plain group/, 2],
  ['(a)\\1', /^expected an escape that stands for a character, got \\1$/, 5],
  ['[a', /^expected more of the pattern, got its end$/, 2],
  ['a**', /^expected one repetition, got two of them$/, 3],
  ['+a', /^expected something before \+$/, 0],
  ['[b-a]', /^expected a range to start with its lower end$/, 4],
  ['a{2,1}', /^expected \{ \} to hold the lower number first$/, 1],
  ['a{1000}', /^expected at most 100 repetitions in \{ \}$/, 1],
  ['(((((((((((((((((((((a)))))))))))))))))))))', /^expected at most 20 groups in each other$/, 21],
  ['(a{100}){100}', /^expected a pattern of at most 500 steps$/, 0],
];

for (const [source, message, at] of refused) {
  test(`${source} is refused`, () => {
    assert.throws(
      () => compileRegex(source),
      (error) => error instanceof PatternError && message.test(error.message) && error.at === at,
    );
  });
}

test('nothing a hundred times a hundred times is compiled at once', () => {
  assert.equal(compileRegex(`${'('.repeat(15)}${'){100}'.repeat(15)}b`)('b'), true);
});

test('a long text is read to its end, and what is paid for it can stop it', () => {
  const text = 'b'.repeat(200_000);
  let looks = 0;
  assert.equal(compileRegex('a', (more) => (looks += more))(text), false);
  assert.ok(looks >= text.length - 1_000 && looks <= 3 * text.length, `${looks} looks`);
  const stop = (): never => {
    throw new Error('enough');
  };
  assert.throws(() => compileRegex('a', stop)(text), /^Error: enough$/);
});

const letterCodes = Array.from({ length: 128 }, (_, code) => code);
const named: Readonly<Record<string, RegExp>> = {
  alnum: /[0-9A-Za-z]/,
  alpha: /[A-Za-z]/,
  ascii: /\p{ASCII}/u,
  blank: /[\t ]/,
  cntrl: /\p{Cc}/u,
  digit: /[0-9]/,
  graph: /[!-~]/,
  lower: /[a-z]/,
  print: /[ -~]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /[\t\n\v\f\r ]/,
  upper: /[A-Z]/,
  word: /\w/,
  xdigit: /[0-9A-Fa-f]/,
};

for (const [name, letters] of Object.entries(named)) {
  test(`[:${name}:] is what RE2 takes it for, and so are its opposites`, () => {
    const [inside, not, outside] = [`[[:${name}:]]`, `[[:^${name}:]]`, `[^[:${name}:]]`].map((set) =>
      compileRegex(set),
    );
    for (const code of [...letterCodes, 0xe9, 0x1f600]) {
      const letter = String.fromCodePoint(code);
      const fits = letters.test(letter);
      assert.deepEqual([inside?.(letter), not?.(letter), outside?.(letter)], [fits, !fits, !fits], `code ${code}`);
    }
  });
}

test('a named class stands beside others in a set', () => {
  const test = compileRegex('^[[:alpha:]_.[:digit:]-]+$');
  assert.deepEqual(['abc', 'a_1.-', 'a:', '[a]'].map(test), [true, true, false, false]);
  assert.deepEqual(['ABC', 'a1'].map(compileRegex('(?i)^[[:lower:]]+$')), [true, false]);
  assert.equal(compileRegex('^[:a]+$')('a:'), true);
});

test('a named class that nobody knows is refused at its place', () => {
  assert.throws(
    () => compileRegex('a[[:letter:]]'),
    (error) =>
      error instanceof PatternError &&
      /^expected alnum, .* in \[: :\], got letter$/.test(error.message) &&
      error.at === 2,
  );
});
