/** Questions to a person at a terminal. Nobody else is asked anything. */
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { exit, Failure } from './exit.ts';

export interface Asking {
  /** One of `choices`, by its number or its name; the first when nothing is typed. */
  choose<T extends string>(question: string, choices: Readonly<Record<T, string>>): Promise<T>;
  /** False when nothing is typed. */
  confirm(question: string): Promise<boolean>;
  close(): void;
}

/** Rejects with a `Failure` when the input ends before there is an answer. */
export function openAsking(input: Readable, output: Writable): Asking {
  const lines = createInterface({ input, output });
  // Lines that were typed ahead wait here for their question.
  const typed = lines[Symbol.asyncIterator]();
  const ask = async (question: string): Promise<string> => {
    output.write(question);
    const line = await typed.next();
    if (line.done === true) throw new Failure(exit.forced, 'nothing was written');
    return line.value.trim().toLowerCase();
  };
  return {
    async choose(question, choices) {
      const names = Object.keys(choices) as (keyof typeof choices)[];
      const width = Math.max(...names.map((name) => name.length));
      output.write(`${question}\n`);
      for (const [at, name] of names.entries()) output.write(`  ${at + 1}  ${name.padEnd(width)}  ${choices[name]}\n`);
      for (;;) {
        const answer = (await ask('1: ')) || '1';
        const found = names.find((name, at) => name === answer || `${at + 1}` === answer);
        if (found !== undefined) return found;
        output.write(`expected a number from 1 to ${names.length} or a name\n`);
      }
    },
    async confirm(question) {
      return /^y(es)?$/.test(await ask(`${question} [y/N] `));
    },
    close: () => lines.close(),
  };
}
