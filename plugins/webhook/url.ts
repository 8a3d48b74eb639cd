/** The URL: a template whose scheme and host are literal, so that no event decides who gets the request. */
import { type EventEnvelope, type HandlerContext, permanent } from 'eventflow/plugin';

interface Scope {
  readonly event: EventEnvelope;
  readonly [name: string]: unknown;
}

const literalStart = /^https?:\/\/[^/?#{}\s]+/i;
const dotSegment = /\/(\.|%2e){1,2}(?=[/?#]|$)/i;

function literalOrigin(url: string): string {
  const start = literalStart.exec(url)?.[0];
  const next = start === undefined ? undefined : url[start.length];
  if (start === undefined || (next !== undefined && !'/?#'.includes(next))) {
    throw new Error(
      `expected url to start with a literal scheme and host, such as https://partner.example/{{ event.data.id }}, got ${JSON.stringify(url.slice(0, 80))}`,
    );
  }
  return start;
}

/** `host` or `host:port` of a URL; no event decides it. */
export const hostOf = (url: string): string => new URL(literalOrigin(url)).host;

/** Throws when the URL is malformed, or leads where the engine's settings do not let it. */
export function compileUrl(url: string, { http, templates }: HandlerContext): (scope: Scope) => string {
  const origin = literalOrigin(url);
  http.assertAllowed(origin);
  if (!/\{[{%]/.test(url)) {
    http.assertAllowed(url);
    return () => url;
  }
  const template = templates.compile(url, { escape: 'url' });
  return (scope) => {
    const rendered = template.render(scope);
    if (!dotSegment.test(rendered)) return rendered;
    throw permanent(
      new Error(`expected the url of ${origin} to stay below its path, got a segment of dots from the event`),
    );
  };
}
