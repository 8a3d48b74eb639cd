export { localOperations } from './local.ts';
export type * from './operations.ts';
export type * from './plan.ts';
export { type Live, planReload } from './plan-reload.ts';
export { remoteGenerations, remoteOperations, remotePlan, remoteReload, remoteRollback } from './remote.ts';
