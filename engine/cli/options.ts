/** The flags that several commands share, and how variables and texts become their values. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { wordsOf } from '../config/words.ts';
import { parseDuration } from '../core/duration.ts';

/** A flag with a value, and the variable that stands in for it. */
export const valued = (flags: string, variable: string, description: string): Option =>
  new Option(flags, description).env(variable);

/** A flag without a value. Its variable says `true` or `false` (see {@link readSwitches}). */
export const switched = (flags: string, variable: string, description: string): Option =>
  new Option(flags, description).env(variable);

/** Collects a flag that can be given several times; commas outside of braces part the values. */
export const repeatable = (flags: string, variable: string, description: string): Option =>
  new Option(flags, description)
    .env(variable)
    .argParser<string[]>((text, before) => [...(before ?? []), ...wordsOf(text)]);

const yes: ReadonlySet<string> = new Set(['1', 'true', 'yes', 'on']);
const no: ReadonlySet<string> = new Set(['', '0', 'false', 'no', 'off']);

/** commander takes the mere presence of a variable for `true`; here its text counts. */
export function readSwitches(command: Command): void {
  for (const option of command.options) {
    const name = option.attributeName();
    if (option.envVar === undefined || option.required || option.optional) continue;
    if (command.getOptionValueSource(name) !== 'env') continue;
    const text = (process.env[option.envVar] ?? '').toLowerCase();
    if (!yes.has(text) && !no.has(text)) {
      command.error(`error: expected ${option.envVar} to be true or false, got ${JSON.stringify(text)}`);
    }
    command.setOptionValueWithSource(name, yes.has(text), 'env');
  }
}

/** A whole number from `least` on. */
export const wholeNumber =
  (least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least) {
      throw new InvalidArgumentError(`Expected a whole number from ${least} on, got ${JSON.stringify(text)}.`);
    }
    return value;
  };

/** `500ms`, `2s`, `5m`: ms. */
export function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms === 0) {
    throw new InvalidArgumentError(`Expected a duration such as 2s, got ${JSON.stringify(text)}.`);
  }
  return ms;
}

/** `20`, `20/s` or `0.5/s`: events per second. */
export function perSecond(text: string): number {
  const value = Number(text.replace(/\/s$/, ''));
  if (!(value > 0)) throw new InvalidArgumentError(`Expected a rate such as 20/s, got ${JSON.stringify(text)}.`);
  return value;
}

/** Where the settings come from; every command that needs the bus or the pipelines takes these. */
export interface SettingsFlags {
  readonly bus?: string;
  readonly config?: string;
  readonly pipelines?: readonly string[];
  readonly envFile?: string;
}

export const busOption = (): Option =>
  valued(
    '--bus <url>',
    'EVENTFLOW_BUS',
    'sqlite:PATH, redis://HOST:PORT/DB, redis+sentinel://…, redis+cluster://… (default: sqlite:.eventflow/bus.db)',
  );

export const pipelinesOption = (): Option =>
  repeatable(
    '-p, --pipelines <glob|dir>',
    'EVENTFLOW_PIPELINES',
    'pipeline files; can be repeated (default: pipelines)',
  );

/** Adds `--config` and `--env-file`. */
export const withSettings = (command: Command): Command =>
  command
    .addOption(
      valued('-c, --config <file>', 'EVENTFLOW_CONFIG', 'the settings (default: eventflow.yaml, if there is one)'),
    )
    .addOption(valued('--env-file <file>', 'EVENTFLOW_ENV_FILE', 'variables; those of the environment win'));

export interface TargetFlags extends SettingsFlags {
  readonly admin?: string;
  readonly json?: boolean;
}

export const jsonOption = (): Option => switched('--json', 'EVENTFLOW_JSON', 'the data as JSON');

/** Flags of the commands that look into, or work on, a running system. */
export const withTarget = (command: Command): Command =>
  withSettings(
    command
      .addOption(busOption())
      .addOption(
        valued('--admin <url>', 'EVENTFLOW_ADMIN_URL', "a running engine's admin address, instead of the bus"),
      ),
  ).addOption(jsonOption());
