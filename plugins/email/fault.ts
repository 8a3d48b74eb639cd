/** What an SMTP failure means: 4xx can pass, 5xx cannot, and a server that cannot be reached or does not let us in is down. */
import { permanent, unavailable, withHint } from 'eventflow/plugin';

interface SmtpError extends Error {
  readonly code?: string;
  readonly responseCode?: number;
  readonly response?: string;
}

/** Of the server as a whole, not of this message: shutting down, or logins fail for now. */
const downCodes = new Set([421, 454]);

function byCode(error: SmtpError): Error {
  switch (error.code) {
    case 'EDNS':
      return withHint(error, { kind: 'dns', code: 'EDNS' });
    case 'ETIMEDOUT':
      return withHint(error, { kind: 'timeout', code: 'smtp_timeout' });
    case 'ETLS':
      return withHint(error, { kind: 'connection', code: 'tls' });
    case 'ECONNECTION':
    case 'ESOCKET':
    case 'EPROTOCOL':
      return withHint(error, { kind: 'connection', code: error.code });
    case 'EENVELOPE':
    case 'EMESSAGE':
      return permanent(withHint(error, { code: error.code }));
    default:
      return error;
  }
}

/**
 * A login that fails concerns every message alike: they wait behind the breaker for somebody to correct the password,
 * whatever class of answer it was.
 */
export function smtpFault(reason: unknown): Error {
  if (!(reason instanceof Error)) return new Error(String(reason));
  const error = reason as SmtpError;
  const status = error.responseCode;
  if (error.code === 'EAUTH') return unavailable(withHint(error, { code: 'smtp_auth' }));
  if (status === undefined || status < 400) return byCode(error);
  const said = withHint(error, { code: `smtp_${status}`, status, ...(error.response ? { body: error.response } : {}) });
  if (downCodes.has(status)) return unavailable(said);
  return status >= 500 ? permanent(said) : said;
}
