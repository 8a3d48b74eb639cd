/** Counts events in the bus and appends them to files. Options: analytics.schema.json. */
import { definePlugin } from 'eventflow/plugin';
import { createAnalytics } from './analytics.ts';

export default definePlugin({
  name: '@eventflow/plugin-analytics',
  apiVersion: 1,
  handlers: { analytics: { create: createAnalytics } },
});
