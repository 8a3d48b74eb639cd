export { localOperations } from './local.ts';
export type * from './operations.ts';
export type * from './plan.ts';
export { type Live, planReload } from './plan-reload.ts';
export { remoteOperations, remotePlan, remoteReload } from './remote.ts';
