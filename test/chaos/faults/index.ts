/** Every fault, in the order of the table. */
import type { Fault } from '../fault.ts';
import { clock } from './clock.ts';
import { cluster } from './cluster.ts';
import { endpoints } from './endpoints.ts';
import { engines } from './engines.ts';
import { together } from './everything.ts';
import { failover } from './failover.ts';
import { handlers } from './handlers.ts';
import { network } from './network.ts';
import { operating } from './operations.ts';
import { order } from './order.ts';
import { reload } from './reload.ts';
import { space } from './space.ts';
import { store } from './store.ts';
import { upgrades } from './upgrade.ts';

export const faults: readonly Fault[] = [
  ...engines,
  ...store,
  ...space,
  ...failover,
  ...network,
  ...cluster,
  ...endpoints,
  ...handlers,
  ...order,
  ...reload,
  ...upgrades,
  ...clock,
  ...operating,
  ...together,
].sort((a, b) => a.id.localeCompare(b.id));
