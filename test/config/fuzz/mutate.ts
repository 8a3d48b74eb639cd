/** What editors, merges, copies and attackers do to a file. */
import type { Dice } from '../../simulation/dice.ts';

const shards = [
  ...['[', ']', '{', '}', ': ', '- ', '? ', ',', '"', "'", '|', '>', '#', '&a ', '*a', '<<: *a', '!!binary ', '!x '],
  ...['\t', '\n', '\r\n', '\n\n', '  ', '\u0000', '\u0007', '\ufeff', '\u2028', '🦀', '---\n', '...\n', '%YAML 1.2\n'],
  ...['null', '~', 'true', '.inf', '.nan', '1e999', '0x10', '1_000', '-0', '""', '{}', '[]', '9'.repeat(400)],
  ...['${', '${A}', '${A:-b}', '${NONE:?why}', '${file:/etc/hostname}', '$${', '{{', '}}', '{% if %}', '{{ x | y }}'],
  ...['routes:', 'on: [order.*]', 'handler: mailer', 'retry: false', 'when: event.data.x > 1', 'with: { to: a@b.c }'],
  ...['__proto__: { a: 1 }', 'constructor: x', 'x-a: &a { b: *a }', 'id: receipt', 'enabled: false', 'use: standard'],
];

type Change = (text: string, dice: Dice, other: string) => string;

const spot = (text: string, dice: Dice): number => dice.between(0, text.length);
const piece = (text: string, dice: Dice, longest = 80): string => {
  const start = spot(text, dice);
  return text.slice(start, start + dice.between(1, longest));
};
const put = (text: string, at: number, what: string, cut = 0): string =>
  text.slice(0, at) + what + text.slice(at + cut);

function onLines(text: string, change: (lines: string[]) => void): string {
  const lines = text.split('\n');
  change(lines);
  return lines.join('\n');
}

const changes: readonly Change[] = [
  (text, dice) => put(text, spot(text, dice), dice.pick(shards)),
  (text, dice) => put(text, spot(text, dice), dice.pick(shards), dice.between(1, 30)),
  (text, dice) => put(text, spot(text, dice), '', dice.between(1, 60)),
  (text, dice) => put(text, spot(text, dice), piece(text, dice)),
  (text, dice, other) => put(text, spot(text, dice), piece(other, dice, 400)),
  (text, dice, other) => text.slice(0, spot(text, dice)) + other.slice(spot(other, dice)),
  (text, dice) => text.slice(0, spot(text, dice)),
  (text, dice) => onLines(text, (lines) => lines.splice(dice.between(0, lines.length), 1)),
  (text, dice) => onLines(text, (lines) => lines.splice(dice.between(0, lines.length), 0, dice.pick(lines))),
  (text, dice) =>
    onLines(text, (lines) => {
      const at = dice.between(0, lines.length - 1);
      lines[at] = dice.chance(0.5) ? ` ${lines[at]}` : (lines[at] ?? '').slice(1);
    }),
  (text, dice) =>
    onLines(text, (lines) => {
      const [a, b] = [dice.between(0, lines.length - 1), dice.between(0, lines.length - 1)];
      [lines[a], lines[b]] = [lines[b] ?? '', lines[a] ?? ''];
    }),
  (text, dice) => put(text, spot(text, dice), dice.pick(shards).repeat(dice.pick([2, 10, 50, 400]))),
  (text, dice) => put(text, spot(text, dice), piece(text, dice).repeat(dice.pick([2, 5, 20]))),
  (text) => text.replaceAll('\n', '\r\n'),
];

/** A file made from `text`, and now and then from parts of `other`; some are no longer UTF-8. */
export function mutate(text: string, other: string, dice: Dice): Buffer {
  let changed = text;
  for (let left = dice.pick([1, 1, 1, 2, 2, 3, 6]); left > 0; left--)
    changed = dice.pick(changes)(changed, dice, other);
  const bytes = Buffer.from(changed);
  if (dice.chance(0.05) && bytes.length > 0) bytes[dice.between(0, bytes.length - 1)] = dice.between(0, 255);
  return bytes;
}
