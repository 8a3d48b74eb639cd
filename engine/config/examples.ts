/** One example of wrong and right for each code about what stands in a pipeline file. Shown by `eventflow explain CODE`. */
import type { ErrorCode } from '../errors.ts';

export interface Example {
  /** Where the lines stand: at the top of a file, or in one of its routes. */
  readonly place: 'file' | 'route';
  readonly wrong: string;
  readonly right: string;
}

const inFile = (wrong: string, right: string): Example => ({ place: 'file', wrong, right });
const inRoute = (wrong: string, right: string): Example => ({ place: 'route', wrong, right });

const route = (id: string, more = ''): string => `  - { id: ${id}, on: [order.paid], handler: log${more} }`;

export const examples: Partial<Record<ErrorCode, Example>> = {
  EF1003: inFile('description: "a\0b"', 'description: a and b'),
  EF1004: inFile(`x-deep: ${'['.repeat(34)}${']'.repeat(34)}`, 'x-flat: [a, b]'),
  EF1005: inFile('description: [a, b', 'description: a and b'),
  EF1006: inFile('name: orders\nname: payments', 'name: orders'),
  EF1007: inFile('description: one\n---\ndescription: two', 'description: one'),
  EF1008: inRoute('with: { message: !secret token }', 'with: { message: "${TOKEN:-none}" }'),
  EF1009: inFile(`x-long: [${'1, '.repeat(5_000)}1]`, 'x-short: [1, 2, 3]'),
  EF1010: inFile(
    'defaults: { retry: *patient }',
    'x-patient: &patient { maxAttempts: 8 }\ndefaults: { retry: *patient }',
  ),
  EF1012: inFile('labels: { [a, b]: payments }', 'labels: { team: payments }'),
  EF1013: inRoute('with: { message: "${GREETING}" }', 'with: { message: "${GREETING:-hello}" }'),
  EF1014: inRoute('with: { message: "costs ${5" }', 'with: { message: "costs $${5" }'),
  EF1015: inFile('description: ${file:/run/secrets/none}', 'description: ${DESCRIPTION:-What happens to orders}'),
  EF1018: inFile(`description: "${'${A:-}'.repeat(1_001)}"`, 'description: "${A:-}"'),
  EF2001: inRoute('retries: { maxAttempts: 3 }', 'retry: { maxAttempts: 3 }'),
  EF2002: inFile('routes:\n  - { id: receipt, handler: log }', `routes:\n${route('receipt')}`),
  EF2003: inRoute('with: { level: loud }', 'with: { level: warn }'),
  EF2004: inRoute('on: order.paid', 'on: [order.paid]'),
  EF2005: inRoute('concurrency: 0', 'concurrency: 16'),
  EF2006: inRoute('timeout: 30 seconds', 'timeout: 30s'),
  EF2007: inRoute('on: [order.paid, order.paid]', 'on: [order.paid, order.refunded]'),
  EF2008: inRoute(
    'circuitBreaker: { consecutiveFailures: 5, failureRatio: 0.5 }',
    'circuitBreaker: { failureRatio: 0.5, minimumCalls: 20, window: 5m }',
  ),
  EF2010: inRoute('handler: lgo', 'handler: log'),
  EF2012: inRoute('retry: patient', 'retry: { maxAttempts: 8 }'),
  EF2013: inFile(
    `routes:\n${route('receipt')}\n${route('receipt', ', with: { level: warn }')}`,
    `routes:\n${route('receipt')}\n${route('warning', ', with: { level: warn }')}`,
  ),
  EF2015: inFile(
    `eventTypes: { order.payed: }\nroutes:\n${route('receipt')}`,
    `eventTypes: { order.paid: }\nroutes:\n${route('receipt')}`,
  ),
  EF2016: inFile(
    'eventTypes: { order.paid: { schema: ./none.json } }',
    'eventTypes: { order.paid: { onInvalid: warn } }',
  ),
  EF2018: inRoute(
    'maxAge: 1h\nretry: { maxAttempts: 10, initialInterval: 10m, maxInterval: 1h }',
    'maxAge: 24h\nretry: { maxAttempts: 10, initialInterval: 10m, maxInterval: 1h }',
  ),
  EF2019: inRoute(
    'timeout: 30s\nconcurrency: 1\ncircuitBreaker: { failureRatio: 0.5, minimumCalls: 20, window: 60s }',
    'timeout: 5s\nconcurrency: 16\ncircuitBreaker: { failureRatio: 0.5, minimumCalls: 20, window: 60s }',
  ),
  EF2020: inRoute(
    'circuitBreaker: { openFor: 10m, maxOpenFor: 1m }',
    'circuitBreaker: { openFor: 1m, maxOpenFor: 10m }',
  ),
  EF2021: inRoute('retry: { backoff: schedule }', 'retry: { backoff: schedule, schedule: [5s, 5m, 30m] }'),
  EF2022: inRoute(
    'handler: webhook\nwith: { url: https://example.com/hook, auth: { bearer: abc123 } }',
    'handler: webhook\nwith: { url: https://example.com/hook, auth: { bearer: "${TOKEN:-none}" } }',
  ),
  EF2023: inRoute(
    'handler: email\nwith: { from: a@example.com, to: b@example.com, subject: Hi, text: Hello, tls: { ca: ./none.pem } }',
    'handler: email\nwith: { from: a@example.com, to: b@example.com, subject: Hi, text: Hello }',
  ),
  EF2024: inRoute('with: { message: "{{ event.id" }', 'with: { message: "{{ event.id }}" }'),
  EF2025: inRoute('when: "false"', 'enabled: false'),
  EF2026: inFile(
    `routes:\n${route('receipt')}\n${route('copy')}`,
    `routes:\n${route('receipt')}\n${route('copy', ', with: { level: warn }')}`,
  ),
  EF2030: inRoute('when: event.data.total >=', 'when: event.data.total >= 100'),
  EF2031: inRoute('when: evnt.data.total >= 100', 'when: event.data.total >= 100'),
  EF2032: inRoute(
    'transform: { set: { customer: event.data.buyer, customer.tier: event.data.tier } }',
    'transform: { set: { customer.name: event.data.buyer, customer.tier: event.data.tier } }',
  ),
  EF2033: inRoute('on: [order**]', 'on: [order.**]'),
  EF2034: inRoute('on: [order.*, order.paid]', 'on: [order.*]'),
  EF2040: inFile(
    `routes:\n${route('receipt', ', previousId: mail')}\n${route('mail', ', with: { level: warn }')}`,
    `routes:\n${route('receipt', ', previousId: mail')}`,
  ),
  EF2041: inFile(
    `routes:\n${route('a', ', previousId: mail')}\n${route('b', ', previousId: mail, with: { level: warn }')}`,
    `routes:\n${route('a', ', previousId: mail')}\n${route('b', ', with: { level: warn }')}`,
  ),
  EF2050: inRoute(
    'on: [order.paid, order.refunded]\nordering: { key: event.subject }',
    'on: [order.paid]\nordering: { key: event.subject }',
  ),
  EF2055: inRoute('circuitBreaker: { scope: host }', 'circuitBreaker: { scope: handler }'),
  EF2056: inRoute(
    'handler: log\nbatch: { maxEvents: 100 }',
    'handler: analytics\nwith: { file: { path: orders.ndjson } }\nbatch: { maxEvents: 100 }',
  ),
};
