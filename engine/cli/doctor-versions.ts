/** Servers with faults that matter to EventFlow, from the release notes of Redis and Valkey. */
import type { StoreServer } from '../bus/bus.ts';
import type { Finding } from './doctor-finding.ts';

interface KnownFault {
  readonly id: string;
  readonly what: string;
  /** From this version on, up to but without the one that mends it; undefined: nobody mended that line. */
  readonly affected: readonly (readonly [from: string, fixedIn: string | undefined])[];
}

const redis: readonly KnownFault[] = [
  {
    id: 'CVE-2025-49844',
    what: 'whoever may run scripts can run code on the server',
    affected: [
      ['7.0.0', undefined],
      ['7.2.0', '7.2.11'],
      ['7.4.0', '7.4.6'],
      ['8.0.0', '8.0.4'],
      ['8.2.0', '8.2.2'],
    ],
  },
  {
    id: 'CVE-2026-23479',
    what: 'a blocked client that is evicted can crash the server',
    affected: [
      ['7.2.0', undefined],
      ['7.4.0', undefined],
      ['8.0.0', undefined],
      ['8.2.0', '8.2.6'],
      ['8.4.0', undefined],
      ['8.6.0', '8.6.3'],
    ],
  },
  {
    id: 'CVE-2025-62507',
    what: 'XACKDEL can overflow the stack of the server',
    affected: [['8.2.0', '8.2.3']],
  },
  {
    id: 'redis#15478',
    what: 'XREADGROUP can read keys that the rules of its user do not allow',
    affected: [
      ['8.2.0', '8.2.9'],
      ['8.6.0', '8.6.6'],
    ],
  },
  {
    id: 'redis#14963',
    what: 'consumers of a group can differ between a master and its replicas',
    affected: [['8.6.0', '8.6.4']],
  },
];

const valkey: readonly KnownFault[] = [
  {
    id: 'CVE-2025-49844',
    what: 'whoever may run scripts can run code on the server',
    affected: [
      ['7.2.0', '7.2.11'],
      ['8.0.0', '8.0.6'],
      ['8.1.0', '8.1.4'],
    ],
  },
];

const numbersOf = (version: string): readonly number[] =>
  version.split('.').map((part) => Number.parseInt(part, 10) || 0);

/** Negative: `a` is older. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [numbersOf(a), numbersOf(b)];
  for (let at = 0; at < 3; at += 1) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

const line = (version: string): string => numbersOf(version).slice(0, 2).join('.');

/** One finding for the server, whatever is known of it. Distributions mend faults without changing the version. */
export function checkServerVersion({ name, version }: Pick<StoreServer, 'name' | 'version'>): Finding {
  const found = (name === 'Redis' ? redis : valkey).flatMap(({ id, what, affected }) => {
    const range = affected.find(([from]) => line(from) === line(version));
    const isOld = range !== undefined && (range[1] === undefined || compareVersions(version, range[1]) < 0);
    return isOld ? [{ id, what, fixedIn: range[1] }] : [];
  });
  const got = `${name} ${version}`;
  if (found.length === 0) return { check: 'version', status: 'ok', got };
  const newest = found
    .flatMap(({ fixedIn }) => fixedIn ?? [])
    .sort(compareVersions)
    .at(-1);
  const faults = found.map(({ id, what }) => `${id} (${what})`).join('; ');
  return {
    check: 'version',
    status: newest === undefined ? 'warning' : 'problem',
    got: `${got}, known for ${faults}`,
    expected: newest === undefined ? 'a line that is still mended' : `${newest} or later`,
    advice:
      newest === undefined
        ? 'check that the package of your distribution has the fix, or update to a later line'
        : `update to ${newest}, unless your distribution has put the fix into this version`,
  };
}
