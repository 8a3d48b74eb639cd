/** The options as `analytics.schema.json` describes them; defaults may or may not have been filled in. */
export interface CounterOptions {
  readonly name: string;
  readonly dimensions?: Readonly<Record<string, string>>;
  readonly sum?: string;
  readonly bucket?: '1m' | '1h' | '1d';
  readonly time?: 'published' | 'event';
}

export interface FileOptions {
  readonly path: string;
  readonly maxBytes?: number;
  readonly keep?: number;
}

export interface AnalyticsOptions {
  readonly counters?: readonly CounterOptions[];
  readonly file?: FileOptions;
}
