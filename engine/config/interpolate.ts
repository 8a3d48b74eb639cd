/**
 * References in scalar values: `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, `${file:/path}`, and `$${` for a literal
 * `${`. Works on parsed values, never on the text: a value with a line break in it stays one string.
 */
import { resolve } from 'node:path';
import { isSecretName } from './credentials.ts';
import type { Reading } from './reading.ts';

export interface ReferenceFault {
  readonly code: 'EF1013' | 'EF1014' | 'EF1015' | 'EF1018';
  /** What stands in the file, and how many of the same stood before it: enough to find its column. */
  readonly raw: string;
  readonly nth: number;
  readonly message: string;
  readonly help: string;
}

export interface Interpolated {
  readonly value: string;
  /** The references by name, without defaults: `${SMTP_PORT}`. Empty: the value is plain text. */
  readonly references: readonly string[];
  /** What the references stand for, where that is a secret by the name of the variable or because it comes from a file. */
  readonly secrets: readonly string[];
  /** The whole value is one reference, so that a number or a boolean may be meant. */
  readonly whole: boolean;
  readonly faults: readonly ReferenceFault[];
  /** Offline: some reference has no value here, and stands for itself. */
  readonly unfilled: boolean;
}

const opening = /\$\$\{|\$\{([^}]*)(\}?)/g;
const variable = /^([A-Za-z_][A-Za-z0-9_]*)(?::([-?])([\s\S]*))?$/;

type Answer =
  | { readonly value: string; readonly name: string; readonly isSecret: boolean }
  | { readonly code: ReferenceFault['code']; readonly name: string; readonly message: string; readonly help: string };

function readSecret(path: string, folder: string, reading: Reading): Answer {
  const name = `\${file:${path}}`;
  const content = reading.secretFile(resolve(folder, path));
  if (content.ok) return { name, value: content.bytes.toString('utf8').replace(/\r?\n$/, ''), isSecret: true };
  const message = `expected a readable file at ${JSON.stringify(path)}, got: ${content.reason}`;
  return {
    name,
    code: 'EF1015',
    message,
    help: 'check the path and who may read it; relative paths start at this file',
  };
}

function readVariable(name: string, kind: string | undefined, text: string, reading: Reading): Answer {
  const shown = `\${${name}}`;
  const value = reading.env[name];
  if (value !== undefined && (value !== '' || kind === undefined)) {
    return { name: shown, value, isSecret: isSecretName(name) };
  }
  if (kind === '-') return { name: shown, value: text, isSecret: false };
  const state = value === undefined ? 'is not set' : 'is empty';
  const why = kind === '?' && text !== '' ? `: ${text}` : '';
  const help = `set ${name}, or give a default: \${${name}:-…}`;
  return { name: shown, code: 'EF1013', message: `the environment variable ${name} ${state}${why}`, help };
}

const nested: Answer = {
  name: '${…}',
  code: 'EF1014',
  message: 'expected a default that is plain text, got a reference in it',
  help: 'defaults are literal: write ${NAME:-text}, or ask for one variable that is always set',
};

function answer(inside: string, folder: string, reading: Reading): Answer {
  if (inside.startsWith('file:') && inside.length > 5) return readSecret(inside.slice(5), folder, reading);
  const [, name, kind, text = ''] = variable.exec(inside) ?? [];
  if (text.includes('${')) return nested;
  if (name !== undefined) return readVariable(name, kind, text, reading);
  const message = 'expected ${NAME}, ${NAME:-default}, ${NAME:?message} or ${file:/path}';
  return { name: '${…}', code: 'EF1014', message, help: 'write $${ where a literal ${ is meant' };
}

const tooMuch = (raw: string, nth: number): ReferenceFault => ({
  code: 'EF1018',
  raw,
  nth,
  message: 'expected references that stand for little text, got too much before this one',
  help: 'use fewer of them, or variables with shorter values',
});

/** Beyond this a text full of references is answered as a whole. */
const mostReferences = 1_000;

/** `folder` is where relative paths of `${file:…}` start; `room` is how many characters may come out. */
export function interpolate(
  text: string,
  folder: string,
  reading: Reading,
  room: number = Number.POSITIVE_INFINITY,
): Interpolated {
  if (!text.includes('${'))
    return { value: text, references: [], secrets: [], whole: false, faults: [], unfilled: false };
  const references: string[] = [];
  const secrets: string[] = [];
  const faults: ReferenceFault[] = [];
  const seen = new Map<string, number>();
  let [whole, left, unfilled] = [false, room - text.length, false];
  const value = text.replace(opening, (raw: string, inside: string | undefined, closed: string) => {
    if (inside === undefined) return '${';
    const nth = seen.get(raw) ?? 0;
    seen.set(raw, nth + 1);
    whole = raw === text;
    if (left < 0 || references.length >= mostReferences) {
      if (faults.at(-1)?.code !== 'EF1018') faults.push(tooMuch(raw, nth));
      return '';
    }
    const found = answer(closed === '' ? '' : inside, folder, reading);
    references.push(found.name);
    if ('value' in found) {
      left -= found.value.length;
      if (found.isSecret) secrets.push(found.value);
      return left < 0 ? '' : found.value;
    }
    if (reading.offline && found.code !== 'EF1014') {
      unfilled = true;
      return raw;
    }
    faults.push({ code: found.code, raw, nth, message: found.message, help: found.help });
    return '';
  });
  return { value, references, secrets, whole, faults, unfilled };
}
