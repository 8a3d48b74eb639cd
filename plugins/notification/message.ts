/** One message, the same for every channel, rendered from the options' templates. */
import { type EventEnvelope, type HandlerContext, permanent, type Template } from 'eventflow/plugin';

const severities = ['info', 'warning', 'error', 'critical'] as const;
export type Severity = (typeof severities)[number];

export interface Message {
  readonly title: string;
  readonly body: string;
  readonly severity: Severity;
  /** An http or https URL, or empty. */
  readonly url: string;
  readonly fields: readonly { readonly name: string; readonly value: string }[];
  readonly event: EventEnvelope;
}

/** As `notification.schema.json` describes them; defaults may or may not have been filled in. */
export interface NotificationOptions {
  readonly channel: 'slack' | 'discord' | 'ntfy' | 'generic';
  readonly endpoint: string;
  readonly token?: string;
  readonly title: string;
  readonly body?: string;
  readonly severity?: string;
  readonly url?: string;
  readonly fields?: Readonly<Record<string, string>>;
}

type Scope = Readonly<Record<string, unknown>> & { readonly event: EventEnvelope };

const isSeverity = (text: string): text is Severity => (severities as readonly string[]).includes(text);

function severityOf(text: string): Severity {
  const word = text.trim().toLowerCase();
  if (isSeverity(word)) return word;
  throw permanent(
    new Error(
      `expected severity to render to one of ${severities.join(', ')}, got ${JSON.stringify(word.slice(0, 40))}`,
    ),
  );
}

function linkOf(text: string): string {
  const link = text.trim();
  if (link === '' || (/^https?:\/\//i.test(link) && URL.canParse(link))) return link;
  throw permanent(
    new Error(`expected url to render to an http or https URL, got ${JSON.stringify(link.slice(0, 80))}`),
  );
}

const required = (name: string, text: string): string => {
  if (text !== '') return text;
  throw permanent(new Error(`expected ${name} to render to some text, got none`));
};

export function compileMessage(options: NotificationOptions, { templates }: HandlerContext): (scope: Scope) => Message {
  const compile = (source: string): Template => templates.compile(source);
  const title = compile(options.title);
  const body = compile(options.body ?? '');
  const severity = compile(options.severity ?? 'info');
  const url = templates.compile(options.url ?? '', { escape: 'url' });
  const fields = Object.entries(options.fields ?? {}).map(([name, source]) => ({ name, template: compile(source) }));
  return (scope) => ({
    title: required('title', title.render(scope).trim()),
    body: body.render(scope).trim(),
    severity: severityOf(severity.render(scope)),
    url: linkOf(url.render(scope)),
    fields: fields
      .map(({ name, template }) => ({ name, value: template.render(scope).trim() }))
      .filter(({ value }) => value !== ''),
    event: scope.event,
  });
}
