/** What a handler did with a delivery, and what its errors mean. Pure. */

/**
 * `code` is a short stable word: an errno (`ECONNREFUSED`), `timeout`, `http_503`, or a plugin's own.
 * `kind` is the fault's class, as `retryOn`, `failOn` and `countOn` name it; `status` is an HTTP or SMTP status.
 */
export interface Fault {
  readonly code: string;
  readonly message: string;
  readonly kind: 'timeout' | 'connection' | 'dns' | 'status' | 'error';
  readonly status?: number;
  /** What the target answered, at most 1 KiB. */
  readonly body?: string;
  /** The handler said that its target takes nothing at the moment. */
  readonly unavailable?: true;
}

export type Outcome =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'skipped'; readonly reason: string }
  | {
      readonly kind: 'failed';
      readonly fault: Fault;
      /** The handler said so: no attempt can succeed. */
      readonly permanent: boolean;
      /** The handler's wish, in ms. */
      readonly retryAfter?: number;
    };
