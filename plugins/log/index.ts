/** Writes events to the engine's log, or does nothing with them. Options: log.schema.json, noop.schema.json. */
import { definePlugin, type Handler, type HandlerContext } from 'eventflow/plugin';

/** As `log.schema.json` describes them. */
export interface LogOptions {
  readonly level?: 'debug' | 'info' | 'warn' | 'error';
  readonly message?: string;
  readonly data?: boolean;
}

export function createLog(options: LogOptions, { templates }: HandlerContext): Handler {
  const { level = 'info', message = '{{ event.type }} {{ event.id }}', data = false } = options;
  const template = templates.compile(message);
  return {
    handle(event, { log, attempt, route }) {
      const { id, type, source } = event;
      const fields = { event: data ? { id, type, source, data: event.data } : { id, type, source } };
      log[level](fields, template.render({ event, delivery: { attempt, route } }));
    },
  };
}

const nothing: Handler = { handle() {} };

export default definePlugin({
  name: '@eventflow/plugin-log',
  apiVersion: 1,
  handlers: { log: { create: createLog }, noop: { create: () => nothing } },
});
