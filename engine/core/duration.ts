/** Durations as people write them: a whole number and a unit. Pure. */

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const shape = /^(\d{1,9})(ms|s|m|h|d)$/;

/** `500ms`, `30s`, `5m`, `24h` or `14d` in milliseconds; undefined when `text` is no duration. */
export function parseDuration(text: string): number | undefined {
  const [, amount, unit] = shape.exec(text) ?? [];
  return amount === undefined || unit === undefined ? undefined : Number(amount) * (units[unit] ?? 1);
}

/** The shortest exact way to write `ms`: 90_000 is `90s`, 120_000 is `2m`. */
export function formatDuration(ms: number): string {
  const whole = Math.round(ms);
  const unit = ['d', 'h', 'm', 's'].find((candidate) => whole !== 0 && whole % (units[candidate] ?? 1) === 0) ?? 'ms';
  return `${whole / (units[unit] ?? 1)}${unit}`;
}
