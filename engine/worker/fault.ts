/** A thrown value, whatever it is, as a Fault. */
import type { Fault, Outcome } from '../core/outcome.ts';
import { type FaultHint, hintOf } from '../plugin.ts';

type FailedOutcome = Extract<Outcome, { kind: 'failed' }>;

const maxMessage = 300;
const maxBody = 1024;

const dnsCodes = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'ENODATA', 'ESERVFAIL']);
const timeoutCodes = new Set([
  'ETIMEDOUT',
  'ESOCKETTIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
]);
const connectionCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'UND_ERR_SOCKET',
  'UND_ERR_CLOSED',
]);

function kindOfCode(code: string): Fault['kind'] {
  if (dnsCodes.has(code)) return 'dns';
  if (timeoutCodes.has(code)) return 'timeout';
  return connectionCodes.has(code) ? 'connection' : 'error';
}

/** `code` of the error or of what caused it: wrapped errors hide theirs one level down. */
function codeOf(reason: unknown): string | undefined {
  for (let at: unknown = reason, depth = 0; depth < 4 && typeof at === 'object' && at !== null; depth += 1) {
    const { code, cause } = at as { code?: unknown; cause?: unknown };
    if (typeof code === 'string') return code;
    at = cause;
  }
  return undefined;
}

function messageOf(reason: unknown): string {
  if (reason instanceof Error) return reason.message === '' ? reason.name : reason.message;
  return `expected an Error to be thrown, got ${typeof reason === 'string' ? reason : `a value of type ${typeof reason}`}`;
}

/** Takes secrets out of a text; before it is cut, so that no half of one stays. */
export type Mask = (text: string) => string;

function describe(reason: unknown, hint: FaultHint, mask: Mask): Fault {
  const code = hint.code ?? codeOf(reason) ?? (reason instanceof Error ? reason.name : 'thrown');
  return {
    code: mask(code).slice(0, 64),
    message: mask(messageOf(reason)).slice(0, maxMessage),
    kind: hint.kind ?? kindOfCode(code),
    ...(hint.status === undefined ? {} : { status: hint.status }),
    ...(hint.body === undefined ? {} : { body: mask(hint.body).slice(0, maxBody) }),
    ...(hint.unavailable === true ? { unavailable: true } : {}),
  };
}

/**
 * The outcome of an attempt that threw `reason`. Never throws itself, whatever was thrown: a getter may. What a target
 * answers can repeat what it was sent, so its words go through `mask`.
 */
export function failedOutcome(reason: unknown, mask: Mask = (text) => text): FailedOutcome {
  try {
    return hintedOutcome(reason, mask);
  } catch {
    const message = 'expected an Error to be thrown, got a value that cannot be read';
    return { kind: 'failed', permanent: false, fault: { code: 'thrown', kind: 'error', message } };
  }
}

function hintedOutcome(reason: unknown, mask: Mask): FailedOutcome {
  const hint = hintOf(reason);
  return {
    kind: 'failed',
    fault: describe(reason, hint, mask),
    permanent: hint.permanent === true,
    ...(hint.retryAfter === undefined ? {} : { retryAfter: hint.retryAfter }),
  };
}

export const timeoutOutcome = (timeout: number): FailedOutcome => ({
  kind: 'failed',
  permanent: false,
  fault: { code: 'timeout', kind: 'timeout', message: `expected the handler to end within ${timeout} ms` },
});
