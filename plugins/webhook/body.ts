/** What goes into the request: the four modes, as functions of an event. */
import type { Delivery, EventEnvelope, HandlerContext } from 'eventflow/plugin';
import type { WebhookOptions } from './options.ts';

interface Payload {
  readonly body: string | Buffer;
  readonly contentType: string;
  /** Context attributes, in binary mode. */
  readonly attributes?: Readonly<Record<string, string>>;
}

export type MakePayload = (
  event: EventEnvelope,
  delivery: Pick<Delivery, 'original'>,
  scope: Readonly<Record<string, unknown>>,
) => Payload;

const structured: MakePayload = (event, { original }) => ({
  body: original ?? JSON.stringify(event),
  contentType: 'application/cloudevents+json',
});

const isJson = (contentType: string): boolean => /^[^;]*[/+]json\s*(;|$)/i.test(contentType);

const data: MakePayload = (event) => {
  const contentType = event.datacontenttype ?? 'application/json';
  if (event.data_base64 !== undefined) return { body: Buffer.from(event.data_base64, 'base64'), contentType };
  if (event.data === undefined) return { body: '', contentType };
  const asText = typeof event.data === 'string' && !isJson(contentType);
  return { body: asText ? (event.data as string) : JSON.stringify(event.data), contentType };
};

const notAttributes = new Set(['data', 'data_base64', 'datacontenttype']);

/** Header values of CloudEvents: printable ASCII stays, the rest and `"` and `%` are percent-encoded. */
const encodeAttribute = (value: string): string =>
  value.toWellFormed().replace(/[^\x20-\x7e]|["%]/gu, (char) => {
    const encoded = encodeURIComponent(char);
    return encoded === char ? `%${char.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}` : encoded;
  });

const binary: MakePayload = (event, delivery, scope) => {
  const attributes: Record<string, string> = {};
  for (const [name, value] of Object.entries(event)) {
    if (notAttributes.has(name) || value === null || typeof value === 'object') continue;
    attributes[`ce-${name}`] = encodeAttribute(String(value as string | number | boolean));
  }
  return { ...data(event, delivery, scope), attributes };
};

function fromTemplate(
  { body, contentType = 'application/json' }: WebhookOptions,
  context: HandlerContext,
): MakePayload {
  if (body === undefined) throw new Error('expected body, a template, with mode: template, got none');
  const template = context.templates.compile(body);
  return (_event, _delivery, scope) => ({ body: template.render(scope), contentType });
}

export function compileBody(options: WebhookOptions, context: HandlerContext): MakePayload {
  const { mode = 'structured', body } = options;
  if (mode === 'template') return fromTemplate(options, context);
  if (body !== undefined) throw new Error(`expected mode: template beside body, got mode: ${mode}`);
  switch (mode) {
    case 'structured':
      return structured;
    case 'binary':
      return binary;
    case 'data':
      return data;
  }
}
