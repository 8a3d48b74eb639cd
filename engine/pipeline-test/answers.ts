/** What targets answer: from the words of a test to what a handler does, and which answer comes next. */
import { badStatus, permanent, retryAfter, unavailable, withHint } from '../plugin.ts';
import type {
  AnswerFields,
  Answers,
  AnswersByEvent,
  PlainAnswers,
  Answer as WrittenAnswer,
} from './test-file.generated.ts';
import { parseTime } from './words.ts';

export interface Answer {
  /** ms. */
  readonly after: number;
  readonly ending:
    | { readonly kind: 'delivered' }
    | { readonly kind: 'skipped'; readonly reason: string }
    /** Waits until it is told to stop. */
    | { readonly kind: 'hangs' }
    | { readonly kind: 'throws'; readonly error: Error };
}

const delivered: Answer = { after: 0, ending: { kind: 'delivered' } };

const text =
  /^(?:(?<status>\d{3})|(?<word>[a-z]+))(?<words>.*?)(?: retryAfter (?<retryAfter>\w+))?(?: after (?<after>\w+))?(?: x ?(?<times>\d+))?$/;

/** The schema has seen to its form. */
function readText(written: string): AnswerFields {
  const { status, word = '', words = '', retryAfter: wish, after, times } = text.exec(written)?.groups ?? {};
  const more = {
    ...(wish === undefined ? {} : { retryAfter: wish }),
    ...(after === undefined ? {} : { after }),
    ...(times === undefined ? {} : { times: Number(times) }),
  };
  if (status !== undefined) return { status: Number(status), ...more };
  return { ...wordFields(word, words.trim()), ...more };
}

function wordFields(word: string, said: string): AnswerFields {
  const message = said === '' ? {} : { message: said };
  switch (word) {
    case 'skip':
      return { skip: said };
    case 'timeout':
    case 'connection':
    case 'dns':
      return { fault: word };
    case 'error':
      return { fault: 'error', ...message };
    case 'permanent':
      return { permanent: true, ...message };
    case 'unavailable':
      return { unavailable: true, ...message };
    default:
      return {};
  }
}

function fieldsOf(written: WrittenAnswer): AnswerFields {
  if (typeof written === 'number') return { status: written };
  return typeof written === 'string' ? readText(written) : written;
}

const usual = {
  connection: ['ECONNREFUSED', 'the connection was refused'],
  dns: ['ENOTFOUND', 'the name cannot be resolved'],
  error: ['error', 'the handler failed'],
} as const;

/** Undefined: it did not fail. */
function errorOf(fields: AnswerFields): Error | undefined {
  const { status, fault, message, body, code } = fields;
  if (status !== undefined && (status < 200 || status > 299)) {
    const error = badStatus(new Error(message ?? `expected a 2xx, got ${status}`), status, body);
    return code === undefined ? error : withHint(error, { code });
  }
  const failed = fault !== undefined || fields.permanent === true || fields.unavailable === true;
  if (!failed || fault === 'timeout') return undefined;
  const [usualCode, usualMessage] = usual[fault ?? 'error'];
  return withHint(new Error(message ?? usualMessage), { kind: fault ?? 'error', code: code ?? usualCode });
}

function endingOf(fields: AnswerFields): Answer['ending'] {
  if (fields.skip !== undefined) return { kind: 'skipped', reason: fields.skip };
  if (fields.fault === 'timeout') return { kind: 'hangs' };
  let error = errorOf(fields);
  if (error === undefined) return { kind: 'delivered' };
  if (fields.permanent === true) error = permanent(error);
  if (fields.unavailable === true) error = unavailable(error);
  if (fields.retryAfter !== undefined) error = retryAfter(error, parseTime(fields.retryAfter));
  return { kind: 'throws', error };
}

/** As often as its `times` say. */
function read(written: WrittenAnswer): Answer[] {
  const fields = fieldsOf(written);
  const answer = { after: fields.after === undefined ? 0 : parseTime(fields.after), ending: endingOf(fields) };
  return Array.from({ length: fields.times ?? 1 }, () => answer);
}

/** Gives the answer to the next attempt: one answer always, a list one by one and then 200. */
function sequence(written: PlainAnswers | undefined): () => Answer {
  if (written === undefined) return () => delivered;
  if (!Array.isArray(written)) {
    const answers = read(written);
    const always = fieldsOf(written).times === undefined ? answers[0] : undefined;
    return () => always ?? answers.shift() ?? delivered;
  }
  const answers = written.flatMap(read);
  return () => answers.shift() ?? delivered;
}

export const isByEvent = (written: Answers): written is AnswersByEvent =>
  typeof written === 'object' && !Array.isArray(written) && 'events' in written;

/** The answers of one route's target, attempt by attempt; `event` is its id. */
export function script(written: Answers | undefined): (event: string) => Answer {
  if (written === undefined || !isByEvent(written)) return sequence(written);
  const own = new Map(Object.entries(written.events).map(([event, answers]) => [event, sequence(answers)]));
  const others = sequence(written.others);
  return (event) => (own.get(event) ?? others)();
}
