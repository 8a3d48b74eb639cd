/** The patterns of `on`: those that mean something else than they look like, and those that add nothing. */
import type { Diagnostic, PathStep } from './diagnostic.ts';
import { covers } from './ordering.ts';
import { atValue, type OpenFile } from './pipeline-file.ts';
import { nodeAt } from './tree.ts';

const warning = { severity: 'warning' } as const;
/** Each is compared with each: a person does not write more. */
const mostPatterns = 100;
const mostWildcards = 3;

/** The text of the item at `path`, where it stands in the file itself. */
function patternAt(file: OpenFile, path: readonly PathStep[]): string | undefined {
  const node = nodeAt(file.tree, path);
  const isPlain = node?.kind === 'leaf' && typeof node.value === 'string' && node.references.length === 0;
  return isPlain ? String(node.value) : undefined;
}

/** `order**` and `order.**paid` look as if they took several segments, and take a part of one. */
function checkStars(file: OpenFile, path: readonly PathStep[], pattern: string): Diagnostic[] {
  const apart = pattern
    .replace(/\*{2,}/g, '.**.')
    .replace(/\.{2,}/g, '.')
    .replace(/^\.|\.$/g, '');
  if (!pattern.split('.').some((segment) => segment.includes('**') && segment !== '**')) return [];
  const message = `expected ** to stand alone between dots, got ${JSON.stringify(pattern)}`;
  return [atValue(file, path, 'EF2033', message, { ...warning, help: `did you mean ${JSON.stringify(apart)}?` })];
}

const isSimple = (pattern: string): boolean => pattern.split('**').length <= mostWildcards;

function checkCovered(
  file: OpenFile,
  list: readonly PathStep[],
  patterns: readonly (string | undefined)[],
): Diagnostic[] {
  return patterns.slice(0, mostPatterns).flatMap((pattern, at) => {
    if (pattern === undefined) return [];
    const wider = patterns.slice(0, mostPatterns).find((other, place) => {
      if (other === undefined || other === pattern || !isSimple(other) || !isSimple(pattern)) return false;
      const isWider = covers(other.split('.'), pattern.split('.'));
      // Of two that take the same the first one stays.
      return isWider && (place < at || !covers(pattern.split('.'), other.split('.')));
    });
    if (wider === undefined) return [];
    const message = `expected patterns that each add something, got one that takes nothing more than ${JSON.stringify(wider)}`;
    return [atValue(file, [...list, at], 'EF2034', message, { ...warning, help: 'remove one of them' })];
  });
}

/** Of a file of any shape. */
export function checkPatterns(file: OpenFile): Diagnostic[] {
  const routes = nodeAt(file.tree, ['routes']);
  return (routes?.kind === 'list' ? routes.items : []).flatMap((_, index) => {
    const list: PathStep[] = ['routes', index, 'on'];
    const node = nodeAt(file.tree, list);
    const patterns = (node?.kind === 'list' ? node.items : []).map((_item, at) => patternAt(file, [...list, at]));
    const stars = patterns.flatMap((pattern, at) =>
      pattern === undefined ? [] : checkStars(file, [...list, at], pattern),
    );
    return [...stars, ...checkCovered(file, list, patterns)];
  });
}

/** The pattern as it would be written for each of the types: with their words in the place of its own. */
export function patternsLike(pattern: string, types: readonly string[]): string[] {
  const segments = pattern.split('.');
  const open = segments.indexOf('**');
  return types.flatMap((type) => {
    const words = type.split('.');
    if (open === -1 && words.length !== segments.length) return [];
    const written = segments.map((segment, at) => {
      if (segment.includes('*')) return segment;
      return open === -1 || at < open ? words[at] : words[words.length - segments.length + at];
    });
    return written.includes(undefined) ? [] : [written.join('.')];
  });
}
