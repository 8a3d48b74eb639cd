/** What the settings say about the bus, as the bus takes it: one place, so that engine and CLI open the same one. */
import type { BusOptions } from './bus/bus.ts';
import type { Settings } from './config/index.ts';

export const busOptions = ({ streams, prefix, journal, durability }: Settings): BusOptions => ({
  streams,
  prefix,
  journal: {
    keep: journal.keep === 'off' ? 'off' : 'all',
    retentionMs: journal.retention,
    maxEntries: journal.maxEntries,
  },
  durability,
});
