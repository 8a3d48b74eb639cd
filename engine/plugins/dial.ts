/**
 * Opens the connections of outgoing HTTP, and judges every address at the moment it is dialled: what a name resolved to
 * a second ago proves nothing. Names with one forbidden address among several are refused as a whole.
 */
import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import type { AddressJudge } from './addresses.ts';
import { bareHost, blockedAddress } from './target.ts';

/** Node's `dns.lookup` with `all`: every address of a name. */
export type ResolveAll = (
  host: string,
  done: (error: NodeJS.ErrnoException | null, addresses: readonly { address: string; family: number }[]) => void,
) => void;

const resolveAll: ResolveAll = (host, done) => systemLookup(host, { all: true }, done);

function guardedLookup(judge: AddressJudge, resolve: ResolveAll): LookupFunction {
  return (name, { all }, done) => {
    const host = bareHost(name).toLowerCase();
    resolve(name, (error, addresses) => {
      if (error !== null) return done(error, '', 0);
      for (const { address } of addresses) {
        const why = judge.verdict(address, host);
        if (why !== undefined) return done(blockedAddress(host, why), '', 0);
      }
      if (all === true) return done(null, [...addresses]);
      const [first] = addresses;
      if (first === undefined)
        return done(Object.assign(new Error(`${host} has no address`), { code: 'ENODATA' }), '', 0);
      done(null, first.address, first.family);
    });
  };
}

/** A connector for undici. IP literals never reach `lookup`, so they are judged here. HTTP/1.1 only. */
export function guardedConnector(
  judge: AddressJudge,
  connectTimeout: number,
  resolve: ResolveAll = resolveAll,
): buildConnector.connector {
  const lookup = guardedLookup(judge, resolve);
  const connect = buildConnector({ allowH2: false, timeout: connectTimeout, lookup });
  return (options, done) => {
    const host = bareHost(options.hostname);
    const why = isIP(host) === 0 ? undefined : judge.verdict(host, host);
    if (why === undefined) return connect({ ...options, hostname: host }, done);
    queueMicrotask(() => done(blockedAddress(host, why), null));
  };
}
