/** Did you mean …? Pure. */

/** Damerau-Levenshtein (optimal string alignment): how many typing slips are between two words. */
export function slips(a: string, b: string): number {
  let twoAgo: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      current[j] = Math.min(
        (previous[j] ?? 0) + 1,
        (current[j - 1] ?? 0) + 1,
        (previous[j - 1] ?? 0) + cost,
        swapped ? (twoAgo[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    twoAgo = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}

const plain = (word: string): string => word.toLowerCase().replace(/[-_ ]/g, '');

/** How far `candidate` is from what was written; undefined when it cannot have been meant. */
function distance(written: string, candidate: string): number | undefined {
  const [a, b] = [plain(written), plain(candidate)];
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  const limit = Math.max(1, Math.floor(long.length / 3));
  const isStart = short.length >= 3 && long.startsWith(short);
  if (!isStart && long.length - short.length > limit) return undefined;
  const apart = slips(a, b);
  return isStart || apart <= limit ? apart : undefined;
}

const longest = 48;
const mostCandidates = 200;

/** The candidate that was probably meant, if there is one. Words above 48 characters are not compared. */
export function nearest(written: string, candidates: readonly string[]): string | undefined {
  if (written.length > longest) return undefined;
  const near = candidates
    .slice(0, mostCandidates)
    .filter((candidate) => candidate.length <= longest)
    .map((candidate) => ({ candidate, apart: distance(written, candidate) }))
    .filter((entry): entry is { candidate: string; apart: number } => entry.apart !== undefined)
    .sort((a, b) => a.apart - b.apart);
  return near[0]?.candidate;
}

/** `did you mean "x"?`, or the choices, or nothing to say. */
export function suggestion(written: string, candidates: readonly string[], whatTheyAre: string): string | undefined {
  const near = nearest(written, candidates);
  if (near !== undefined) return `did you mean ${JSON.stringify(near)}?`;
  if (candidates.length === 0) return undefined;
  const shown = [...candidates].slice(0, 20).join(', ');
  return `${whatTheyAre}: ${shown}${candidates.length > 20 ? ', …' : ''}`;
}
