/** Every fault, in the order of the table. */
import type { Fault } from '../fault.ts';
import { endpoints } from './endpoints.ts';
import { engines } from './engines.ts';
import { network } from './network.ts';
import { reload } from './reload.ts';
import { store } from './store.ts';

export const faults: readonly Fault[] = [...engines, ...store, ...network, ...endpoints, ...reload].sort((a, b) =>
  a.id.localeCompare(b.id),
);
