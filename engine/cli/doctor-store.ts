/** The checks of `eventflow doctor` about the store and what rests in it. */
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Bus, Durability, Fill, GroupStats, StoreServer } from '../bus/bus.ts';
import type { Generation } from '../core/route.ts';
import { type Finding, ok, problem, warning } from './doctor-finding.ts';
import { checkServerVersion } from './doctor-versions.ts';

/** Everything about an open bus. Rejects when it stops answering. */
export async function checkStore(bus: Bus, generation: Generation | undefined): Promise<readonly Finding[]> {
  const examination = await bus.examine?.();
  // What a user may not do would make the other checks fail for the same reason.
  const missing = examination?.missingRights ?? [];
  const wrongRole = (examination?.servers ?? []).flatMap(checkRole);
  if (missing.length > 0) return [ok('reach', bus.label), checkRights(missing)];
  if (wrongRole.length > 0) return [ok('reach', bus.label), ...wrongRole];
  const [durability, hazards, fill] = await Promise.all([bus.durability(), bus.hazards?.(), bus.fill?.()]);
  const servers = examination?.servers ?? [];
  return [
    ok('reach', bus.label),
    ...versionsOf(servers).map(checkServerVersion),
    checkDurability(durability),
    ...servers.flatMap((server) => checkServer(server, durability)),
    ...(hazards === undefined ? [] : [checkEviction(hazards)]),
    ...(fill === undefined ? [] : [checkFill(fill)]),
    ...(examination === undefined ? [] : [checkRights(missing), checkClock(bus.now() - Date.now())]),
    ...(await checkGroups(bus, generation)),
  ];
}

export function checkDurability({ mode, level, reason }: Durability): Finding {
  if (level === 'guaranteed') return ok('durability', `${mode}, verified`);
  const got = `${mode}, best effort: ${reason ?? 'for a reason that is not known'}`;
  if (mode === 'none') return ok('durability', got);
  return problem('durability', got, `a store that keeps what mode ${mode} promises`, 'set what the reason names');
}

/** The nodes of a cluster mostly have the same one. */
const versionsOf = (servers: readonly StoreServer[]): readonly StoreServer[] => [
  ...new Map(servers.map((server) => [`${server.name} ${server.version}`, server])).values(),
];

const checkRole = ({ role }: StoreServer): readonly Finding[] =>
  role === 'master'
    ? []
    : [problem('role', `a ${role}`, 'a master', 'name the master, or its sentinels, in the bus URL')];

function checkServer(server: StoreServer, { mode }: Durability): readonly Finding[] {
  const found: Finding[] = [];
  if (server.snapshotFailed || server.rewriteFailed) {
    const got = `the last ${server.snapshotFailed ? 'snapshot' : 'rewrite of the append-only file'} went wrong`;
    found.push(problem('persistence', got, 'one that succeeded', "look at Redis's log: mostly the disk is full"));
  }
  if (mode === 'replicated' && !server.appendOnly) {
    found.push(
      warning(
        'persistence',
        'replicated, without an append-only file',
        'a master that does not come back empty',
        'set `appendonly yes`: replicas follow a master that restarted empty, and empty themselves',
      ),
    );
  }
  return found;
}

export function checkEviction(hazards: readonly string[]): Finding {
  if (hazards.length === 0) return ok('eviction', 'noeviction');
  const advice =
    'set `maxmemory-policy noeviction`: the engine does not start before, or with --allow-unsafe-store only';
  return problem('eviction', hazards.join('; '), 'maxmemory-policy noeviction', advice);
}

export function checkFill({ used, limit }: Fill): Finding {
  const percent = Math.floor((used / limit) * 100);
  const got = `${percent} % of maxmemory in use`;
  if (percent < 80) return ok('memory', got);
  return warning(
    'memory',
    got,
    'less than 80 %',
    'raise maxmemory, or find the route that falls behind: `eventflow verify`',
  );
}

export function checkRights(missing: readonly string[]): Finding {
  if (missing.length === 0) return ok('rights', 'this user may do what the bus does');
  const advice = `ACL SETUSER … ${missing.join(' ')} (all of it: \`eventflow redis acl\`)`;
  return problem('rights', `missing: ${missing.join(' ')}`, 'every right that the bus needs', advice);
}

/** `skewMs`: by how much the server is ahead. */
export function checkClock(skewMs: number): Finding {
  const got = `the server is ${(Math.abs(skewMs) / 1000).toFixed(1)} s ${skewMs < 0 ? 'behind' : 'ahead'}`;
  if (Math.abs(skewMs) < 1_000) return ok('clock', got);
  return warning('clock', got, 'less than 1 s', 'let both machines follow the same time (chrony, systemd-timesyncd)');
}

/** Longer than any lease that is renewed: nobody cares for these deliveries. */
const forgottenMs = 3_600_000;

async function checkGroups(bus: Bus, generation: Generation | undefined): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for (const { group } of await bus.groups()) {
    const stats = await bus.groupStats(group);
    if (stats !== undefined) found.push(...checkGroup(group, stats, generation));
  }
  return found.length > 0 ? found : [ok('groups', 'nothing odd about them')];
}

export function checkGroup(group: string, stats: GroupStats, generation: Generation | undefined): readonly Finding[] {
  const found: Finding[] = [];
  const waiting = stats.lag.reduce((sum, { entries }) => sum + entries, 0);
  if (generation !== undefined && generation.routes.get(group) === undefined) {
    const got = `${group} has no route any more; ${waiting} events wait for it, ${stats.dead} dead letters rest`;
    found.push(
      warning('groups', got, 'a route for each group', 'put the route back; until then its events stay and take room'),
    );
  }
  if (stats.pending > 0 && stats.pendingOldestMs > forgottenMs) {
    const got = `${group} has ${stats.pending} deliveries that nobody has cared for in ${Math.round(stats.pendingOldestMs / 60_000)} min`;
    found.push(warning('groups', got, 'an engine that takes them over', 'run an engine with this route'));
  }
  if (stats.lag.some(({ known }) => !known)) {
    const got = `Redis does not know how many events wait for ${group}; ${waiting} or more`;
    found.push(
      warning(
        'groups',
        got,
        'a known lag',
        'it is known again when the group has caught up; nobody should XDEL from the stream',
      ),
    );
  }
  return found;
}

const megabyte = 1_000_000;

/** Room for the file of an embedded bus. */
export async function checkDisk(file: string): Promise<Finding> {
  let folder = dirname(resolve(file));
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const got = `${Math.floor(free / megabyte).toLocaleString('en-US')} MB free for ${file}`;
  if (free >= 1_000 * megabyte) return ok('disk', got);
  const make = free < 100 * megabyte ? problem : warning;
  return make('disk', got, '1,000 MB or more', 'make room, or move the bus: a full disk refuses new events');
}
