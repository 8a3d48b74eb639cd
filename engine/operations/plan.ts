/**
 * What a reload would do, as data: the shape that `eventflow plan --json` prints and `POST /admin/plan` answers. Fields are
 * only ever added to it; `version` changes when one means something else.
 */
import type { FieldChange } from '../core/diff.ts';
import type { Circuit } from './operations.ts';

/** Where a set of pipelines was taken from. */
export interface PlanSide {
  /** `running`: what an engine runs; `files`: on a disk; `git`: of a revision; `posted`: sent along with the question. */
  readonly kind: 'running' | 'files' | 'git' | 'posted';
  /** For people: a path, a revision, an address. */
  readonly name: string;
  /** Equal for two sets that behave the same; empty for one that cannot be read. */
  readonly hash: string;
}

/** Deliveries of one route, over all engines, when the plan was made. */
export interface LiveWork {
  /** Published and not handed out yet; held ones among them while the circuit is open. */
  readonly waiting: number;
  /** Handed out, not settled. */
  readonly pending: number;
  readonly retrying: number;
  /** Retries and redrives that are due and not read yet. */
  readonly due: number;
  readonly dead: number;
  /** False: `waiting` is a lower bound. */
  readonly exact: boolean;
  /** The circuit is open, so that what is waiting is held. */
  readonly held: boolean;
}

/** `enable` and `disable`: `enabled` is all that matters, whatever else changes with it. */
export type RouteAction = 'add' | 'enable' | 'change' | 'rename' | 'disable' | 'remove';

/**
 * `create`: the bus has none of this name; `resume`: it goes on where it stopped; `keep`: its engine goes on reading, or
 * starts again with what changed; `rename`: the same state under another name; `rest`: it stays as it is, and fills;
 * `detach`: no route reads it any more; `none`: there is none, and none is made. Without a bus, `create` may be `resume`.
 */
export type GroupEffect = 'create' | 'resume' | 'keep' | 'rename' | 'rest' | 'detach' | 'none';

/** `replace`: the new one is made before the old one is closed. `none`: the route did not run and does not. */
export type HandlerEffect = 'create' | 'replace' | 'close' | 'none';

/**
 * `join`: the route gets one, in the state in which the bus has it, or closed; `keep`: state and counts stay; `reset`: it
 * goes on with another one, so that what the old one counted does not matter; `leave`: it has one no more; `none`: never had.
 */
export type BreakerEffect = 'join' | 'keep' | 'reset' | 'leave' | 'none';

export interface RoutePlan {
  readonly group: string;
  readonly action: RouteAction;
  /** Of a renamed route. */
  readonly previousGroup?: string;
  /** Where the route stands, or stood. */
  readonly place: { readonly file: string; readonly line: number; readonly column: number };
  /** Field by field; empty for a route that is added or removed. Secrets are `[secret]`. */
  readonly fields: readonly FieldChange[];
  readonly handler: HandlerEffect;
  readonly consumerGroup: GroupEffect;
  readonly breaker: BreakerEffect;
  /** As they are now, most often one; empty when nobody was asked, or none ever changed. */
  readonly circuits: readonly Circuit[];
  /** Undefined: nobody was asked, or the bus does not know the group. */
  readonly live: LiveWork | undefined;
  /** In sentences: what becomes of the work, and what else to know. */
  readonly effects: readonly string[];
}

export interface EventTypePlan {
  readonly type: string;
  readonly action: 'add' | 'change' | 'remove';
  readonly fields: readonly FieldChange[];
}

/** A pipeline's description or labels: shown on dashboards, and nothing else. */
export interface PipelinePlan {
  readonly pipeline: string;
  readonly action: 'add' | 'change' | 'remove';
  readonly fields: readonly FieldChange[];
}

export interface PlanSummary {
  readonly added: number;
  readonly changed: number;
  readonly renamed: number;
  readonly removed: number;
  readonly unchanged: number;
}

export interface Plan {
  readonly version: 1;
  readonly ok: true;
  /**
   * Printed diagnostics of what was there before: it cannot be read, and everything is compared with nothing. Not there when it
   * can be read.
   */
  readonly fromProblems?: readonly string[];
  /** Whether a reload, or a restart for the settings, would change anything. */
  readonly changes: boolean;
  readonly from: PlanSide;
  readonly to: PlanSide;
  /** Routes; `enable` counts as added and `disable` as removed where people look for what runs: see `routes`. */
  readonly summary: PlanSummary;
  /** Those that change, by group. */
  readonly routes: readonly RoutePlan[];
  readonly eventTypes: readonly EventTypePlan[];
  readonly pipelines: readonly PipelinePlan[];
  /** Taken at the next start and not before. Credentials are `[secret]`. */
  readonly settings: readonly FieldChange[];
  /** Whether `live`, `circuits` and `consumerGroup` were taken from a bus. */
  readonly asked: boolean;
}

/** The reload would be refused, and what runs would go on. */
export interface Refusal {
  readonly version: 1;
  readonly ok: false;
  /** Printed diagnostics, as `eventflow validate` prints them. */
  readonly problems: readonly string[];
}

export type PlanAnswer = Plan | Refusal;

/** A file that is sent along: pipelines, and what they refer to. Secret files are never among them. */
export interface PostedFile {
  /** Relative to the folder in which the engine was started, with `/`. */
  readonly path: string;
  readonly text: string;
  /** False: a pipeline only refers to it. */
  readonly pipeline: boolean;
}
