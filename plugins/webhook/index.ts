/** Sends events to HTTP endpoints, signed as Standard Webhooks. Options: webhook.schema.json. */
import { definePlugin } from 'eventflow/plugin';
import { createWebhook } from './webhook.ts';

export default definePlugin({
  name: '@eventflow/plugin-webhook',
  apiVersion: 1,
  handlers: { webhook: { create: createWebhook } },
});
