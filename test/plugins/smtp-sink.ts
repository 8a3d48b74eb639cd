/** A real SMTP server on this machine that takes, refuses or stalls as it is told. */
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  /** Headers and body as they arrived. */
  readonly raw: string;
}

export interface SmtpSink {
  /** `smtp://127.0.0.1:PORT` */
  readonly url: string;
  readonly port: number;
  readonly mails: readonly Mail[];
  /** Connections that were opened so far. */
  readonly connections: number;
  close(): Promise<void>;
}

export interface SmtpBehaviour {
  /** Answered to every message. */
  readonly onData?: number | 'hang';
  /** Answered to a recipient. */
  readonly onRecipient?: (address: string) => number | undefined;
  /** The one password that is let in. */
  readonly password?: string;
  readonly server?: SMTPServerOptions;
}

const answer = (code: number): Error => Object.assign(new Error(`the sink says ${code}`), { responseCode: code });

export async function smtpSink(behaviour: SmtpBehaviour = {}): Promise<SmtpSink> {
  const mails: Mail[] = [];
  let connections = 0;
  const server = new SMTPServer({
    disabledCommands: behaviour.password === undefined ? ['AUTH', 'STARTTLS'] : ['STARTTLS'],
    allowInsecureAuth: true,
    closeTimeout: 100,
    ...behaviour.server,
    onConnect(_session, done) {
      connections += 1;
      done();
    },
    onAuth({ username, password }, _session, done) {
      if (password === behaviour.password) return done(null, { user: username });
      done(answer(535));
    },
    onRcptTo({ address }, _session, done) {
      const code = behaviour.onRecipient?.(address);
      done(code === undefined ? null : answer(code));
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        if (behaviour.onData === 'hang') return;
        if (behaviour.onData !== undefined) return done(answer(behaviour.onData));
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          raw: Buffer.concat(chunks).toString(),
        });
        done();
      });
    },
  });
  server.on('error', () => undefined);
  const listening = server.listen(0, '127.0.0.1');
  await new Promise((resolve) => listening.once('listening', resolve));
  const { port } = listening.address() as AddressInfo;
  return {
    url: `smtp://127.0.0.1:${port}`,
    port,
    mails,
    get connections() {
      return connections;
    },
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
