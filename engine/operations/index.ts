export { localOperations } from './local.ts';
export type * from './operations.ts';
export { remoteOperations, remoteReload } from './remote.ts';
