/* Generated from schemas/test.schema.json by test/repo/generate-types.ts; do not edit. */

export type EventId = string;
export type Duration = string;
/**
 * One answer: always that one. A list: one for each attempt, in the order of the attempts, then 200. A map with `events`: answers of their own for some events.
 */
export type Answers = Status | AnswerText | [Answer, ...Answer[]] | AnswersByEvent | AnswerFields;
/**
 * What a target answers: 2xx is delivered, everything else has failed.
 */
export type Status = number;
/**
 * `ok`, a status, `timeout` (says nothing until the route's timeout), `connection`, `dns`, or one of `error`, `permanent`, `unavailable` and `skip` with words of their own; then `retryAfter 30s`, `after 2s` (how long it takes) and `x 3` (how often), in this order.
 */
export type AnswerText = string;
/**
 * A status; a text such as `timeout` or `503 after 2s x 3`; or a map.
 */
export type Answer = Status | AnswerText | AnswerFields;
/**
 * One answer, or a list with one for each attempt.
 */
export type PlainAnswers = Status | AnswerText | [Answer, ...Answer[]] | AnswerFields;
export type Match = string;
/**
 * A number.
 */
export type Count = number;
/**
 * Times from the start of the test.
 *
 * Items: A time, a range of times, or `...` at the end.
 */
export type Times = string[];
/**
 * A number, or a list of times.
 */
export type CountOrTimes = Count | Times;
/**
 * States, in their order.
 *
 * @minItems 1
 */
export type BreakerStates = [BreakerState, ...BreakerState[]];
/**
 * A state, and a moment where it matters.
 */
export type BreakerState = string;
export type Settled =
  | string[]
  | {
      [k: string]: CountOrIds;
    };
/**
 * How many events, or their ids in any order.
 */
export type CountOrIds = Count | EventId[];
export type Time = string;

/**
 * Unit tests of pipelines for `eventflow test`: given these events and these answers of the targets, what becomes of them. `orders.test.yaml` tests the `orders.yaml` beside it, on a clock of its own and without network.
 */
export interface TestFile {
  /**
   * The version of the language.
   */
  apiVersion: 'eventflow/v1';
  /**
   * What this file is.
   */
  kind: 'PipelineTest';
  /**
   * The pipelines under test: files, folders and globs, relative to this file. Without it, the file beside this one whose name lacks `.test`.
   *
   * @minItems 1
   *
   * Items: A file, a folder or a glob.
   */
  pipelines?: [string, ...string[]];
  env?: Env;
  files?: Files;
  /**
   * The tests. Each starts from nothing.
   *
   * @minItems 1
   * @maxItems 1000
   */
  tests: [Test, ...Test[]];
}
export interface Env {
  /**
   * The variable's value.
   */
  [k: string]: string | number | boolean;
}
export interface Files {
  /**
   * What stands in the file.
   */
  [k: string]: string;
}
/**
 * Events, the answers of the targets, and what has to come of it.
 */
export interface Test {
  /**
   * What is true when the test passes, in a sentence.
   */
  name: string;
  env?: Env;
  files?: Files;
  /**
   * Throws the dice of `jitter` with this seed; expect ranges of times then, such as 0s..1s. Without a seed retries have no jitter, and each of their waits is the longest that it can be; waits for limits and for breakers of hosts and keys are spread all the same, alike each time.
   */
  seed?: number;
  /**
   * What is published, in the order of time.
   *
   * @minItems 1
   * @maxItems 1000
   */
  events: [Event, ...Event[]];
  /**
   * What the targets of the routes answer, by route. Whoever is not named here answers 200.
   */
  answers?: {
    [k: string]: Answers;
  };
  until?: Duration;
  expect: Expect;
  /**
   * What has to be true at moments before the end.
   *
   * @minItems 1
   */
  checks?: [Check, ...Check[]];
}
/**
 * An event to publish: the fields of its envelope, and when. What is left out is filled in as at the ingest listener.
 */
