/** The public door of `eventflow`. Re-exports only. */
export type { Bus, GroupStats } from './bus/bus.ts';
export { openBus } from './bus/open.ts';
export { type Diagnostic, type LoadResult, loadGeneration, loadSettings, type Settings } from './config/index.ts';
export type { DeadLetter, DeadReason } from './core/delivery.ts';
export type { Generation, Route } from './core/route.ts';
export { ConfigError, createEngine, type Engine, type EngineOptions } from './engine.ts';
export { EventFlowError } from './errors.ts';
export type { EventEnvelope } from './event.ts';
export { localOperations } from './operations/local.ts';
export type * from './operations/operations.ts';
export { remoteOperations } from './operations/remote.ts';
export {
  createPublisher,
  type OutgoingEvent,
  type OutgoingEventOf,
  type Publisher,
  type PublishReceipt,
} from './publisher.ts';
export { version } from './version.ts';
