import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { ReadReply } from '../../engine/bus/redis/read-reply.ts';
import { Tap } from '../../engine/bus/redis/tap.ts';

const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
const list = (items: readonly string[]): string => `*${items.length}\r\n${items.join('')}`;
const entry = (id: string, fields: readonly string[]): string => list([bulk(id), list(fields.map(bulk))]);

const reply = [
  [
    'ef:{order.paid:0}:events',
    [
      ['1-0', ['d', '{"note":"ünï\r\n$5"}']],
      ['1-1', ['d', '', 'm', 'x']],
    ],
  ],
  ['ef:{order.paid:0}:due', [['2-0', ['data', '7']]]],
] as const;
const bytes = Buffer.from(
  list(reply.map(([key, entries]) => list([bulk(key), list(entries.map(([id, fields]) => entry(id, fields)))]))),
);

test('a reply is the same wherever it was cut into chunks', () => {
  for (let first = 0; first <= bytes.length; first += 1) {
    for (const second of [first, Math.min(first + 7, bytes.length)]) {
      const reader = new ReadReply();
      const chunks = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
      const answers = chunks.filter(({ length }) => length > 0).map((chunk) => reader.feed(chunk));
      assert.deepEqual(answers.at(-1), reply);
      assert.ok(answers.slice(0, -1).every((answer) => answer === undefined));
    }
  }
});

test('nothing in time is null, and an entry that was deleted has no fields', () => {
  assert.equal(new ReadReply().feed(Buffer.from('*-1\r\n')), null);
  const deleted = Buffer.from(list([list([bulk('k'), list([list([bulk('1-0'), '*-1\r\n'])])])]));
  assert.deepEqual(new ReadReply().feed(deleted), [['k', [['1-0', null]]]]);
});

test('what Redis refuses is an error with its words, also when it comes in pieces', () => {
  const reader = new ReadReply();
  assert.equal(reader.feed(Buffer.from('-NOGROUP no ')), undefined);
  const answer = reader.feed(Buffer.from('such key\r\n'));
  assert.ok(answer instanceof Error);
  assert.equal(answer.message, 'NOGROUP no such key');
});

test('bytes that are no reply to a read, or more than one, are not taken for one', () => {
  assert.throws(() => new ReadReply().feed(Buffer.from('+OK and more\r\n')), /expected \*/);
  assert.throws(() => new ReadReply().feed(Buffer.concat([bytes, Buffer.from(':1\r\n')])), /4 bytes more/);
});

test('a client that listens to its socket in another way is left to read by itself', () => {
  const socket = new Socket();
  assert.equal(Tap.on(socket), undefined);
  assert.equal(socket.listenerCount('data'), 0);
  socket.on('data', () => undefined);
  assert.ok(Tap.on(socket) instanceof Tap, 'where the decoder listens, it is taken over');
});
