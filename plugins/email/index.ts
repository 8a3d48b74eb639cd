/** Sends an e-mail for each event over SMTP. Options: email.schema.json. */
import { definePlugin } from 'eventflow/plugin';
import { createEmail } from './email.ts';

export default definePlugin({
  name: '@eventflow/plugin-email',
  apiVersion: 1,
  handlers: { email: { create: createEmail } },
});
