/** The handler: one pooled connection set per route, one message per event. */
import type { Handler, HandlerContext } from 'eventflow/plugin';
import { createTransport } from 'nodemailer';
import { smtpFault } from './fault.ts';
import { compileMessage } from './message.ts';
import type { EmailOptions } from './options.ts';
import { transportOptions } from './server.ts';

export function createEmail(options: EmailOptions, context: HandlerContext): Handler {
  const compose = compileMessage(options, context);
  const server = transportOptions(options, context);
  const transport = createTransport(server);
  const rejections = context.metrics.counter(
    'email_recipients_rejected',
    'Recipients that the SMTP server refused while it took the message for others.',
  );

  return {
    async handle(event, { attempt, route, idempotencyKey, signal, log }) {
      const message = compose({ event, delivery: { attempt, route, idempotencyKey } });
      if (options.dryRun === true) {
        const to = [...message.to, ...message.cc, ...message.bcc].map(({ address }) => address);
        return log.info({ to, subject: message.subject, messageId: message.messageId }, 'dry run: e-mail not sent');
      }
      signal.throwIfAborted();
      const { rejected } = await transport.sendMail({ ...message, signal }).catch((reason: unknown) => {
        throw signal.aborted ? signal.reason : smtpFault(reason);
      });
      if (rejected.length === 0) return;
      // Sending again would reach the others twice.
      rejections.inc(rejected.length);
      log.warn({ rejected: rejected.length, messageId: message.messageId }, 'the SMTP server refused some recipients');
    },
    async check() {
      if (options.dryRun === true) return;
      await transport.verify().catch((reason: unknown) => {
        throw smtpFault(reason);
      });
    },
    target: () => `${server.host}:${server.port}`,
    async close() {
      transport.close({ force: true });
    },
  };
}
