/**
 * The error catalogue's part about files that people write: EF1xxx the YAML text, EF2xxx the pipeline. See `errors.ts`,
 * which holds the other families and puts them together. Each of these has an example in `config/examples.ts`.
 */

export interface CatalogueEntry {
  /** What went wrong, in one line. */
  readonly title: string;
  /** Why it is an error, and what to do. Markdown, shown by `eventflow explain CODE`. */
  readonly help: string;
}

export const configErrors = {
  EF1001: {
    title: 'the file cannot be read',
    help: 'It is missing, a folder, or not readable for the user that the engine runs as. The message says which. What ran before goes on.',
  },
  EF1002: {
    title: 'the file is too large',
    help: 'A configuration file has at most 256 KiB. Split the pipeline: one file holds one pipeline, and several may serve one domain.',
  },
  EF1003: {
    title: 'the file is not text',
    help: 'Expected UTF-8 without NUL bytes. Often the editor saved another encoding, or the path names some other kind of file.',
  },
  EF1004: {
    title: 'nested too deep',
    help: 'At most 32 levels of maps and lists. Deeper nesting is refused before the parser runs, since it could end the process.',
  },
  EF1005: {
    title: 'not valid YAML',
    help: 'The parser could not read the text. The place is where it noticed; a missing quote, colon or bracket is often a line above.',
  },
  EF1006: {
    title: 'a key stands twice',
    help: 'Two values for one key: only one of them could count. Remove or rename one.',
  },
  EF1007: {
    title: 'several documents in one file',
    help: 'A file holds one document. Put what follows `---` into a file of its own.',
  },
  EF1008: {
    title: 'unknown YAML tag',
    help: 'Tags such as `!secret` or `!!binary` mean nothing here. For secrets, write `${NAME}` or `${file:/path}`.',
  },
  EF1009: {
    title: 'too many values',
    help: 'A file has at most 5,000 values. Split the pipeline.',
  },
  EF1010: {
    title: 'an alias that cannot be followed',
    help: 'An alias `*name` needs an anchor `&name` before it, an anchor may not contain itself, `<<` needs a map, and all aliases together may not stand for more than 5,000 values.',
  },
  EF1011: {
    title: 'the file is empty',
    help: 'Nothing, or only comments. This is an error and not "no routes", because a file that was emptied by accident must not stop what it ran.',
  },
  EF1012: {
    title: 'a key that is no word',
    help: 'Keys are words. Lists, maps and nothing at all (`? [a, b]`, `: x`) cannot be keys here.',
  },
  EF1013: {
    title: 'an environment variable is missing',
    help: '`${NAME}` needs the variable to be set, `${NAME:?message}` also not to be empty. `${NAME:-default}` gives a value for when it is not.',
  },
  EF1014: {
    title: 'a malformed reference',
    help: 'Expected `${NAME}`, `${NAME:-default}`, `${NAME:?message}` or `${file:/path}`, closed by `}`. Write `$${` for a literal `${`.',
  },
  EF1015: {
    title: 'a file that a value is taken from cannot be read',
    help: '`${file:/path}` reads a secret from a file. Check the path, relative ones start at the folder of the YAML file, and who may read it.',
  },
  EF1016: {
    title: 'no pipeline files',
    help: 'The folder or pattern matches no `.yaml` file. This is an error and not "no routes", because a folder that was emptied or unmounted by accident must not stop what it ran.',
  },
  EF1017: {
    title: 'the file takes too long to read',
    help: 'Parsing is given 30 s and 256 MB of memory in a thread of its own. No file that a person writes comes near; long runs of brackets, colons or anchors do.',
  },
  EF1018: {
    title: 'references that stand for too much',
    help: 'One value holds at most 1,000 references, and all values of a file at most 1 MiB once they are filled in.',
  },
  EF1019: {
    title: 'more problems than are shown',
    help: 'Of each file the first 100 problems are shown. Correct some of them, often one explains many, and check again.',
  },
  EF2001: {
    title: 'unknown field',
    help: 'The field does not exist at this place: misspelt, or indented to the wrong level. Fields that start with `x-` are free for anchors.',
  },
  EF2002: { title: 'a field is missing', help: 'The field is required. The place is that of the map it belongs to.' },
  EF2003: {
    title: 'not one of the possible values',
    help: 'The field takes a few fixed words only; the message lists them.',
  },
  EF2004: {
    title: 'the wrong kind of value',
    help: 'Such as a text where a number belongs, or one value where a list belongs. Quotes make a text of a number; `[ ]` makes a list.',
  },
  EF2005: {
    title: 'out of range',
    help: 'Too small, too large, too long or too few. The message names the limit.',
  },
  EF2006: {
    title: 'the wrong form',
    help: 'The text does not have the form that the field needs, such as a duration (`30s`) or a name (`a-z`, `0-9`, `-`).',
  },
  EF2007: { title: 'listed twice', help: 'The list holds each value once. Remove the second one.' },
  EF2008: {
    title: 'fields that do not go together',
    help: 'Each field is fine, their combination is not. The message names the rule.',
  },
  EF2010: {
    title: 'unknown handler',
    help: 'No allowed plugin has a handler of this name. Install its package and list it under `plugins:` in eventflow.yaml. Only what is listed there is ever loaded.',
  },
  EF2011: {
    title: 'several plugins have this handler',
    help: 'Say which one is meant: `handler: "package:name"`.',
  },
  EF2012: {
    title: 'unknown policy',
    help: 'Policies are defined under `policies:` of the same file, by kind and name.',
  },
  EF2013: {
    title: 'two routes with one id',
    help: 'The id is the identity of the retries, dead letters and position of a route, so no two routes of a pipeline can share it.',
  },
  EF2014: {
    title: 'two pipelines with one name',
    help: 'The name is the identity of all state of a pipeline, so no two files can share it. Often one file is a copy of the other.',
  },
  EF2015: {
    title: 'an event type that is not in the catalogue',
    help: 'The pipelines declare `eventTypes`, and this one is not among them: misspelt, or not declared yet. The route would wait for events that nobody announced.',
  },
  EF2016: {
    title: "an event type's schema cannot be used",
    help: 'The file, or one that a `$ref` in it leads to, is missing, is not JSON, or is no valid JSON Schema (2020-12). The path starts at the folder of the pipeline file, that of a `$ref` at the folder of the schema; nothing is fetched from the network.',
  },
  EF2017: {
    title: 'an event type is declared in two ways',
    help: 'Two pipelines may declare the same type, but with the same schema and the same `onInvalid`.',
  },
  EF2018: {
    title: 'retries outlive maxAge',
    help: 'With these waits the last attempts come when the delivery has expired already, so they never run. Raise `maxAge`, or lower `maxAttempts` or the waits.',
  },
  EF2019: {
    title: 'the breaker can never open',
    help: 'When the target hangs, each call takes the whole `timeout`; `concurrency` of them at a time do not reach `minimumCalls` within `window`. Lengthen the window, or lower `minimumCalls` or `timeout`.',
  },
  EF2020: {
    title: 'limits that contradict each other',
    help: 'An upper limit is below the value that it limits, once defaults and policies are filled in.',
  },
  EF2021: {
    title: 'a schedule without waits, or waits without a schedule',
    help: '`backoff: schedule` takes its waits from `schedule: [5s, 5m, 30m]`; every other backoff ignores that field.',
  },
  EF2022: {
    title: 'a secret in plain text',
    help: 'Files in git are read by many. Write `${NAME}` or `${file:/run/secrets/name}` and give the value at run time. Secrets are shown as `[secret]` everywhere.',
  },
  EF2023: {
    title: 'a referenced file cannot be read',
    help: 'The option names a file. Paths start at the folder of the pipeline file.',
  },
  EF2024: {
    title: 'not a Liquid template',
    help: 'The option is a template (`{{ event.data.email }}`): a bracket is not closed, or a tag or filter does not exist. Tags that read other files (`include`, `render`, `layout`) are not there.',
  },
  EF2025: {
    title: 'a route or pattern that nothing reaches',
    help: 'Its condition is always false, or no event type can fit its patterns. To switch a route off, write `enabled: false`; to remove it, delete it.',
  },
  EF2026: {
    title: 'two routes that do the same',
    help: 'Both take the same events to the same handler with the same options, so everything is delivered twice. Often one is a copy whose options were not changed yet.',
  },
  EF2030: {
    title: 'not a CEL expression',
    help: 'Expressions are written in CEL (Common Expression Language, cel.dev): `event.data.total >= 100 && event.data.country in ["DE", "FR"]`. The place is where the reader stopped.',
  },
  EF2031: {
    title: 'an expression that cannot work',
    help: 'It is well-formed, but names something that does not exist, calculates with types that do not go together, comes to the wrong type, or is too long. What an expression sees is `event`: `id`, `source`, `type`, `time`, `subject`, `data`, `correlationid`, `traceparent` and the extensions.',
  },
  EF2032: {
    title: 'fields of set that lie inside of each other',
    help: '`set` adds each of its fields by itself, in no order. Where `customer` is set, put what `customer.tier` should be into its expression.',
  },
  EF2033: {
    title: '** inside of a segment',
    help: '`**` stands for any number of segments only where it is one itself: `order.**`, `**.paid`, `order.**.paid`. Inside of a segment it is a `*`: `order**` takes `orders` and not `order.paid`.',
  },
  EF2034: {
    title: 'a pattern that another one includes',
    help: 'An event is delivered to a route once, however many of its patterns fit. A pattern that takes nothing more than another one of the same route says nothing; often one of the two is misspelt.',
  },
  EF2035: {
    title: 'a field that no schema of the data has',
    help: 'The catalogue has schemas for the event types of the route, and none of them has this field: misspelt, or not declared yet. Where a field may be absent, `has(event.data.x)` asks for it; one that is named as if it were there makes a dead letter of every event without it.',
  },
  EF2040: {
    title: 'previousId names a route that is still there',
    help: 'A route takes over the position, retries and dead letters of the route that it was before, so that one has to be gone. Once every engine has made the rename, `previousId` can go, and then the old id is free for a new route, which starts with nothing.',
  },
  EF2041: {
    title: 'two routes were one before',
    help: 'What a route left behind goes to one route only. Keep `previousId` on the one that goes on, and let the other start anew.',
  },
  EF2055: {
    title: 'a breaker for each host of a handler without a target',
    help: '`scope: host` needs a handler that tells where it sends an event to: its plugin has `target(event)` and says `"target": true` among its capabilities. Use `scope: handler`, or a CEL expression that names the target.',
  },
  EF2056: {
    title: 'batches for a handler that takes one event at a time',
    help: '`batch` needs a handler with `handleBatch(events, batch)`, whose plugin says `"batch": true` among its capabilities. Without the field every handler gets its events one by one.',
  },
  EF2050: {
    title: 'ordering over several streams',
    help: 'Events of one stream have an order, events of two have none between them. Put the types of the route into one stream, in the settings under `streams`, or make a route of each.',
  },
} as const satisfies Record<string, CatalogueEntry>;
