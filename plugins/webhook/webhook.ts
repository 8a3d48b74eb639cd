/** The handler: everything that can be worked out once is worked out in `createWebhook`. */
import type { Delivery, EventEnvelope, Handler, HandlerContext } from 'eventflow/plugin';
import { judgeAnswer } from './answer.ts';
import { compileBody } from './body.ts';
import { compileHeaders } from './headers.ts';
import type { WebhookOptions } from './options.ts';
import { messageId, signer } from './signature.ts';
import { compileUrl, hostOf } from './url.ts';

/** What templates see. */
const scopeOf = (event: EventEnvelope, { attempt, route, idempotencyKey }: Delivery) => ({
  event,
  delivery: { attempt, route, idempotencyKey },
});

export function createWebhook(options: WebhookOptions, context: HandlerContext): Handler {
  const { method = 'POST', successStatus, secrets = [] } = options;
  const url = compileUrl(options.url, context);
  const host = hostOf(options.url);
  const payload = compileBody(options, context);
  const addHeaders = compileHeaders(options, context);
  const sign = secrets.length === 0 ? undefined : signer(secrets);
  const success = successStatus === undefined ? undefined : new Set(successStatus);

  return {
    async handle(event: EventEnvelope, delivery: Delivery) {
      const scope = scopeOf(event, delivery);
      const { body, contentType, attributes } = payload(event, delivery, scope);
      const id = messageId(delivery.idempotencyKey);
      const now = context.clock();
      const timestamp = String(Math.floor(now / 1000));
      const headers: Record<string, string> = { 'content-type': contentType, ...attributes };
      if (delivery.traceparent !== undefined) headers.traceparent = delivery.traceparent;
      addHeaders(scope, headers);
      headers['webhook-id'] = id;
      headers['webhook-timestamp'] = timestamp;
      if (sign !== undefined) headers['webhook-signature'] = sign(id, timestamp, body);
      const response = await context.http.request(url(scope), {
        method,
        headers,
        body,
        timeout: context.timeout,
        signal: delivery.signal,
      });
      judgeAnswer(response, success, now);
    },
    target: () => host,
  };
}
