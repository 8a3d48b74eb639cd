/** What the listeners need from the rest of the engine. The composition root hands it in; nothing here is imported back. */
import type { Bus, PublishResult } from '../bus/bus.ts';
import type { Prepared } from '../core/prepare.ts';
import type { Generation } from '../core/route.ts';
import type { Observer } from '../observe/signals.ts';
import type { ConfigStatus, GenerationInfo, Operations, ReloadReport } from '../operations/operations.ts';
import type { PlanAnswer, PostedFile } from '../operations/plan.ts';

export interface HealthCheck {
  readonly name: string;
  readonly ok: boolean;
  /** One line for people; undefined when there is nothing to say. */
  readonly detail?: string | undefined;
}

export interface Health {
  readonly ready: boolean;
  readonly checks: readonly HealthCheck[];
}

/** What runs, what ran, and what decides about it. */
export interface ConfigControl {
  readonly status: ConfigStatus;
  /** Newest first. */
  generations(): readonly GenerationInfo[];
  reload(): Promise<ReloadReport>;
  /** To one that is kept [the one before]. */
  rollback(number?: number): Promise<ReloadReport>;
}

export interface HttpDeps {
  readonly bus: Bus;
  /** `createPublisher({ bus })`. Rejects with `IngestFault` when the store did not take the events. */
  readonly publisher: { submit(events: readonly Prepared[]): Promise<readonly PublishResult[]> };
  generation(): Generation;
  /** Number of the running generation, from 1. */
  generationNumber(): number;
  /** How many running routes want this type. */
  routeCount(type: string): number;
  readonly operations: Operations;
  readonly metrics: { readonly contentType: string; render(): Promise<string> };
  health(): Promise<Health> | Health;
  readonly config: ConfigControl;
  /** What a reload would do: of the engine's own files, or of these. */
  plan(posted?: readonly PostedFile[]): Promise<PlanAnswer>;
  readonly version: string;
  /** Base URL of the ingest listener, once it listens: whoever finds the admin listener finds it too. */
  ingestAddress?(): string | undefined;
  readonly observer: Observer;
}

export interface ListenAddress {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface Listening {
  /** `http://HOST:PORT`, with the port that was bound. */
  readonly address: string;
  /** Refuses what comes from now on, waits up to `graceMs` for what is under way, then closes every connection. */
  close(graceMs: number): Promise<void>;
}
