/** The error catalogue's part about tests of pipelines: EF21xx. See `errors.ts`, which puts the parts together. */
import type { CatalogueEntry } from './config-errors.ts';

export const testErrors = {
  EF2101: {
    title: 'a test without a pipeline',
    help: '`orders.test.yaml` tests the `orders.yaml` beside it. Name the pipelines where they lie elsewhere: `pipelines: [../orders.yaml]`.',
  },
  EF2102: {
    title: 'a route that is not under test',
    help: 'Tests name routes as `orders.receipt`, or as `receipt` where one pipeline under test has such a route. Only the pipelines of the test file are looked at.',
  },
  EF2103: {
    title: 'an event that the test does not publish',
    help: 'Events are named by their `id`. Those without one are `e1`, `e2` … in the order of the list; with `repeat`, `-1`, `-2` … is added.',
  },
  EF2104: {
    title: 'a name that is used twice',
    help: 'Each test of a file has a name of its own, and each event of a test an id. An event with the id and source of an earlier one is taken for its repeat, which may be what the test is about; one with another source needs an id of its own, since tests name events by it.',
  },
  EF2105: {
    title: 'a file without an event',
    help: '`file:` names a JSON file with one event, relative to the test: `{ "type": "order.paid", "data": { … } }`.',
  },
  EF2106: {
    title: 'a time, a place or a number that makes no sense',
    help: 'Events stand in the order of time, and there are at most 10,000 of them; events and checks come before `until`, and `...` is the last of a list.',
  },
  EF2107: {
    title: 'a pattern that means nothing',
    help: 'In place of a value may stand `{ $contains: text }`, `{ $matches: regular expression }` or `{ $absent: true }`.',
  },
  EF2108: {
    title: 'tests that are not there',
    help: '`eventflow test` takes files of tests or of pipelines, folders and globs, relative to where it is called. Look for a slip in the path.',
  },
  EF2109: {
    title: 'an answer that contradicts itself',
    help: 'A target that says nothing until the timeout gives no status, no code and no words. Write `timeout`, or another fault with what it says.',
  },
  EF2110: {
    title: 'an expectation that is not met',
    help: 'What happened is listed below it, with its times. Correct the pipeline, or the expectation.',
  },
} as const satisfies Record<string, CatalogueEntry>;
