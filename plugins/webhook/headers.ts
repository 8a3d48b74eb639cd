/** The headers of a request: fixed ones worked out once, templates rendered per event. */
import { type HandlerContext, permanent } from 'eventflow/plugin';
import type { WebhookOptions } from './options.ts';

type Scope = Readonly<Record<string, unknown>>;
type Headers = Record<string, string>;

/** The connection's own, and those that say what was signed. */
const reserved = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'upgrade',
  'expect',
  'te',
  'trailer',
  'webhook-id',
  'webhook-timestamp',
  'webhook-signature',
]);

function authorization({ auth }: WebhookOptions): Headers {
  if (auth === undefined) return {};
  if (auth.bearer !== undefined && auth.username !== undefined) {
    throw new Error('expected auth to have either bearer, or username and password, got both');
  }
  if (auth.bearer !== undefined) return { authorization: `Bearer ${auth.bearer}` };
  const pair = Buffer.from(`${auth.username ?? ''}:${auth.password ?? ''}`).toString('base64');
  return { authorization: `Basic ${pair}` };
}

/** A value that a header can carry: line breaks become spaces, what is not Latin-1 is refused. */
function headerValue(name: string, value: string): string {
  const line = value.replace(/[\r\n\0]+/g, ' ').trim();
  if (/^[\t\x20-\x7e\x80-\xff]*$/.test(line)) return line;
  throw permanent(new Error(`expected the header ${name} to be printable Latin-1 text, got other characters`));
}

/** Adds the headers of the options to `headers`. Throws at once on a name that is not free to use. */
export function compileHeaders(
  options: WebhookOptions,
  { templates }: HandlerContext,
): (scope: Scope, headers: Headers) => void {
  const fixed: Headers = { 'user-agent': 'EventFlow', ...authorization(options) };
  const rendered: { name: string; render: (scope: Scope) => string }[] = [];
  for (const [written, value] of Object.entries(options.headers ?? {})) {
    const name = written.toLowerCase();
    if (reserved.has(name)) throw new Error(`expected another header than ${written}, which is set by the engine`);
    if (name === 'authorization' && options.auth !== undefined)
      throw new Error('expected either auth or a header Authorization, got both');
    if (!/\{[{%]/.test(value)) {
      fixed[name] = headerValue(name, value);
      continue;
    }
    const template = templates.compile(value);
    rendered.push({ name, render: (scope) => headerValue(name, template.render(scope)) });
  }
  return (scope, headers) => {
    Object.assign(headers, fixed);
    for (const { name, render } of rendered) headers[name] = render(scope);
  };
}
