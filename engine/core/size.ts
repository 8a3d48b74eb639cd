/** Sizes as people write them: a whole number and a unit. Pure. */

const units: Readonly<Record<string, number>> = { KiB: 1_024, MiB: 1_048_576 };

/** `512KiB` or `1MiB` in bytes; undefined when `text` is no size. */
export function parseSize(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,5})(KiB|MiB)$/.exec(text) ?? [];
  return amount === undefined || unit === undefined ? undefined : Number(amount) * (units[unit] ?? 1);
}

/** The shortest exact way to write `bytes`. */
export function formatSize(bytes: number): string {
  const unit = ['MiB', 'KiB'].find((candidate) => bytes !== 0 && bytes % (units[candidate] ?? 1) === 0);
  return unit === undefined ? `${bytes}B` : `${bytes / (units[unit] ?? 1)}${unit}`;
}
