/** A bus in memory: the embedded one, with nothing on the disk. */
import type { Bus, BusOptions } from '../bus/bus.ts';
import { openBus } from '../bus/open.ts';

export const memoryBus = (options: BusOptions = {}): Promise<Bus> => openBus('sqlite::memory:', options);
