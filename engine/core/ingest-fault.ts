/** Every way in which an event is refused: one stable word, one HTTP status, one code of the catalogue. */
import { type ErrorCode, EventFlowError } from '../errors.ts';

interface Refusal {
  readonly status: number;
  readonly code: ErrorCode;
  /** Seconds after which a repeat may succeed. */
  readonly retryAfter?: number;
}

export const refusals = {
  bad_request: { status: 400, code: 'EF4005' },
  empty_body: { status: 400, code: 'EF4002' },
  forbidden_key: { status: 400, code: 'EF4004' },
  invalid_encoding: { status: 400, code: 'EF4003' },
  invalid_json: { status: 400, code: 'EF4001' },
  wrong_host: { status: 403, code: 'EF4021' },
  cross_origin: { status: 403, code: 'EF4022' },
  not_found: { status: 404, code: 'EF4006' },
  method_not_allowed: { status: 405, code: 'EF4007' },
  request_timeout: { status: 408, code: 'EF4008' },
  in_use: { status: 409, code: 'EF6030' },
  idempotency_mismatch: { status: 409, code: 'EF4009' },
  too_large: { status: 413, code: 'EF4010' },
  unsupported_media_type: { status: 415, code: 'EF4011' },
  invalid_type: { status: 422, code: 'EF4013' },
  invalid_id: { status: 422, code: 'EF4014' },
  invalid_time: { status: 422, code: 'EF4015' },
  invalid_attribute: { status: 422, code: 'EF4016' },
  invalid_event: { status: 422, code: 'EF4017' },
  invalid_data: { status: 422, code: 'EF4018' },
  too_complex: { status: 422, code: 'EF4019' },
  unrouted: { status: 422, code: 'EF4020' },
  headers_too_large: { status: 431, code: 'EF4012' },
  overloaded: { status: 503, code: 'EF4036', retryAfter: 1 },
  store_unavailable: { status: 503, code: 'EF4030', retryAfter: 1 },
  store_full: { status: 503, code: 'EF4031', retryAfter: 10 },
  store_readonly: { status: 503, code: 'EF4032', retryAfter: 5 },
  store_degraded: { status: 503, code: 'EF4033', retryAfter: 5 },
  outcome_unknown: { status: 503, code: 'EF4034', retryAfter: 1 },
  shutting_down: { status: 503, code: 'EF4035', retryAfter: 1 },
} as const satisfies Record<string, Refusal>;

export type RefusalWord = keyof typeof refusals;

/** Where in the event a fault lies; `pointer` is a JSON pointer in URI form, such as `#/data/total`. */
export interface FaultPlace {
  readonly pointer?: string;
  readonly detail: string;
}

/** An event or request that is refused, and why. `message` is for its sender. */
export class IngestFault extends EventFlowError {
  readonly word: RefusalWord;
  readonly places: readonly FaultPlace[];
  constructor(word: RefusalWord, message: string, places: readonly FaultPlace[] = [], options?: ErrorOptions) {
    super(refusals[word].code, message, options);
    this.name = 'IngestFault';
    this.word = word;
    this.places = places;
  }
}
