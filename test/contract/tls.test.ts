/** Redis over TLS: what is trusted, what is refused, and what the refusal says. */
import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import { after, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import type { BusFault } from '../../engine/bus/bus.ts';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { eventually } from '../support/eventually.ts';
import { TcpProxy } from '../support/proxy.ts';
import { atPort, freePort, removeKeys, startRedisProcess } from '../support/redis.ts';
import { publication } from '../support/redis-entries.ts';
import { asTestUser } from '../support/redis-user.ts';
import { Authority, startTlsRedis, tlsArgs } from '../support/tls.ts';
import { redisExam } from './exam-redis.ts';

const authority = await Authority.create();
const stranger = await Authority.create();
const [ours, elsewhere, client, strangers] = await Promise.all([
  authority.sign('server', ['IP:127.0.0.1']),
  authority.sign('elsewhere', ['DNS:redis.example']),
  authority.sign('client', ['DNS:client']),
  stranger.sign('client', ['DNS:client']),
]);
const open = await startTlsRedis(authority, ours, false);
const closed = await startTlsRedis(authority, ours, true);
const renamed = await startTlsRedis(authority, elsewhere, false);
after(async () => {
  await Promise.all([open, closed, renamed].map((server) => server.stop()));
  await Promise.all([authority.remove(), stranger.remove()]);
});

redisExam(
  'the bus on Redis over TLS',
  `${closed.url}?ca=${authority.ca}&cert=${client.cert}&key=${client.key}`,
  (prefix) => removeKeys(closed.plain.adminUrl, prefix),
);

async function outcomeOf(url: string): Promise<string> {
  try {
    await (await openRedisBus(url, {})).close();
    return 'opened';
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    assert.doesNotMatch(message, /least-privilege/);
    return `${code} ${message}`;
  }
}

const answerless = (port: number): string => `EF5001 no answer from rediss://127.0.0.1:${port}/0: `;

describe('a link over TLS', { timeout: 60_000 }, () => {
  test('to a server whose certificate nobody here trusts is refused, and says what to do', async () => {
    const wrong = `${answerless(open.port)}self-signed certificate in certificate chain (say with ca=FILE in the URL who signed it)`;
    assert.equal(await outcomeOf(open.url), wrong);
    assert.equal(await outcomeOf(`${open.url}?ca=${stranger.ca}`), wrong);
  });

  test('is made when the URL names who signed the certificate', async () => {
    assert.equal(await outcomeOf(`${open.url}?ca=${authority.ca}`), 'opened');
  });

  test('is made to anybody with insecure=true alone, and that is told', async () => {
    const told: string[] = [];
    const bus = await openRedisBus(`${open.url}?insecure=true`, { onFault: ({ message }) => told.push(message) });
    await bus.close();
    const { label } = bus;
    assert.deepEqual(told, [`the certificate of ${label} is not verified (insecure=true in its URL)`]);
    assert.match(await outcomeOf(`${open.url}?rejectUnauthorized=false`), /^EF5003 /);
  });

  test('to a certificate for another name is refused, unless the URL gives that name', async () => {
    assert.equal(
      await outcomeOf(`${renamed.url}?ca=${authority.ca}`),
      `${answerless(renamed.port)}Hostname/IP does not match certificate's altnames: IP: 127.0.0.1 is not in the cert's list:  (say with servername=NAME in the URL which name it has)`,
    );
    assert.equal(await outcomeOf(`${renamed.url}?ca=${authority.ca}&servername=redis.example`), 'opened');
  });

  test('to a server that wants a certificate is refused without one, and with one of somebody else', async () => {
    const asks = /^EF5001 .* \(it may want a certificate of ours: cert=FILE&key=FILE in the URL\)$/s;
    assert.match(await outcomeOf(`${closed.url}?ca=${authority.ca}`), asks);
    assert.match(await outcomeOf(`${closed.url}?ca=${authority.ca}&cert=${strangers.cert}&key=${strangers.key}`), asks);
  });

  test('is made with a certificate of ours that the server trusts', async () => {
    assert.equal(await outcomeOf(`${closed.url}?ca=${authority.ca}&cert=${client.cert}&key=${client.key}`), 'opened');
  });

  test('is made to every node of a cluster', async () => {
    const port = await freePort();
    const cluster = ['--cluster-enabled', 'yes', '--tls-cluster', 'yes', '--cluster-announce-ip', '127.0.0.1'];
    const node = await startRedisProcess({
      args: [...cluster, '--cluster-port', String(await freePort()), ...tlsArgs(authority, ours, port, true)],
    });
    const admin = new Redis(node.adminUrl);
    try {
      await admin.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
      await eventually('the cluster to be whole', async () => /cluster_state:ok/.test(await admin.cluster('INFO')));
      const url = asTestUser(`rediss+cluster://127.0.0.1:${port}`);
      const bus = await openRedisBus(`${url}?ca=${authority.ca}&cert=${client.cert}&key=${client.key}`, {});
      assert.equal((await bus.publish([publication()]))[0]?.kind, 'accepted');
      await bus.close();
      await assert.rejects(openRedisBus(url, {}), { code: 'EF5001', message: /\(is it the certificates\?/ });
    } finally {
      admin.disconnect();
      await node.stop();
    }
  });

  test('is not tried with files that are no certificate, or a key of another one', async () => {
    assert.match(
      await outcomeOf(`${open.url}?ca=${authority.ca}&cert=${client.cert}&key=${strangers.key}`),
      /^EF5003 expected PEM certificates and a key that fits in .*, got .*key values mismatch$/,
    );
    assert.match(await outcomeOf(`${open.url}?ca=${client.key}&cert=${client.key}&key=${client.cert}`), /^EF5003 /);
  });

  test('takes the certificates as they are on disk when it is made again, and the last good ones while they are broken', async (t) => {
    const [cert, key] = [`${client.cert}.in-use`, `${client.key}.in-use`];
    await Promise.all([copyFile(client.cert, cert), copyFile(client.key, key)]);
    const proxy = await TcpProxy.start(closed.port);
    const faults: BusFault[] = [];
    const url = `${atPort(closed.url, proxy.port)}?ca=${authority.ca}&cert=${cert}&key=${key}`;
    const bus = await openRedisBus(url, { onFault: (fault) => faults.push(fault) });
    t.after(() => Promise.all([bus.close(), proxy.stop()]));
    const links = async (): Promise<void> => {
      const before = proxy.links;
      proxy.cut();
      await eventually('new links', () => proxy.links > before);
    };

    await copyFile(strangers.cert, cert);
    await links();
    // The key does not fit any more, as in the middle of a renewal.
    await eventually('an answer', () =>
      bus.ping().then(
        () => true,
        () => false,
      ),
    );

    await copyFile(strangers.key, key);
    await links();
    await eventually('a refusal', () =>
      bus.ping().then(
        () => false,
        () => true,
      ),
    );

    await Promise.all([copyFile(client.cert, cert), copyFile(client.key, key)]);
    await eventually(
      'an answer',
      () =>
        bus.ping().then(
          () => true,
          () => false,
        ),
      20_000,
    );
  });
});
