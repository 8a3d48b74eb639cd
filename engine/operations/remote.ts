/** Operations on a running engine, through its admin listener. */
import { request } from 'undici';
import { EventFlowError } from '../errors.ts';
import type { DeadLetterFilter, Operations, ReloadReport } from './operations.ts';
import type { PlanAnswer, PostedFile } from './plan.ts';

const timeoutMs = 30_000;

interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Throws `EF6021`. */
async function call(base: string, { method, path, body }: Call): Promise<Answer> {
  const url = new URL(path, base);
  try {
    const response = await request(url, {
      method,
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    return { status: response.statusCode, text: await response.body.text() };
  } catch (cause) {
    const { code, message } = cause as Error & { code?: string };
    throw new EventFlowError('EF6021', `expected an engine's admin listener at ${url.origin}, got ${code ?? message}`, {
      cause,
    });
  }
}

function parse(text: string, at: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new EventFlowError('EF6022', `expected JSON from ${at}, got ${JSON.stringify(text.slice(0, 60))}`, { cause });
  }
}

/** Throws `EF6022` for an answer that is no success. */
async function ask<T>(base: string, what: Call): Promise<T> {
  const { status, text } = await call(base, what);
  const value = parse(text, what.path) as T & { detail?: unknown };
  if (status >= 200 && status < 300) return value;
  throw new EventFlowError('EF6022', `${what.method} ${what.path}: status ${status}: ${String(value.detail ?? text)}`);
}

function queryOf(filter: DeadLetterFilter): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filter)) if (value !== undefined) query.set(name, String(value));
  return query.toString();
}

/** `adminUrl`: such as `http://127.0.0.1:8788`. Nothing is sent before the first call. */
export function remoteOperations(adminUrl: string): Operations {
  const get = <T>(path: string): Promise<T> => ask<T>(adminUrl, { method: 'GET', path });
  return {
    deadLetters: (filter) => get(`/admin/dead-letters?${queryOf(filter)}`),
    deadLetter: async (id) => {
      const path = `/admin/dead-letters/${encodeURIComponent(id)}`;
      const answer = await call(adminUrl, { method: 'GET', path });
      return answer.status === 404 ? undefined : ask(adminUrl, { method: 'GET', path });
    },
    redrive: (body) => ask(adminUrl, { method: 'POST', path: '/admin/dead-letters/redrive', body }),
    timeline: (eventId) => get(`/admin/events/${encodeURIComponent(eventId)}`),
    circuits: () => get('/admin/circuits'),
    routes: () => get('/admin/routes'),
    verify: () => get('/admin/verify'),
  };
}

/** Asks a running engine what a reload would do, of its own files or of these. Rejects with `EF6021` or `EF6022`. */
export const remotePlan = (adminUrl: string, files?: readonly PostedFile[]): Promise<PlanAnswer> =>
  ask(adminUrl, { method: 'POST', path: '/admin/plan', ...(files === undefined ? {} : { body: { files } }) });

/** Asks a running engine to reload. Rejects with `EF6021` or `EF6022`. */
export const remoteReload = (adminUrl: string): Promise<ReloadReport> =>
  ask(adminUrl, { method: 'POST', path: '/admin/reload' });
