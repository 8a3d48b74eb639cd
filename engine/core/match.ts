/** Which types a pattern takes, and which stream a type rests in. Pure. */

/** `*` is one segment, `**` any number of segments (also none); everything else is literal. */
export function compilePattern(pattern: string): (type: string) => boolean {
  if (!pattern.includes('*')) return (type) => type === pattern;
  const parts = pattern.split('.').map((segment) => {
    if (segment === '**') return '**';
    return segment.split('*').map(escapeRegExp).join('[^.]*');
  });
  const source = parts.reduce((regexp, part, at) => {
    if (part !== '**') return regexp + (at === 0 || regexp.endsWith(OPEN) ? '' : '\\.') + part;
    return at === 0 ? `${regexp}${OPEN}` : `${regexp}(?:\\.[^.]+)*`;
  }, '^');
  const compiled = new RegExp(`${source.endsWith(OPEN) ? `${source}(?:[^.]+)?` : source}$`);
  return (type) => compiled.test(type);
}

/** `**` in front: any number of whole segments, each with its dot. */
const OPEN = '(?:[^.]+\\.)*';
const escapeRegExp = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** A matcher over several patterns that remembers its answers; the set of types is small. */
export function matchAny(patterns: readonly string[]): (type: string) => boolean {
  const matchers = patterns.map(compilePattern);
  const known = new Map<string, boolean>();
  return (type) => {
    const answer = known.get(type);
    if (answer !== undefined) return answer;
    const fresh = matchers.some((matches) => matches(type));
    if (known.size < 10_000) known.set(type, fresh);
    return fresh;
  };
}

/** A stream that holds several types, from the settings. Every other type has a stream of its own name. */
export interface StreamRule {
  readonly name: string;
  readonly types: readonly string[];
}

/** The stream of a type: the first rule that takes it, else the type itself. */
export function streamOf(rules: readonly StreamRule[]): (type: string) => string {
  const compiled = rules.map((rule) => ({ name: rule.name, takes: matchAny(rule.types) }));
  return (type) => compiled.find((rule) => rule.takes(type))?.name ?? type;
}

/**
 * Whether a route that wants `patterns` must read `stream`. A declared stream is read when one of its type patterns can
 * meet one of the route's; where both have wildcards the answer is yes, since reading too much is only slower.
 */
export function readsStream(patterns: readonly string[], rules: readonly StreamRule[], stream: string): boolean {
  const rule = rules.find((candidate) => candidate.name === stream);
  if (rule === undefined) return matchAny(patterns)(stream);
  return rule.types.some((type) => patterns.some((pattern) => patternsMeet(pattern, type)));
}

function patternsMeet(a: string, b: string): boolean {
  if (!a.includes('*')) return compilePattern(b)(a);
  if (!b.includes('*')) return compilePattern(a)(b);
  const head = (pattern: string): string => pattern.slice(0, pattern.indexOf('*'));
  return head(a).startsWith(head(b)) || head(b).startsWith(head(a));
}
