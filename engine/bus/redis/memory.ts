/** How full the server is, and whether it may throw events away when it is. INFO tells both, so nobody needs CONFIG. */
import type { Fill } from '../bus.ts';
import { type AskMasters, infoPairs } from './ask.ts';

/** The fullest master's; undefined when none has a limit. */
export async function readFill(ask: AskMasters): Promise<Fill | undefined> {
  let fullest: Fill | undefined;
  for (const reply of await ask('INFO', ['memory'])) {
    const fill = fillOf(infoPairs(reply as string));
    if (fill !== undefined && (fullest === undefined || ratio(fill) > ratio(fullest))) fullest = fill;
  }
  return fullest;
}

const ratio = ({ used, limit }: Fill): number => used / limit;

/** Buffers of replicas and of the append-only file do not count against `maxmemory`. */
function fillOf(of: ReadonlyMap<string, string>): Fill | undefined {
  const limit = Number(of.get('maxmemory') ?? 0);
  if (!(limit > 0)) return undefined;
  return { used: Number(of.get('used_memory')) - Number(of.get('mem_not_counted_for_evict') ?? 0), limit };
}

/** One sentence for each eviction policy in use that can drop what EventFlow keeps. */
export async function findHazards(ask: AskMasters): Promise<readonly string[]> {
  const replies = (await ask('INFO', ['memory'])) as readonly string[];
  const policies = new Set(replies.map((reply) => infoPairs(reply).get('maxmemory_policy') ?? 'noeviction'));
  return [...policies].flatMap((policy) => {
    const loss = lossUnder(policy);
    return loss === undefined ? [] : [`\`maxmemory-policy ${policy}\` ${loss}: set \`maxmemory-policy noeviction\``];
  });
}

/** A full server drops any key under `allkeys-*`; under `volatile-*` those that expire, which are what was published lately. */
function lossUnder(policy: string): string | undefined {
  if (policy.startsWith('allkeys-')) return 'lets Redis drop whole streams, retries and dead letters when it is full';
  if (policy.startsWith('volatile-')) {
    return 'lets Redis forget what was published lately when it is full, so that an event that is published again is stored twice';
  }
  return undefined;
}
