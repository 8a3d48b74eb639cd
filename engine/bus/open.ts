/** Chooses the bus by its URL. An implementation is loaded only when it is wanted. */
import { EventFlowError } from '../errors.ts';
import type { Bus, BusOptions } from './bus.ts';

const expectation =
  'sqlite:PATH, sqlite::memory:, redis://HOST:PORT/DB, redis+sentinel://HOST:PORT,…/MASTER/DB or redis+cluster://HOST:PORT,…; rediss for TLS';

/**
 * Opens the bus at `url`. Throws `EF5003` for a URL that names no bus, `EF5001` or `EF502x` when it cannot be opened,
 * and `EF5002` when another process owns the embedded bus.
 */
export async function openBus(url: string, options: BusOptions = {}): Promise<Bus> {
  switch (/^[a-z][a-z0-9+.-]*(?=:)/i.exec(url)?.[0].toLowerCase()) {
    case 'sqlite':
      return (await import('./sqlite/bus.ts')).openSqliteBus(url, options);
    case 'redis':
    case 'rediss':
    case 'redis+sentinel':
    case 'rediss+sentinel':
    case 'redis+cluster':
    case 'rediss+cluster':
      return (await import('./redis/bus.ts')).openRedisBus(url, options);
    default:
      throw new EventFlowError('EF5003', `expected a bus URL (${expectation}), got ${JSON.stringify(busLabel(url))}`);
  }
}

/** The URL without user, password and query, for people and logs. */
export const busLabel = (url: string): string => url.replace(/\/\/.*@/s, '//').replace(/[?#].*$/s, '');
