/** Bus URLs: every form, every mistake. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openBus } from '../../engine/bus/open.ts';
import { parseTarget, type Target } from '../../engine/bus/redis/target.ts';

/** The same for what a test does not look at. */
const plain = (target: Target): unknown => JSON.parse(JSON.stringify(target));

const singles: readonly (readonly [string, string, Record<string, unknown>])[] = [
  ['redis://cache', 'redis://cache:6379/0', { host: 'cache', port: 6379, db: 0 }],
  ['redis://cache:7000/', 'redis://cache:7000/0', { host: 'cache', port: 7000, db: 0 }],
  ['REDIS://127.0.0.1/15', 'redis://127.0.0.1:6379/15', { host: '127.0.0.1', port: 6379, db: 15 }],
  ['redis://[::1]:7000/2', 'redis://[::1]:7000/2', { host: '::1', port: 7000, db: 2 }],
  ['redis://:s%40p%2F@h', 'redis://h:6379/0', { host: 'h', port: 6379, db: 0, password: 's@p/' }],
  ['redis://shop:a:b@h', 'redis://h:6379/0', { host: 'h', port: 6379, db: 0, username: 'shop', password: 'a:b' }],
  ['redis://shop@h', 'redis://h:6379/0', { host: 'h', port: 6379, db: 0, username: 'shop' }],
  ['redis://a@b@h', 'redis://h:6379/0', { host: 'h', port: 6379, db: 0, username: 'a@b' }],
  ['rediss://h', 'rediss://h:6379/0', { host: 'h', port: 6379, db: 0, tls: { servername: 'h' } }],
  ['rediss://10.0.0.1', 'rediss://10.0.0.1:6379/0', { host: '10.0.0.1', port: 6379, db: 0, tls: {} }],
  [
    'rediss://10.0.0.1?servername=redis.example',
    'rediss://10.0.0.1:6379/0',
    { host: '10.0.0.1', port: 6379, db: 0, tls: { servername: 'redis.example' } },
  ],
  [
    'rediss://h?insecure=true',
    'rediss://h:6379/0',
    { host: 'h', port: 6379, db: 0, tls: { servername: 'h', rejectUnauthorized: false } },
  ],
];

const refused: readonly (readonly [string, string])[] = [
  ['', beginning()],
  ['http://h', beginning()],
  ['redis:h', beginning()],
  ['redis+proxy://h', beginning()],
  ['redis://h h', 'expected a bus URL without white space (%20 in a password), got something else'],
  ['redis://h\n', 'expected a bus URL without white space (%20 in a password), got something else'],
  ['redis://shop:hunter2/x@h', encoded()],
  ['redis://shop:123/hunter2@h', encoded()],
  ['redis://shop:123?hunter2@h', encoded()],
  ['redis://shop:hunter2#x@h', encoded()],
  ['redis+sentinel://h/m?sentinelPassword=hunter2@', encoded()],
  [
    'redis://shop:hunter2%@h',
    'expected the user and password to be percent-encoded UTF-8 (% itself is %25), got something else',
  ],
  ['redis://', host('""')],
  ['redis:///0', host('""')],
  ['redis://:6379', host('":6379"')],
  ['redis://::1', host('"::1"')],
  ['redis://[::1', host('"[::1"')],
  ['redis://[cache]', host('"[cache]"')],
  ['redis://ca%63he', host('"ca%63he"')],
  ['redis+cluster://a,,b', host('""')],
  ['redis://h:', 'expected a port from 1 to 65535 after h:, got ""'],
  ['redis://h:0', 'expected a port from 1 to 65535 after h:, got "0"'],
  ['redis://h:65536', 'expected a port from 1 to 65535 after h:, got "65536"'],
  ['redis://h:6e3', 'expected a port from 1 to 65535 after h:, got "6e3"'],
  ['redis://h:+1', 'expected a port from 1 to 65535 after h:, got "+1"'],
  ['redis://a,b', 'expected one host, or redis+sentinel:// or redis+cluster:// for several, got 2 hosts'],
  ['redis://h/zero', 'expected the number of a database after the last /, got "zero"'],
  ['redis://h/-1', 'expected the number of a database after the last /, got "-1"'],
  ['redis://h/1/2', 'expected nothing after the database number, got "/2"'],
  ['redis+sentinel://h', "expected the master's name after the sentinels, as in /mymaster/0, got none"],
  ['redis+sentinel://h/', "expected the master's name after the sentinels, as in /mymaster/0, got none"],
  ['redis+sentinel://h/m/x', 'expected the number of a database after the last /, got "x"'],
  ['redis+sentinel://h/m/0/1', 'expected nothing after the database number, got "/1"'],
  ['redis+sentinel://h/%FF', 'expected the path to be percent-encoded UTF-8 (% itself is %25), got something else'],
  ['redis+cluster://h/1', 'expected no database: a cluster has database 0 only, got "/1"'],
  ['redis://h?enableOfflineQueue=true', 'expected no parameters here, got "enableOfflineQueue"'],
  ['redis://h?password=hunter2', 'expected no parameters here, got "password"'],
  ['redis+cluster://h?sentinelPassword=hunter2', 'expected no parameters here but natMap, got "sentinelPassword"'],
  ['redis://h?ca=ca.pem', 'expected rediss in place of redis for the parameter ca, got a URL without TLS'],
  [
    'redis+sentinel://h/m?insecure=true',
    'expected rediss in place of redis for the parameter insecure, got a URL without TLS',
  ],
  ['rediss://h?ca=a&ca=b', 'expected the parameter ca once, got it twice'],
  ['rediss://h?ca=', 'expected a value for the parameter ca, got none'],
  ['rediss://h?ca', 'expected a value for the parameter ca, got none'],
  ['rediss://h?ca=/no/such/file', 'expected a file to read in ca=/no/such/file, got ENOENT'],
  ['rediss://h?cert=a.pem', 'expected cert=FILE and key=FILE together, got cert alone'],
  ['rediss://h?key=a.pem', 'expected cert=FILE and key=FILE together, got key alone'],
  ['rediss://h?insecure=yes', 'expected insecure=true or no insecure, got "yes"'],
  [
    'rediss://h?rejectUnauthorized=false',
    'expected ca=FILE to trust a certificate (or insecure=true to trust every one), got rejectUnauthorized',
  ],
  ['redis+cluster://h?natMap=a:1', 'expected natMap=ANNOUNCED_HOST:PORT=HOST:PORT,…, got "a:1"'],
  ['redis+cluster://h?natMap=a:1=b:2=c:3', 'expected natMap=ANNOUNCED_HOST:PORT=HOST:PORT,…, got "a:1=b:2=c:3"'],
  ['redis+cluster://h?natMap=a=b:2', 'expected a port from 1 to 65535 after a:, got ""'],
];

