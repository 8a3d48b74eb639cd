/** The user that `eventflow redis acl` describes: what EventFlow does in the tests must be possible for it. */
import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { type AclSpec, aclRules } from '../../engine/bus/redis/acl.ts';

const name = 'eventflow';
const password = 'least-privilege';
/** Of the tests, besides the default one. */
const prefixes = ['one', 'two', 'exam-*'];

/** As ACL SETUSER takes them, the name first. */
export const testUser = (kind: AclSpec['kind'], user = name, secret = password): readonly string[] => [
  user,
  ...aclRules({ kind, prefix: 'ef', select: true }),
  ...prefixes.map((prefix) => `~${prefix}:*`),
  `>${secret}`,
];

/** The same place, as that user. */
export const asTestUser = (url: string, user = name, secret = password): string =>
  url.replace(/\/\/(?:[^@/]*@)?/, `//${user}:${secret}@`);

interface MadeUser {
  readonly url: string;
  readonly adminUrl: string;
  readonly remove: () => Promise<void>;
}

/**
 * Makes a user of its own on a server that runs already and that others may use too. Where the server refuses, which is
 * said, the tests go on as whoever the URL names.
 */
export async function makeTestUser(adminUrl: string): Promise<MadeUser> {
  const [user, secret] = [`${name}-${randomBytes(4).toString('hex')}`, randomBytes(16).toString('hex')];
  try {
    await asAdmin(adminUrl, (client) => client.call('ACL', 'SETUSER', ...testUser('single', user, secret)));
  } catch (error) {
    console.log(`# No user of least privilege, because Redis refuses to make one: ${(error as Error).message}`);
    return { url: adminUrl, adminUrl, remove: async () => undefined };
  }
  const remove = async (): Promise<void> =>
    void (await asAdmin(adminUrl, (client) => client.call('ACL', 'DELUSER', user)));
  return { url: asTestUser(adminUrl, user, secret), adminUrl, remove };
}

async function asAdmin<T>(adminUrl: string, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(adminUrl);
  client.on('error', () => undefined);
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}

/** What the server refused to a user [that one], such as `command keys`; who was refused may have put up with it. */
export async function refusals(adminUrl: string, user = name): Promise<readonly string[]> {
  const log = (await asAdmin(adminUrl, (client) => client.call('ACL', 'LOG'))) as (string | number)[][];
  return log
    .map((flat) => new Map(Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at], flat[2 * at + 1]])))
    .filter((entry) => entry.get('username') === user)
    .map((entry) => `${entry.get('reason')} ${entry.get('object')}`);
}

/** Every command that was called on the server since it started, by whomever, as ACL rules name it. */
export async function commandsUsed(adminUrl: string): Promise<ReadonlySet<string>> {
  const stats = await asAdmin(adminUrl, (client) => client.info('commandstats'));
  return new Set(Array.from(stats.matchAll(/^cmdstat_([^:]+):/gm), ([, command = '']) => command));
}
