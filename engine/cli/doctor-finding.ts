/** What one check of `eventflow doctor` found. */
export interface Finding {
  /** One word, the same every time. */
  readonly check: string;
  readonly status: 'ok' | 'warning' | 'problem';
  readonly got: string;
  /** Absent when it is ok. */
  readonly expected?: string;
  /** What to do. */
  readonly advice?: string;
}

export const ok = (check: string, got: string): Finding => ({ check, status: 'ok', got });

/** Runs on, but not as it should. */
export const warning = (check: string, got: string, expected: string, advice: string): Finding => ({
  check,
  status: 'warning',
  got,
  expected,
  advice,
});

/** Does not start, or may lose or leak something. */
export const problem = (check: string, got: string, expected: string, advice: string): Finding => ({
  check,
  status: 'problem',
  got,
  expected,
  advice,
});