export interface Event {
  /**
   * The event's type.
   */
  type?: string;
  /**
   * Whatever JSON can say. A literal `${` is written `$${`.
   */
  data?: {
    [k: string]: unknown;
  };
  /**
   * A JSON file with the event, relative to this file; the other fields here win over it.
   */
  file?: string;
  id?: EventId;
  /**
   * Where the event comes from.
   */
  source?: string;
  /**
   * What the event is about.
   */
  subject?: string;
  /**
   * When it happened, as RFC 3339 [when it is published].
   */
  time?: string;
  /**
   * Further attributes of the envelope, such as `datacontenttype`, `traceparent` and extensions.
   */
  attributes?: {
    /**
     * The attribute's value.
     */
    [k: string]: string | number | boolean;
  };
  at?: Duration;
  /**
   * How many such events are published, with ids of their own.
   */
  repeat?: number;
  every?: Duration;
}
export interface AnswerFields {
  status?: Status;
  /**
   * What goes wrong without a status: `timeout` says nothing until the route's timeout, `error` is whatever else a handler throws.
   */
  fault?: 'timeout' | 'connection' | 'dns' | 'error';
  /**
   * The handler has nothing to do, and says why.
   */
  skip?: string;
  /**
   * The handler says that no attempt can succeed.
   */
  permanent?: boolean;
  /**
   * The handler says that its target takes nothing at the moment: counts against the breaker.
   */
  unavailable?: boolean;
  /**
   * The code of the fault, as dead letters show it.
   */
  code?: string;
  /**
   * What the error says.
   */
  message?: string;
  /**
   * What the target says beside its status.
   */
  body?: string;
  retryAfter?: Duration;
  after?: Duration;
  /**
   * For how many attempts of a list this is the answer.
   */
  times?: number;
}
export interface AnswersByEvent {
  /**
   * Answers by the id of the event.
   */
  events: {
    [k: string]: PlainAnswers;
  };
  others?: PlainAnswers;
}
/**
 * Routes are named as in `orders.receipt`, or `receipt` where only one pipeline under test has such a route.
 */
export interface Expect {
  /**
   * Which routes take the events and why the others do not: `matched`, `unmatched`, `unmatched: type`, `unmatched: when` or `unmatched: disabled`. One word for all events, or a map by event.
   */
  routes?: {
    /**
     * One word for all events, or a map by event.
     */
    [k: string]:
      | Match
      | {
          [k: string]: Match;
        };
  };
  /**
   * Events that are refused when they are published, because their data does not fit the catalogue: their ids, or a map from ids to a part of the reason. Complete.
   */
  rejected?:
    | EventId[]
    | {
        /**
         * A part of the reason.
         */
        [k: string]: string;
      };
  /**
   * The handler's options as it gets them, templates rendered: the named ones, of every event; or a list with one map for each event that was run. A list within options is complete; `{ $contains: … }`, `{ $matches: … }` and `{ $absent: true }` stand for a value.
   */
  options?: {
    /**
     * Some of the options, or a list of such maps.
     */
    [k: string]:
      | {
          [k: string]: unknown;
        }
      | {
          [k: string]: unknown;
        }[];
  };
  /**
   * When handlers were started, or how often: a number, a list of times from the start of the test, or a map of those by event. `...` at the end of a list: and more.
   */
  attempts?: {
    /**
     * A number, a list of times, or a map of those by event.
     */
    [k: string]:
      | Count
      | Times
      | {
          [k: string]: CountOrTimes;
        };
  };
  /**
   * The ids of the events whose handlers were started, in that order; an event is named once for each attempt.
   */
  order?: {
    /**
     * Ids of events.
     */
    [k: string]: EventId[];
  };
  /**
   * How many handlers of a route ran at once, at most.
   */
  concurrent?: {
    [k: string]: Count;
  };
  /**
   * The states of a route's circuit breaker, from the first one, which is `closed`; a moment can be added: `open at 3s`. Of a route with a breaker for each host or key: a map of those by host or key; a host is as the route's options have it, such as `partner.example` or `smtp.example:587`, and `(orders.crm)` where they have none.
   */
  breakers?: {
    /**
     * States in their order, or a map of such lists by host or key.
     */
    [k: string]:
      | BreakerStates
      | {
          [k: string]: BreakerStates;
        };
  };
  delivered?: Settled;
  skipped?: Settled;
  /**
   * How many deliveries of a route are not settled: they run, wait for a retry, or are held by a breaker, a rate limit or their order.
   */
  waiting?: {
    [k: string]: Count;
  };
  /**
   * The dead letters, in any order. Complete: a dead letter that is not listed fails the test. `any`: they are not looked at.
   */
  deadLetters?: DeadLetter[] | 'any';
}
/**
 * A dead letter; fields that are left out may be anything.
 */
export interface DeadLetter {
  /**
   * The route that gave up.
   */
  route: string;
  /**
   * Why it gave up.
   */
  reason?:
    'exhausted' | 'permanent' | 'expired' | 'invalid' | 'undecodable' | 'crash_loop' | 'route_removed' | 'breaker_open';
  event?: EventId;
  attempts?: Count;
  at?: Time;
  /**
   * The code of the last fault.
   */
  code?: string;
  /**
   * A part of what the last fault says.
   */
  message?: string;
}
/**
 * What has to be true at one moment. Only what is named here is looked at.
 */
export interface Check {
  at: Duration;
  expect: Expect;
}
