/** `eventflow explain [code]`: the long answer to a code. */
import type { Command } from 'commander';
import { type Example, examples } from '../config/examples.ts';
import { nearest } from '../config/suggest.ts';
import { catalogue, type ErrorCode, retiredCodes } from '../errors.ts';
import { exit, Failure } from './exit.ts';
import { jsonOption } from './options.ts';
import { paint, print, printJson, shorten, table } from './output.ts';

const isCode = (code: string): code is ErrorCode => Object.hasOwn(catalogue, code);

function unknown(code: string): Failure {
  const version = retiredCodes[code];
  if (version !== undefined) return new Failure(exit.failed, `${code} is out of use since ${version}`);
  const near = nearest(code, Object.keys(catalogue));
  return new Failure(
    exit.failed,
    `expected a code such as EF2003, got ${JSON.stringify(code)}${near === undefined ? '' : `: did you mean ${near}?`}`,
  );
}

function list(json: boolean | undefined): void {
  const entries = Object.entries(catalogue).map(([code, { title, help }]) => ({ code, title, help }));
  if (json) printJson(entries);
  else
    print(
      table(
        ['CODE', 'TITLE'],
        entries.map(({ code, title }) => [code, title]),
      ),
    );
}

const shownLines = 12;

/** Indented, and of what is long or unprintable only the beginning: a few examples are about just that. */
const block = (lines: string): string =>
  lines
    .split('\n')
    .slice(0, shownLines)
    .map((line) => `    ${shorten(line.replaceAll('\0', '\\0'), 110)}`)
    .join('\n');

const exampleText = ({ place, wrong, right }: Example): string =>
  `\n\nWrong, in a ${place}:\n\n${block(wrong)}\n\nRight:\n\n${block(right)}`;

function explain(text: string | undefined, { json }: { readonly json?: boolean }): void {
  if (text === undefined) return list(json);
  const code = text.toUpperCase();
  if (!isCode(code)) throw unknown(code);
  const { title, help } = catalogue[code];
  const example = examples[code];
  if (json) printJson({ code, title, help, ...(example === undefined ? {} : { example }) });
  else print(`${paint('bold', `${code}: ${title}`)}\n\n${help}${example === undefined ? '' : exampleText(example)}`);
}

export function define(program: Command): void {
  program
    .command('explain')
    .description('explains an error code; without one, lists them all')
    .argument('[code]', 'such as EF2003')
    .addOption(jsonOption())
    .action(explain);
}
