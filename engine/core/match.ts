/** Which types a pattern takes, and which stream a type rests in. Pure. */

/**
 * A test for types. `*` is one segment between dots, `**` any number of segments (also none); a `*` inside a segment
 * stands for any part of it; everything else is literal.
 */
export function compilePattern(pattern: string): (type: string) => boolean {
  if (!pattern.includes('*')) return (type) => type === pattern;
  const segments = pattern.split('.');
  return (type) => meet(segments, type.split('.'));
}

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

/** Whether a route that wants `patterns` must read `stream`: one of its types, or of its rule's, may be wanted. */
export function readsStream(patterns: readonly string[], rules: readonly StreamRule[], stream: string): boolean {
  const types = rules.find((rule) => rule.name === stream)?.types ?? [stream];
  return types.some((type) => patterns.some((pattern) => meet(pattern.split('.'), type.split('.'))));
}

/**
 * Whether some type fits both; a type is a pattern that only it fits. From the last segments to the first, the row holds
 * for each place in `b` whether what follows there meets what follows in `a`: the work is `a` times `b`, whatever the
 * wildcards.
 */
function meet(a: readonly string[], b: readonly string[]): boolean {
  let row = [...b.map((_, at) => b.slice(at).every((segment) => segment === '**')), true];
  for (const mine of a.toReversed()) {
    const below = row;
    row = [];
    row[b.length] = mine === '**' && below[b.length] === true;
    for (let at = b.length - 1; at >= 0; at -= 1) {
      const theirs = b[at] ?? '';
      if (mine === '**' || theirs === '**') row[at] = below[at] === true || row[at + 1] === true;
      else row[at] = below[at + 1] === true && segmentsMeet(mine, theirs);
    }
  }
  return row[0] === true;
}

/** Where both have wildcards, yes unless their ends differ: reading a stream too much is only slower. */
function segmentsMeet(a: string, b: string): boolean {
  if (a === b || a === '*' || b === '*') return true;
  if (!b.includes('*')) return a.includes('*') && takesSegment(a, b);
  if (!a.includes('*')) return takesSegment(b, a);
  const [headA, headB] = [a.slice(0, a.indexOf('*')), b.slice(0, b.indexOf('*'))];
  const [tailA, tailB] = [a.slice(a.lastIndexOf('*') + 1), b.slice(b.lastIndexOf('*') + 1)];
  const headsMeet = headA.startsWith(headB) || headB.startsWith(headA);
  return headsMeet && (tailA.endsWith(tailB) || tailB.endsWith(tailA));
}

function takesSegment(pattern: string, segment: string): boolean {
  const [head = '', ...rest] = pattern.split('*');
  const tail = rest.pop() ?? '';
  const end = segment.length - tail.length;
  if (end < head.length || !segment.startsWith(head) || !segment.endsWith(tail)) return false;
  let at = head.length;
  for (const part of rest) {
    const found = segment.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
