/** The other side of the demo: a mail server and three HTTP services that fail on a script, each with a ledger. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

/** What a service really took, by event id; `repeats` counts what it was sent again after it had taken it. */
export interface Ledger {
  readonly taken: Set<string>;
  repeats: number;
  requests: number;
  refused: number;
}

export const newLedger = (): Ledger => ({ taken: new Set(), repeats: 0, requests: 0, refused: 0 });

function take(ledger: Ledger, id: string): void {
  if (ledger.taken.has(id)) ledger.repeats += 1;
  ledger.taken.add(id);
}

export interface Sinks {
  readonly httpUrl: string;
  readonly smtpUrl: string;
  readonly warehouse: Ledger;
  readonly crm: Ledger;
  readonly alerts: Ledger;
  readonly mail: Ledger;
  /** While true the warehouse answers 503 to everything. */
  warehouseDown: boolean;
  close(): Promise<void>;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

const answer = (response: ServerResponse, status: number, text = ''): void => {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(text);
};

/** Knows gifts only in version 2 of its API, and is down while `sinks.warehouseDown`. */
function warehouse(sinks: Sinks, request: IncomingMessage, body: string): [number, string?] {
  const event = JSON.parse(body) as { id: string; data: { gift?: boolean } };
  if (sinks.warehouseDown) return [503, 'the conveyor belt is stuck'];
  if (event.data.gift === true && request.headers['x-warehouse-api'] !== '2') return [422, 'unknown field: gift'];
  take(sinks.warehouse, event.id);
  return [200];
}

/** Fails the first time for every eighth event, and takes it the second time. */
function crm(sinks: Sinks, seen: Set<string>, request: IncomingMessage): [number, string?] {
  const id = String(request.headers['ce-id']);
  const n = Number(/\d+$/.exec(id)?.[0] ?? 0);
  if (n % 8 === 1 && !seen.has(id)) {
    seen.add(id);
    return [500, 'deadlock, try again'];
  }
  take(sinks.crm, id);
  return [200];
}

function startHttp(sinks: Sinks): Promise<{ url: string; close(): Promise<void> }> {
  const seen = new Set<string>();
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      const [ledger, [status, text]] = serve(request, body);
      ledger.requests += 1;
      if (status >= 300) ledger.refused += 1;
      answer(response, status, text);
    });
  });
  function serve(request: IncomingMessage, body: string): [Ledger, [number, string?]] {
    switch (request.url) {
      case '/warehouse':
        return [sinks.warehouse, warehouse(sinks, request, body)];
      case '/crm':
        return [sinks.crm, crm(sinks, seen, request)];
      default:
        take(sinks.alerts, String(request.headers['idempotency-key'] ?? body));
        return [sinks.alerts, [200]];
    }
  }
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const close = (): Promise<void> =>
        new Promise((done) => {
          server.close(() => done());
          server.closeAllConnections();
        });
      resolve({ url, close });
    });
  });
}

/** Takes every message, but answers 451 to every sixtieth the first time. */
function startSmtp(sinks: Sinks): Promise<{ url: string; close(): Promise<void> }> {
  const delayed = new Set<string>();
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onData(stream, _session, callback) {
      let text = '';
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      stream.on('end', () => {
        sinks.mail.requests += 1;
        const id = /^Message-ID:\s*<([^>]+)>/im.exec(text)?.[1] ?? text;
        if (sinks.mail.requests % 60 === 0 && !delayed.has(id)) {
          delayed.add(id);
          sinks.mail.refused += 1;
          return callback(Object.assign(new Error('greylisted, come back later'), { responseCode: 451 }));
        }
        take(sinks.mail, id);
        callback();
      });
    },
  });
  server.on('error', () => undefined); // A client that goes away in the middle is the client's business.
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.server.address() as AddressInfo;
      resolve({ url: `smtp://127.0.0.1:${port}`, close: () => new Promise((done) => server.close(() => done())) });
    });
  });
}

export async function startSinks(): Promise<Sinks> {
  const sinks = {
    httpUrl: '',
    smtpUrl: '',
    warehouse: newLedger(),
    crm: newLedger(),
    alerts: newLedger(),
    mail: newLedger(),
    warehouseDown: false,
    close: async () => undefined,
  } as { -readonly [key in keyof Sinks]: Sinks[key] };
  const [http, smtp] = await Promise.all([startHttp(sinks), startSmtp(sinks)]);
  sinks.httpUrl = http.url;
  sinks.smtpUrl = smtp.url;
  sinks.close = async () => {
    await Promise.all([http.close(), smtp.close()]);
  };
  return sinks;
}
