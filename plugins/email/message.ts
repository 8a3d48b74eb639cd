/** The message of one event, rendered and checked: nothing that an event says can change its structure. */
import { createHash } from 'node:crypto';
import { type EventEnvelope, type HandlerContext, permanent, type Template } from 'eventflow/plugin';
import { type Address, oneLine, parseAddress } from './address.ts';
import type { EmailOptions } from './options.ts';

export interface Message {
  readonly messageId: string;
  readonly from: Address;
  readonly to: Address[];
  readonly cc: Address[];
  readonly bcc: Address[];
  readonly replyTo?: Address;
  readonly subject: string;
  readonly text?: string;
  readonly html?: string;
  readonly headers: Record<string, string>;
  readonly attachments: { filename: string; content: string; contentType?: string }[];
}

type Scope = Readonly<Record<string, unknown>> & { readonly event: EventEnvelope };
type Part<T> = (scope: Scope) => T;

/** These have options of their own or are the library's. */
const reserved =
  /^(from|to|cc|bcc|reply-to|subject|sender|date|message-id|mime-version|return-path|received|dkim-signature|content-.*|resent-.*)$/i;

const listOf = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value;

class Compiler {
  readonly #context: HandlerContext;
  constructor(context: HandlerContext) {
    this.#context = context;
  }

  template(source: string, mode: 'html' | 'none' = 'none'): Template {
    return this.#context.templates.compile(source, { escape: mode });
  }

  line(what: string, source: string): Part<string> {
    const template = this.template(source);
    return (scope) => oneLine(what, template.render(scope));
  }

  address(what: string, source: string): Part<Address> {
    const template = this.template(source);
    return (scope) => parseAddress(what, template.render(scope));
  }

  /** A template that renders to nothing is a recipient left out. */
  addresses(what: string, sources: readonly string[]): Part<Address[]> {
    const all = sources.map((source) => this.template(source));
    return (scope) =>
      all
        .map((template) => template.render(scope))
        .filter((text) => text.trim() !== '')
        .map((text) => parseAddress(what, text));
  }

  headers(headers: EmailOptions['headers']): Part<Record<string, string>> {
    const all = Object.entries(headers ?? {}).map(([name, source]) => {
      if (reserved.test(name)) throw new Error(`expected another header than ${name}, which has an option of its own`);
      return { name, value: this.line(`the header ${name}`, source) };
    });
    return (scope) => Object.fromEntries(all.map(({ name, value }) => [name, value(scope)]));
  }

  attachments(attachments: EmailOptions['attachments']): Part<Message['attachments']> {
    const all = (attachments ?? []).map(({ filename, content, contentType }) => ({
      filename: this.line('the name of an attachment', filename),
      content: this.template(content),
      ...(contentType === undefined ? {} : { contentType }),
    }));
    return (scope) =>
      all.map(({ filename, content, ...rest }) => ({
        ...rest,
        filename: filename(scope),
        content: content.render(scope),
      }));
  }
}

/** The same in every attempt and after every crash, so that a mailbox can tell a repeat. */
function messageIdOf(route: string, { source, id }: EventEnvelope, from: Address): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([route, source, id]))
    .digest('hex')
    .slice(0, 32);
  return `<${digest}@${from.address.slice(from.address.lastIndexOf('@') + 1)}>`;
}

/** Throws at once on a template that is not Liquid or a header that is not free; per event, permanent errors. */
export function compileMessage(options: EmailOptions, context: HandlerContext): Part<Message> {
  const compile = new Compiler(context);
  const { text, html } = options;
  if (text === undefined && html === undefined) throw new Error('expected at least one of text and html, got none');
  const from = compile.address('from', options.from);
  const to = compile.addresses('to', listOf(options.to));
  const cc = compile.addresses('cc', listOf(options.cc));
  const bcc = compile.addresses('bcc', listOf(options.bcc));
  const replyTo = compile.addresses('replyTo', listOf(options.replyTo));
  const subject = compile.line('subject', options.subject);
  const textPart = text === undefined ? undefined : compile.template(text);
  const htmlPart = html === undefined ? undefined : compile.template(html, 'html');
  const headers = compile.headers(options.headers);
  const attachments = compile.attachments(options.attachments);

  return (scope) => {
    const sender = from(scope);
    const [answerTo] = replyTo(scope);
    const message: Message = {
      messageId: messageIdOf(context.route, scope.event, sender),
      from: sender,
      to: to(scope),
      cc: cc(scope),
      bcc: bcc(scope),
      ...(answerTo === undefined ? {} : { replyTo: answerTo }),
      subject: subject(scope),
      ...(textPart === undefined ? {} : { text: textPart.render(scope) }),
      ...(htmlPart === undefined ? {} : { html: htmlPart.render(scope) }),
      headers: headers(scope),
      attachments: attachments(scope),
    };
    if (message.to.length + message.cc.length + message.bcc.length > 0) return message;
    throw permanent(new Error('expected at least one recipient, got none: to, cc and bcc rendered to nothing'));
  };
}
