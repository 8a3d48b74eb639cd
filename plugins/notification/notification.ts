/** The handler: render the message, put it into the channel's form, post it, understand the answer. */
import { badAnswer, type Handler, type HandlerContext, retryAfter } from 'eventflow/plugin';
import { channels } from './channels.ts';
import { compileMessage, type NotificationOptions } from './message.ts';

export function createNotification(options: NotificationOptions, context: HandlerContext): Handler {
  const { endpoint, token } = options;
  const channel = channels[options.channel];
  context.http.assertAllowed(endpoint);
  const address = channel.address(endpoint);
  const { host } = new URL(address);
  const message = compileMessage(options, context);
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };

  return {
    async handle(event, { attempt, route, idempotencyKey, signal }) {
      const scope = { event, delivery: { attempt, route, idempotencyKey } };
      const response = await context.http.request(address, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'idempotency-key': encodeURI(idempotencyKey.toWellFormed()),
          ...authorization,
        },
        body: JSON.stringify(channel.payload(message(scope), endpoint)),
        timeout: context.timeout,
        signal,
      });
      if (response.status >= 200 && response.status < 300) return;
      const fault = badAnswer(
        response,
        context.clock(),
        `expected ${options.channel} to take it, got ${response.status}`,
      );
      const wait = response.status === 429 ? channel.wait?.(response) : undefined;
      throw wait === undefined ? fault : retryAfter(fault, wait);
    },
    target: () => host,
  };
}
