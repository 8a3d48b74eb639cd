/** Posts a short message for each event to Slack, Discord, ntfy or any endpoint. Options: notification.schema.json. */
import { definePlugin } from 'eventflow/plugin';
import { createNotification } from './notification.ts';

export default definePlugin({
  name: '@eventflow/plugin-notification',
  apiVersion: 1,
  handlers: { notification: { create: createNotification } },
});
