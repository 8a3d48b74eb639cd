/** What an endpoint's answer means. */
import { badStatus, type HttpResponse, retryAfter } from 'eventflow/plugin';

/** ms that a `Retry-After` asks for: seconds, or an HTTP date. Undefined when there is none that can be read. */
export function retryAfterOf({ headers }: HttpResponse, now: number): number | undefined {
  const value = headers['retry-after'];
  if (typeof value !== 'string') return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const date = /^[A-Z][a-z]{2,8},? /.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** Characters of an answer: enough to see in a dead letter what was wrong. */
const keptOfAnswer = 1024;

const explain = (status: number): string => {
  if (status === 410) return ': the endpoint is gone for good, take the route away or correct its url';
  return status >= 300 && status < 400 ? ': redirects are not followed, write the final address' : '';
};

/** Throws unless the answer means delivered. */
export function judgeAnswer(response: HttpResponse, success: ReadonlySet<number> | undefined, now: number): void {
  const { status } = response;
  if (success === undefined ? status >= 200 && status < 300 : success.has(status)) return;
  const expected = success === undefined ? 'a 2xx' : [...success].join(', ');
  const error = badStatus(
    new Error(`expected ${expected}, got ${status}${explain(status)}`),
    status,
    response.body.slice(0, keptOfAnswer),
  );
  const wait = retryAfterOf(response, now);
  throw wait === undefined ? error : retryAfter(error, wait);
}
