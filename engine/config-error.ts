import { EventFlowError } from './errors.ts';

/** The pipelines or settings are wrong at start: EF6001. `problems` has every printed diagnostic. */
export class ConfigError extends EventFlowError {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super('EF6001', problems.join('\n\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}
