/**
 * Addresses, strictly: one mailbox per text, no quoted local parts, no comments, no groups. What an event puts into a
 * template can therefore never add a recipient or a header.
 */
import { permanent } from 'eventflow/plugin';

export interface Address {
  readonly name: string;
  readonly address: string;
}

const local = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const label = /^[\p{L}\p{N}]([\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?$/u;
const control = /[\p{Cc}\u2028\u2029]/u;

const refuse = (what: string, text: string, why: string): Error =>
  permanent(new Error(`expected ${what} to be one e-mail address, got ${JSON.stringify(text.slice(0, 80))}: ${why}`));

/** The text, when it is one line; `what` names it in the error. */
export function oneLine(what: string, text: string): string {
  const line = text.trim();
  if (!control.test(line)) return line;
  throw permanent(new Error(`expected ${what} to be one line, got a line break or control character in it`));
}

function checkMailbox(what: string, text: string): string {
  const at = text.lastIndexOf('@');
  const [name, domain] = [text.slice(0, at), text.slice(at + 1)];
  if (at < 1) throw refuse(what, text, 'there is no @ with something before it');
  if (text.length > 254 || name.length > 64) throw refuse(what, text, 'it is too long');
  if (!local.test(name)) throw refuse(what, text, 'there is something before the @ that may not be there');
  if (!domain.split('.').every((part) => label.test(part))) throw refuse(what, text, 'its domain is none');
  return text;
}

/** `ada@example.com` or `Ada Example <ada@example.com>`. Throws a permanent error that names `what`. */
export function parseAddress(what: string, text: string): Address {
  const line = oneLine(what, text);
  const named = /^(.*?)\s*<([^<>]*)>$/.exec(line);
  if (named === null) return { name: '', address: checkMailbox(what, line) };
  const name = (named[1] ?? '').replace(/^"(.*)"$/, '$1').replaceAll('\\"', '"');
  if (/[<>]/.test(name)) throw refuse(what, line, 'there is a < or > in the name');
  return { name, address: checkMailbox(what, named[2] ?? '') };
}
