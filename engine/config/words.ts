/** Lists in variables and flags. */

/** The words between commas, without those in braces: `a.yaml, {b,c}.yaml` are two. */
export function wordsOf(text: string): string[] {
  const words = [''];
  let depth = 0;
  for (const letter of text) {
    if (letter === '{') depth += 1;
    if (letter === '}') depth = Math.max(0, depth - 1);
    if (letter === ',' && depth === 0) words.push('');
    else words.push(`${words.pop() ?? ''}${letter}`);
  }
  return words.map((word) => word.trim()).filter((word) => word !== '');
}
