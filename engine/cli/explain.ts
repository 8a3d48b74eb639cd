/** `eventflow explain [code]`: the long answer to a code. */
import type { Command } from 'commander';
import { nearest } from '../config/suggest.ts';
import { catalogue, type ErrorCode, retiredCodes } from '../errors.ts';
import { exit, Failure } from './exit.ts';
import { jsonOption } from './options.ts';
import { paint, print, printJson, table } from './output.ts';

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

function explain(text: string | undefined, { json }: { readonly json?: boolean }): void {
  if (text === undefined) return list(json);
  const code = text.toUpperCase();
  if (!isCode(code)) throw unknown(code);
  const { title, help } = catalogue[code];
  if (json) printJson({ code, title, help });
  else print(`${paint('bold', `${code}: ${title}`)}\n\n${help}`);
}

export function define(program: Command): void {
  program
    .command('explain')
    .description('explains an error code; without one, lists them all')
    .argument('[code]', 'such as EF2003')
    .addOption(jsonOption())
    .action(explain);
}
