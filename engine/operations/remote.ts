/** Operations on a running engine, through its admin listener. */
import { request } from 'undici';
import { EventFlowError } from '../errors.ts';
import type { DeadLetterFilter, GenerationList, Operations, ReloadReport } from './operations.ts';
import type { PlanAnswer, PostedFile } from './plan.ts';

const usualMs = 30_000;
/** Of what waits for every handler and group of a generation to be made, and for its turn before that. */
const patientMs = 300_000;

interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  /** How long the answer may take, ms [30,000]. */
  readonly withinMs?: number;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function unanswered({ origin }: URL, { method, path, withinMs = usualMs }: Call, cause: unknown): EventFlowError {
  const { name, code, message } = cause as Error & { code?: string };
  const late = `expected an answer of ${origin} to ${method} ${path} within ${withinMs / 1_000} s, got none yet`;
  const text =
    name === 'TimeoutError'
      ? `${late}${method === 'POST' ? ': the engine may still be at it, so look what came of it before you ask again' : ''}`
      : `expected an engine's admin listener at ${origin}, got ${code ?? message}`;
  return new EventFlowError('EF6021', text, { cause });
}

/** Throws `EF6021`. */
async function call(base: string, what: Call): Promise<Answer> {
  const { method, path, body, withinMs = usualMs } = what;
  const url = new URL(path, base);
  try {
    const response = await request(url, {
      method,
      signal: AbortSignal.timeout(withinMs),
      // The signal alone says how long: undici's own limits are shorter than some.
      ...{ headersTimeout: 0, bodyTimeout: 0 },
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    return { status: response.statusCode, text: await response.body.text() };
  } catch (cause) {
    throw unanswered(url, what, cause);
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
  return read<T>(await call(base, what), `${what.method} ${what.path}`);
}

function read<T>({ status, text }: Answer, what: string): T {
  const value = parse(text, what) as T & { detail?: unknown };
  if (status >= 200 && status < 300) return value;
  throw new EventFlowError('EF6022', `${what}: status ${status}: ${String(value.detail ?? text)}`);
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
    purge: async (body) => {
      const answer = await call(adminUrl, { method: 'POST', path: '/admin/routes/purge', body });
      return answer.status === 404 ? undefined : read(answer, 'POST /admin/routes/purge');
    },
    verify: () => get('/admin/verify'),
  };
}

/** Asks a running engine what a reload would do, of its own files or of these. Rejects with `EF6021` or `EF6022`. */
export const remotePlan = (adminUrl: string, files?: readonly PostedFile[]): Promise<PlanAnswer> =>
  ask(adminUrl, { method: 'POST', path: '/admin/plan', ...(files === undefined ? {} : { body: { files } }) });

/** Asks a running engine to reload. Rejects with `EF6021` or `EF6022`. */
export const remoteReload = (adminUrl: string): Promise<ReloadReport> =>
  ask(adminUrl, { method: 'POST', path: '/admin/reload', withinMs: patientMs });

/** Asks a running engine to go back to a generation that it keeps [the one before]. Rejects with `EF6021` or `EF6022`. */
export const remoteRollback = (adminUrl: string, generation?: number): Promise<ReloadReport> =>
  ask(adminUrl, {
    ...{ method: 'POST', path: '/admin/rollback', withinMs: patientMs },
    body: generation === undefined ? {} : { generation },
  });

/** The generations that a running engine keeps, newest first. Rejects with `EF6021` or `EF6022`. */
export const remoteGenerations = (adminUrl: string): Promise<GenerationList> =>
  ask(adminUrl, { method: 'GET', path: '/admin/generations' });
