/** What an endpoint's answer means. */
import { badAnswer, type HttpResponse } from 'eventflow/plugin';

const explain = (status: number): string => {
  if (status === 410) return ': the endpoint is gone for good, take the route away or correct its url';
  return status >= 300 && status < 400 ? ': redirects are not followed, write the final address' : '';
};

/** Throws unless the answer means delivered. */
export function judgeAnswer(response: HttpResponse, success: ReadonlySet<number> | undefined, now: number): void {
  const { status } = response;
  if (success === undefined ? status >= 200 && status < 300 : success.has(status)) return;
  const expected = success === undefined ? 'a 2xx' : [...success].join(', ');
  throw badAnswer(response, now, `expected ${expected}, got ${status}${explain(status)}`);
}
