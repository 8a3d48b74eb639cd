/**
 * Outgoing HTTP for every handler: one pool of connections per origin, no redirects, no proxies, and the guard against
 * requests into the private network (see `addresses.ts`, `dial.ts`, `target.ts`).
 */
import { Agent } from 'undici';
import type { HttpClient, HttpRequest, HttpResponse } from '../plugin.ts';
import { type AddressRules, createAddressJudge } from './addresses.ts';
import { guardedConnector, type ResolveAll } from './dial.ts';
import { Exchange } from './exchange.ts';
import { parseTarget, type Target } from './target.ts';

export interface EgressSettings extends AddressRules {
  /** Connections per origin at once [50]. */
  readonly connections?: number;
  /** ms [10,000]. */
  readonly connectTimeout?: number;
  /** For tests: resolves names in place of the system. */
  readonly resolve?: ResolveAll;
}

export interface Egress extends HttpClient {
  /** Cuts what is under way. */
  close(): Promise<void>;
}

const defaultLimit = 64 * 1024;
const defaultTimeout = 30_000;
const rememberedTargets = 1_000;

/** Parsing costs more than the rest of a request; most routes send to one URL for ever. */
function rememberTargets(parse: (url: string) => Target): (url: string) => Target {
  const known = new Map<string, Target>();
  return (url) => {
    const found = known.get(url);
    if (found !== undefined) return found;
    const target = parse(url);
    if (known.size >= rememberedTargets) known.clear();
    known.set(url, target);
    return target;
  };
}

/** Throws when `allow` has an entry that is no host, address or range. */
export function createEgress(settings: EgressSettings): Egress {
  const judge = createAddressJudge(settings);
  const targetOf = rememberTargets((url) => parseTarget(url, judge));
  const agent = new Agent({
    connections: settings.connections ?? 50,
    pipelining: 1,
    maxHeaderSize: 16 * 1024,
    // The total deadline of each request replaces these: they start anew with every byte of a dripping answer.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: guardedConnector(judge, settings.connectTimeout ?? 10_000, settings.resolve),
  });
  return {
    request: (url, request) => send(agent, targetOf, url, request),
    assertAllowed(url) {
      targetOf(url);
    },
    close: () => agent.destroy(),
  };
}

function send(
  agent: Agent,
  targetOf: (url: string) => Target,
  url: string,
  request: HttpRequest,
): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    request.signal?.throwIfAborted();
    const { origin, path } = targetOf(url);
    const {
      method = 'GET',
      headers,
      body,
      signal,
      timeout = defaultTimeout,
      maxResponseBytes: limit = defaultLimit,
    } = request;
    const exchange = new Exchange({ origin, timeout, limit, signal }, resolve, reject);
    try {
      agent.dispatch({ origin, path, method, headers: headers ?? null, body: body ?? null }, exchange);
    } catch (error) {
      exchange.refused(error as Error);
    }
  });
}
