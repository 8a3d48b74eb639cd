/**
 * Which state belongs to which route. The state of a group rests in a storage whose name never changes; the group's own
 * name is only what it is called now. So renaming a route moves nothing, and engines that still have the old name go on
 * with the same state beside those that have the new one. Pure.
 */

/** A route of somebody's generation, disabled ones included. */
export interface Claim {
  /** `<pipeline>.<route>`. */
  readonly group: string;
  /** The group that it was before. */
  readonly previous?: string | undefined;
  /** What waits for it waits on. */
  readonly disabled?: true;
}

/** A group as the bus tells of it. */
export interface GroupInfo {
  readonly group: string;
  /** Where its state rests: the same for all of its names. */
  readonly storage: string;
  /** What it was called before, the latest first. */
  readonly former: readonly string[];
  readonly patterns: readonly string[];
  readonly streams: readonly string[];
  /** ms since the epoch. */
  readonly activatedAt: number;
  /** Since when no engine has had its route, which was taken out of the files; ms since the epoch. */
  readonly removedAt: number | undefined;
  /** Live engines whose generation has the route, also where it is disabled. */
  readonly engines: readonly string[];
  /** Every live engine that has the route has it disabled; false while none has it. */
  readonly disabled: boolean;
}

/** What an engine's generation has. */
export interface Claims {
  /** Disabled ones included. */
  readonly routes: readonly Claim[];
  readonly generation: number;
  readonly hash: string;
}

export interface ClaimResult {
  /** Groups that got another name by this call. */
  readonly renamed: readonly { readonly from: string; readonly to: string }[];
  /** Routes whose previous group the bus has never seen: they start with nothing. */
  readonly unknown: readonly Claim[];
}

export interface EngineInfo {
  readonly name: string;
  /** Last sign of life, ms since the epoch. */
  readonly at: number;
  readonly generation: number;
  readonly hash: string;
}

/** So long after its last sign of life an engine counts as gone, ms. */
export const engineLifeMs = 20_000;

/** What the bus keeps of a group. */
export interface Holding {
  readonly storage: string;
  /** What it is called now; no two holdings have the same name. */
  readonly name: string;
  /** What it was called before, the latest first. */
  readonly former: readonly string[];
  /** Its route was taken out of the files, and no engine has it. */
  readonly removed: boolean;
}

export interface Rename {
  readonly storage: string;
  readonly from: string;
  readonly to: string;
  /** All former names from now on. */
  readonly former: readonly string[];
}

export interface ClaimPlan {
  /** By group, for each claim: the storage that is there, or the one that is to be made. */
  readonly storages: ReadonlyMap<string, string>;
  readonly renames: readonly Rename[];
  /** Claims whose `previous` leads nowhere: they start with nothing. */
  readonly unknown: readonly Claim[];
}

/** More would only be kept for nobody. */
const mostFormer = 8;

function renameTo({ storage, name, former }: Holding, to: string): Rename {
  const names = [name, ...former.filter((one) => one !== name && one !== to)];
  return { storage, from: name, to, former: names.slice(0, mostFormer) };
}

/** A storage of its own: the group's name, unless that is another route's storage from the time when it had the name. */
function freshStorage(group: string, taken: ReadonlySet<string>): string {
  if (!taken.has(group)) return group;
  for (let n = 2; ; n += 1) if (!taken.has(`${group}~${n}`)) return `${group}~${n}`;
}

/**
 * In this order: who has the name keeps it; a route takes over what its `previous` name, or a former life under it, left;
 * a name that comes back, as when a commit is reverted, goes on where its route has gone under another name; the rest is
 * new. What was removed under its last name is not inherited by a route that only has one of its former names.
 *
 * `calledSo`: storages whose present name another live engine uses. They keep it, also when an old name comes back: in
 * a rolling change the engines with the old name work on, and the one that is to stay wins in the end.
 */
export function planClaims(
  holdings: readonly Holding[],
  claims: readonly Claim[],
  calledSo: ReadonlySet<string>,
): ClaimPlan {
  const storages = new Map<string, string>();
  const renames: Rename[] = [];
  const free = new Map(holdings.map((holding) => [holding.name, holding]));
  const wanted = new Set(claims.map(({ group }) => group));
  const left = new Set(claims);
  const formerly = (name: string): Holding | undefined =>
    [...free.values()]
      .filter((one) => one.former.includes(name) && !wanted.has(one.name))
      .sort((a, b) => a.former.indexOf(name) - b.former.indexOf(name))[0];
  const give = (claim: Claim, holding: Holding): void => {
    storages.set(claim.group, holding.storage);
    free.delete(holding.name);
    left.delete(claim);
  };
  for (const claim of left) {
    const own = free.get(claim.group);
    if (own !== undefined) give(claim, own);
  }
  const unknown: Claim[] = [];
  for (const claim of left) {
    if (claim.previous === undefined) continue;
    const holding = free.get(claim.previous) ?? formerly(claim.previous);
    if (holding === undefined) {
      unknown.push(claim);
      continue;
    }
    give(claim, holding);
    renames.push(renameTo(holding, claim.group));
  }
  for (const claim of left) {
    const holding = formerly(claim.group);
    if (holding === undefined || holding.removed) continue;
    give(claim, holding);
    if (!calledSo.has(holding.storage)) renames.push(renameTo(holding, claim.group));
  }
  const taken = new Set(holdings.map(({ storage }) => storage));
  for (const { group } of left) storages.set(group, freshStorage(group, taken));
  return { storages, renames, unknown: unknown.filter((claim) => left.has(claim)) };
}

/** The holding that a name means: its present one, else the one that had it last. */
export function holdingOf<T extends Pick<Holding, 'name' | 'former'>>(
  holdings: readonly T[],
  name: string,
): T | undefined {
  const former = holdings.filter((one) => one.former.includes(name));
  former.sort((a, b) => a.former.indexOf(name) - b.former.indexOf(name));
  return holdings.find((one) => one.name === name) ?? former[0];
}
