/**
 * What each channel wants to read, within its own limits: a message that is too long is cut, since a late or missing
 * alert is worse than a short one.
 */
import type { HttpResponse } from 'eventflow/plugin';
import type { Message, NotificationOptions, Severity } from './message.ts';

export interface Channel {
  /** Where to post; throws on an endpoint that cannot be one of this channel. */
  address(endpoint: string): string;
  payload(message: Message, endpoint: string): unknown;
  /** ms to wait after a 429 that says so in its body. */
  wait?(response: HttpResponse): number | undefined;
}

/** At most `limit` characters; an ellipsis shows that something was cut. */
function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const kept = text.slice(0, limit - 1);
  return `${/[\uD800-\uDBFF]$/.test(kept) ? kept.slice(0, -1) : kept}…`;
}

const colours: Readonly<Record<Severity, string>> = {
  info: '#2f80ed',
  warning: '#f2994a',
  error: '#eb5757',
  critical: '#9b1c1c',
};

/** In Slack's markup `<` starts a link or a mention. */
const slackText = (text: string, limit: number): string =>
  cut(text, limit).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** Limits: header 150, section 3,000, field 2,000 characters, 10 fields; escaping may make five characters of one. */
const slack: Channel = {
  address: (endpoint) => endpoint,
  payload({ title, body, severity, url, fields }) {
    const blocks: object[] = [{ type: 'header', text: { type: 'plain_text', text: cut(title, 150) } }];
    if (body !== '') blocks.push({ type: 'section', text: { type: 'mrkdwn', text: slackText(body, 590) } });
    if (fields.length > 0) {
      const shown = fields.slice(0, 10).map(({ name, value }) => ({
        type: 'mrkdwn',
        text: `*${slackText(name, 60)}*\n${slackText(value, 300)}`,
      }));
      blocks.push({ type: 'section', fields: shown });
    }
    if (url !== '') blocks.push({ type: 'context', elements: [{ type: 'mrkdwn', text: `<${slackText(url, 590)}>` }] });
    return { text: slackText(title, 590), attachments: [{ color: colours[severity], blocks }] };
  },
};

const secondsOf = (body: string): number | undefined => {
  try {
    const { retry_after: seconds } = JSON.parse(body) as { retry_after?: unknown };
    return typeof seconds === 'number' && seconds >= 0 ? Math.ceil(seconds * 1000) : undefined;
  } catch {
    return undefined;
  }
};

/** Limits: title 256, description 4,096, field 256 and 1,024, 6,000 together. Nobody is mentioned by what an event says. */
const discord: Channel = {
  address: (endpoint) => {
    const url = new URL(endpoint);
    url.searchParams.set('wait', 'true');
    return url.href;
  },
  payload: ({ title, body, severity, url, fields, event }) => ({
    embeds: [
      {
        title: cut(title, 256),
        ...(body === '' ? {} : { description: cut(body, 2500) }),
        ...(url === '' ? {} : { url }),
        color: Number.parseInt(colours[severity].slice(1), 16),
        fields: fields
          .slice(0, 10)
          .map(({ name, value }) => ({ name: cut(name, 60), value: cut(value, 250), inline: true })),
        ...(Number.isNaN(Date.parse(event.time)) ? {} : { timestamp: event.time }),
      },
    ],
    allowed_mentions: { parse: [] },
  }),
  wait: ({ body }) => secondsOf(body),
};

const priorities: Readonly<Record<Severity, number>> = { info: 3, warning: 4, error: 4, critical: 5 };
const tags: Readonly<Record<Severity, string>> = {
  info: 'information_source',
  warning: 'warning',
  error: 'x',
  critical: 'rotating_light',
};

function topicOf(endpoint: string): { server: string; topic: string } {
  const { origin, pathname } = new URL(endpoint);
  const [, folder = '/', topic = ''] = /^(.*\/)([^/]+)\/?$/.exec(pathname) ?? [];
  if (!/^[-_A-Za-z0-9]{1,64}$/.test(topic)) {
    throw new Error('expected endpoint to end in the name of an ntfy topic, such as https://ntfy.sh/my-topic');
  }
  return { server: origin + folder, topic };
}

/** Published as JSON, since headers cannot carry every letter. Limit: 4,096 bytes of message. */
const ntfy: Channel = {
  address: (endpoint) => topicOf(endpoint).server,
  payload: ({ title, body, severity, url, fields }, endpoint) => {
    const lines = fields.map(({ name, value }) => `${name}: ${value}`);
    const text = [body, ...lines].filter((line) => line !== '').join('\n');
    return {
      topic: topicOf(endpoint).topic,
      title: cut(title, 250),
      message: cut(text === '' ? title : text, 1300),
      priority: priorities[severity],
      tags: [tags[severity]],
      ...(url === '' ? {} : { click: url }),
    };
  },
};

const generic: Channel = {
  address: (endpoint) => endpoint,
  payload: ({ title, body, severity, url, fields, event }) => ({
    title,
    body,
    severity,
    url: url === '' ? null : url,
    fields: Object.fromEntries(fields.map(({ name, value }) => [name, value])),
    event: { id: event.id, type: event.type, source: event.source, time: event.time, subject: event.subject ?? null },
  }),
};

export const channels: Readonly<Record<NotificationOptions['channel'], Channel>> = { slack, discord, ntfy, generic };
