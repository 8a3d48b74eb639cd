/** What an SMTP failure means: 4xx can pass, 5xx cannot, and a server that cannot be reached or does not let us in is down. */
import { permanent, unavailable, withHint } from 'eventflow/plugin';

interface SmtpError extends Error {
  readonly code?: string;
  readonly responseCode?: number;
  readonly response?: string;
}

/** Of the server as a whole, not of this message: shutting down, or logins fail for now. */
const downCodes = new Set([421, 454]);

/** What was said about this message: its sender, its recipients or its content. */
const messageCodes = new Set(['EENVELOPE', 'EMESSAGE']);

/** What went wrong before there was a message: it says something about the server only. */
function connectionFault(error: SmtpError): Error {
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
    default:
      return error;
  }
}

function messageFault(error: SmtpError): Error {
  const { responseCode: status, response, code = 'EMESSAGE' } = error;
  if (status === undefined) return permanent(withHint(error, { code }));
  const said = withHint(error, {
    code: `smtp_${status}`,
    status,
    ...(response === undefined ? {} : { body: response }),
  });
  if (downCodes.has(status)) return unavailable(said);
  return status >= 500 ? permanent(said) : said;
}

/**
 * A login that fails concerns every message alike: they wait behind the breaker for somebody to correct the password,
 * whatever class of answer it was.
 */
export function smtpFault(reason: unknown): Error {
  if (!(reason instanceof Error)) return new Error(String(reason));
  const error = reason as SmtpError;
  if (error.code === 'EAUTH') return unavailable(withHint(error, { code: 'smtp_auth' }));
  const isSaid = messageCodes.has(error.code ?? '') || downCodes.has(error.responseCode ?? 0);
  return isSaid ? messageFault(error) : connectionFault(error);
}
