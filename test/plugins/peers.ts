/** Peers for handlers that speak HTTP: one that takes everything, and the ones that do not. */
import {
  type ExamSubject,
  type HttpSink,
  httpSink,
  type Peer,
  type SinkAnswer,
  type SinkRequest,
} from 'eventflow/testing';

type Peers = ExamSubject['peers'];
type MakeOptions = (url: string) => object;

const asText = ({ method, path, headers, body }: SinkRequest): string =>
  JSON.stringify({ method, path, headers, body: body.toString() });

const peerOf = (sink: HttpSink, options: MakeOptions): Peer => ({
  options: options(sink.url),
  received: () => sink.requests.map(asText),
  close: () => sink.close(),
});

async function answering(options: MakeOptions, answer: SinkAnswer): Promise<Peer> {
  const sink = await httpSink();
  sink.usually(answer);
  return peerOf(sink, options);
}

/** A port on which nobody listens any more. */
async function gone(options: MakeOptions): Promise<Peer> {
  const sink = await httpSink();
  await sink.close();
  return { ...peerOf(sink, options), close: async () => undefined };
}

export const httpPeers = (options: MakeOptions, ok: SinkAnswer = 200): Peers => ({
  ok: () => answering(options, ok),
  hang: () => answering(options, 'hang'),
  down: () => gone(options),
  busy: () => answering(options, { status: 503, headers: { 'retry-after': '1' }, body: 'later' }),
  rejects: () => answering(options, { status: 422, body: 'no' }),
});

export const headerOf = (received: string, name: string): string | undefined =>
  (JSON.parse(received) as { headers: Record<string, string | undefined> }).headers[name];
