/** What Redis says when something is wrong, in a few words. What is done about each stands in the README of the engine. */
export { FaultLog } from '../fault-log.ts';

const kinds: readonly (readonly [RegExp, string])[] = [
  [/^(NOGROUP|UNBLOCKED)\b/, 'nogroup'],
  [/^READONLY\b/, 'readonly'],
  [/^OOM\b/, 'oom'],
  [/^(LOADING|MASTERDOWN)\b/, 'loading'],
  [/^MISCONF\b/, 'misconf'],
  [/^NOREPLICAS\b/, 'noreplicas'],
  [/^NOPERM\b|can't run this command or subcommand/, 'noperm'],
  [/^(CLUSTERDOWN|TRYAGAIN|MOVED|ASK|CROSSSLOT)\b/, 'cluster'],
  // The codes of Node in capitals only: many an English word begins with an E.
  [/\b(E[A-Z]{5,}|EPIPE|NOAUTH|WRONGPASS)\b/, 'connection'],
  [/\b(closed|ended|writeable|socket timeout|max retries|all sentinels)\b/i, 'connection'],
  [/did not answer|^no link to/, 'timeout'],
];

/** One of the low-cardinality words of {@link BusFault}. */
export function faultKind(error: Error): string {
  // What was put into our own words has the server's behind it.
  const { message } = error.cause instanceof Error ? error.cause : error;
  return kinds.find(([pattern]) => pattern.test(message))?.[1] ?? 'other';
}
