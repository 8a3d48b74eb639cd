/** The user that `eventflow redis acl` describes: what EventFlow does in the tests must be possible for it. */
import { Redis } from 'ioredis';
import { type AclSpec, aclRules } from '../../engine/bus/redis/acl.ts';

const name = 'eventflow';
const password = 'least-privilege';
/** Of the tests, besides the default one. */
const prefixes = ['one', 'two', 'exam-*'];

/** As ACL SETUSER takes them, the name first. */
export const testUser = (kind: AclSpec['kind']): readonly string[] => [
  name,
  ...aclRules({ kind, prefix: 'ef', select: true }),
  ...prefixes.map((prefix) => `~${prefix}:*`),
  `>${password}`,
];

/** The same place, as that user. */
export const asTestUser = (url: string): string => url.replace(/\/\/(?:[^@/]*@)?/, `//${name}:${password}@`);

/**
 * Makes the user on a server that runs already. Where the server refuses, which is said, the tests go on as whoever the
 * URL names.
 */
export async function makeTestUser(adminUrl: string): Promise<{ readonly url: string; readonly adminUrl: string }> {
  const client = new Redis(adminUrl);
  client.on('error', () => undefined);
  try {
    await client.call('ACL', 'SETUSER', ...testUser('single'));
    return { url: asTestUser(adminUrl), adminUrl };
  } catch (error) {
    console.log(`# No user of least privilege, because Redis refuses to make one: ${(error as Error).message}`);
    return { url: adminUrl, adminUrl };
  } finally {
    client.disconnect();
  }
}

/** What the server refused to a user [that one], such as `command keys`; who was refused may have put up with it. */
export async function refusals(adminUrl: string, user = name): Promise<readonly string[]> {
  const client = new Redis(adminUrl, { replyMapping: 'legacy' });
  try {
    const log = (await client.call('ACL', 'LOG')) as (string | number)[][];
    return log
      .map((flat) => new Map(Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at], flat[2 * at + 1]])))
      .filter((entry) => entry.get('username') === user)
      .map((entry) => `${entry.get('reason')} ${entry.get('object')}`);
  } finally {
    client.disconnect();
  }
}

/** Every command that was called on the server since it started, by whomever, as ACL rules name it. */
export async function commandsUsed(adminUrl: string): Promise<ReadonlySet<string>> {
  const client = new Redis(adminUrl);
  try {
    const stats = await client.info('commandstats');
    return new Set(Array.from(stats.matchAll(/^cmdstat_([^:]+):/gm), ([, command = '']) => command));
  } finally {
    client.disconnect();
  }
}
