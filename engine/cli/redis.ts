/** `eventflow redis acl`: the Redis user that EventFlow needs, allowed what it does and nothing more. */
import { type Command, InvalidArgumentError } from 'commander';
import { busOption, jsonOption, type SettingsFlags, switched, valued, withSettings } from './options.ts';
import { print, printJson, tell } from './output.ts';

interface AclFlags extends SettingsFlags {
  readonly user: string;
  readonly prefix?: string;
  readonly aclfile?: boolean;
  readonly sentinel?: boolean;
  readonly json?: boolean;
}

const inOneWord =
  (what: string, form: RegExp) =>
  (text: string): string => {
    if (!form.test(text)) throw new InvalidArgumentError(`Expected ${what}, got ${JSON.stringify(text)}.`);
    return text;
  };

async function rulesOf(flags: AclFlags): Promise<readonly string[]> {
  const { aclRules, sentinelAclRules } = await import('../bus/redis/acl.ts');
  if (flags.sentinel) return sentinelAclRules();
  const { readSettings } = await import('./settings.ts');
  const { parseTarget } = await import('../bus/redis/target.ts');
  const settings = await readSettings(flags);
  const prefix = flags.prefix ?? settings.prefix;
  if (!settings.bus.startsWith('redis')) return aclRules({ kind: 'single', prefix });
  const target = parseTarget(settings.bus);
  const select = target.kind !== 'cluster' && target.options.db !== 0;
  return aclRules({ kind: target.kind, prefix, select });
}

async function acl(flags: AclFlags): Promise<void> {
  const { user } = flags;
  const rules = await rulesOf(flags);
  const setUser = `ACL SETUSER ${user} ${rules.join(' ')}`;
  const aclFile = `user ${user} ${rules.join(' ')}`;
  const withSign = (sign: string): string[] =>
    rules.filter((rule) => rule.startsWith(sign)).map((rule) => rule.slice(1));
  if (flags.json) printJson({ user, keys: withSign('~'), commands: withSign('+'), setUser, aclFile });
  else print(flags.aclfile ? aclFile : setUser);
  tell('nobody can log in as this user before you add >PASSWORD or #SHA256-OF-THE-PASSWORD at the end');
}

export function define(program: Command): void {
  const redis = program.command('redis').description('helps to run Redis for EventFlow');
  withSettings(
    redis
      .command('acl')
      .description('prints the Redis user that EventFlow needs: what it does is allowed, and nothing more')
      .addOption(busOption())
      .addOption(
        valued('--user <name>', 'EVENTFLOW_REDIS_USER', 'the name of the user')
          .default('eventflow')
          .argParser(inOneWord('a name without white space', /^\S+$/)),
      )
      .addOption(
        valued(
          '--prefix <prefix>',
          'EVENTFLOW_PREFIX',
          'what every key starts with (default: as in the settings)',
        ).argParser(inOneWord('a prefix of letters, digits, - and _ (at most 32 characters)', /^[A-Za-z0-9_-]{1,32}$/)),
      )
      .addOption(switched('--aclfile', 'EVENTFLOW_ACLFILE', 'as a line of an ACL file, instead of a command'))
      .addOption(
        switched('--sentinel', 'EVENTFLOW_SENTINEL', 'the user on the sentinels, instead of the one on Redis'),
      ),
  )
    .addOption(jsonOption())
    .action(acl);
}
