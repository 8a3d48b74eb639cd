/** A local HTTP server that answers as it is told, and remembers what it was sent. */
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SinkRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/**
 * A status; a whole answer (`delay` in ms); `hang`: never answers; `reset`: cuts the connection; `drip`: sends a byte
 * every 50 ms and never ends; `garbage`: something that is no HTTP.
 */
export type SinkAnswer =
  | number
  | {
      readonly status: number;
      readonly headers?: OutgoingHttpHeaders;
      readonly body?: string | Buffer;
      readonly delay?: number;
    }
  | 'hang'
  | 'reset'
  | 'drip'
  | 'garbage';

export interface HttpSink {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** In the order of arrival. */
  readonly requests: readonly SinkRequest[];
  /** The next requests get these, one each; then the usual answer again. */
  script(...answers: readonly SinkAnswer[]): void;
  /** The usual answer [200]. */
  usually(answer: SinkAnswer | ((request: SinkRequest) => SinkAnswer)): void;
  /** Connections that were opened so far. */
  readonly connections: number;
  close(): Promise<void>;
}

function dripForEver(response: ServerResponse): void {
  response.writeHead(200);
  const timer = setInterval(() => response.write('.'), 50);
  response.on('close', () => clearInterval(timer));
}

function give(answer: SinkAnswer, request: IncomingMessage, response: ServerResponse): void {
  switch (answer) {
    case 'hang':
      return;
    case 'reset':
      request.socket.resetAndDestroy();
      return;
    case 'drip':
      return dripForEver(response);
    case 'garbage':
      request.socket.end('this is no HTTP\r\n\r\n');
      return;
  }
  const { status, headers = {}, body = '', delay = 0 } = typeof answer === 'number' ? { status: answer } : answer;
  const send = (): void => {
    response.writeHead(status, headers).end(body);
  };
  if (delay > 0) setTimeout(send, delay).unref();
  else send();
}

async function read(request: IncomingMessage): Promise<SinkRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    headers: request.headers,
    body: Buffer.concat(chunks),
  };
}

/** Listens on a free port of 127.0.0.1. Close it at the end of the test. */
export async function httpSink(): Promise<HttpSink> {
  const requests: SinkRequest[] = [];
  const script: SinkAnswer[] = [];
  let usual: SinkAnswer | ((request: SinkRequest) => SinkAnswer) = 200;
  let connections = 0;
  const server = createServer((incoming, response) => {
    void read(incoming).then(
      (request) => {
        requests.push(request);
        give(script.shift() ?? (typeof usual === 'function' ? usual(request) : usual), incoming, response);
      },
      () => undefined,
    );
  });
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    script: (...answers) => {
      script.push(...answers);
    },
    usually(answer) {
      usual = answer;
    },
    get connections() {
      return connections;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