function beginning(): string {
  return 'expected a URL that begins with redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://, got something else';
}

function encoded(): string {
  return 'expected a bus URL whose credentials, path and query have /, ?, # and @ written as %2F, %3F, %23 and %40, got something else';
}

function host(got: string): string {
  return `expected a host: a name, an IPv4 address, or an IPv6 address in [ ], got ${got}`;
}

describe('bus URLs', () => {
  for (const [url, label, options] of singles) {
    test(`${url} names one server`, () => {
      assert.deepEqual(plain(parseTarget(url)), { kind: 'single', label, options });
    });
  }

  test('redis+sentinel:// names sentinels, a master and a database', () => {
    const url = 'redis+sentinel://shop:p%3A@s1,s2:5000,[::1]/my%20master/2?sentinelUsername=u&sentinelPassword=p%26';
    const { options, ...rest } = plain(parseTarget(url)) as { options: Record<string, unknown> };
    const sentinels = [
      { host: 's1', port: 26_379 },
      { host: 's2', port: 5_000 },
      { host: '::1', port: 26_379 },
    ];
    assert.deepEqual(rest, {
      kind: 'sentinel',
      label: 'redis+sentinel://s1:26379,s2:5000,[::1]:26379/my%20master/2',
      sentinels,
      master: 'my master',
    });
    const { sentinelCommandTimeout, ...asked } = options;
    assert.ok(Number(sentinelCommandTimeout) > 0);
    assert.deepEqual(asked, {
      sentinels,
      name: 'my master',
      db: 2,
      username: 'shop',
      password: 'p:',
      sentinelUsername: 'u',
      sentinelPassword: 'p&',
    });
  });

  test('with rediss+sentinel:// both Redis and the sentinels are asked over TLS', () => {
    const { options } = parseTarget('rediss+sentinel://s1/m?servername=redis.example');
    const tls = { servername: 'redis.example' };
    assert.partialDeepStrictEqual(options, { tls, sentinelTLS: tls, enableTLSForSentinelMode: true });
  });

  test('redis+cluster:// names nodes of one cluster', () => {
    assert.deepEqual(plain(parseTarget('redis+cluster://shop:pw@a,b:7001,[::1]:7002/0')), {
      kind: 'cluster',
      label: 'redis+cluster://a:6379,b:7001,[::1]:7002',
      nodes: [
        { host: 'a', port: 6_379 },
        { host: 'b', port: 7_001 },
        { host: '::1', port: 7_002 },
      ],
      options: { redisOptions: { username: 'shop', password: 'pw' } },
    });
  });

  test('natMap says where the addresses that are given out are reached', () => {
    const natMap = { '10.0.0.5:6379': { host: '127.0.0.1', port: 7_001 }, '[::2]:6379': { host: '::1', port: 7_002 } };
    const query = 'natMap=10.0.0.5:6379=127.0.0.1:7001,[::2]:6379=[::1]:7002';
    assert.partialDeepStrictEqual(parseTarget(`redis+sentinel://s1/m?${query}`).options, { natMap });
    assert.partialDeepStrictEqual(parseTarget(`redis+cluster://a?${query}`).options, { natMap });
  });

  for (const [url, message] of refused) {
    test(`${JSON.stringify(url)} is refused, and no password is shown`, () => {
      assert.throws(
        () => parseTarget(url),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'EF5003');
          assert.equal(error.message, message);
          assert.doesNotMatch(error.message, /hunter2/);
          return true;
        },
      );
    });
  }

  test('a URL of no bus is refused with the forms that there are, without its credentials', async () => {
    await assert.rejects(openBus('amqp://shop:hunter2/x@h/?password=hunter2'), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'EF5003');
      assert.match(error.message, /redis\+sentinel:.*redis\+cluster:.*got "amqp:\/\/h\/"/);
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    });
  });
});
