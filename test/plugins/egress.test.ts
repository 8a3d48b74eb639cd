import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type FaultHint, hintOf } from 'eventflow/plugin';
import { type HttpSink, httpSink } from 'eventflow/testing';
import { kindOfAddress } from '../../engine/plugins/addresses.ts';
import { createEgress, type EgressSettings } from '../../engine/plugins/egress.ts';

let sink: HttpSink;
before(async () => {
  sink = await httpSink();
});
after(() => sink.close());

const strict: EgressSettings = { allowPrivateNetworks: false, allow: [] };

async function refusal(url: string, settings: EgressSettings = strict): Promise<FaultHint> {
  const egress = createEgress(settings);
  try {
    await egress.request(url, { timeout: 3_000 });
  } catch (error) {
    assert.ok(error instanceof Error);
    return hintOf(error);
  } finally {
    await egress.close();
  }
  throw new assert.AssertionError({ message: `expected ${url} to be refused` });
}

function configRefusal(url: string, settings: EgressSettings = strict): FaultHint | undefined {
  const egress = createEgress(settings);
  try {
    egress.assertAllowed(url);
    return undefined;
  } catch (error) {
    return hintOf(error);
  }
}

/** Hosts as people write them to get around a guard. All of them are this machine or a network behind it. */
const privateHosts = [
  '127.0.0.1',
  '127.1',
  '0x7f.1',
  '0177.0.0.1',
  '2130706433',
  '0x7f000001',
  '017700000001',
  '0',
  '0.0.0.0',
  '①②⑦.⓪.⓪.①',
  'localhost',
  'localhost.',
  'LOCALHOST',
  'app.localhost',
  '127.0.0.1.',
  '[::1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[0:0:0:0:0:ffff:7f00:1]',
  '[::7f00:1]',
  '[::127.0.0.1]',
  '10.0.0.1',
  '10.255.255.255',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.0.1',
  '100.64.0.1',
  '169.254.1.1',
  '169.254.169.254',
  '[::ffff:169.254.169.254]',
  '169.254.170.2',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.1',
  '192.0.2.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '192.88.99.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '[fc00::1]',
  '[fd00:ec2::254]',
  '[fe80::1]',
  '[fec0::1]',
  '[ff02::1]',
  '[64:ff9b::7f00:1]',
  '[64:ff9b:1::1]',
  '[2002:7f00:1::]',
  '[2001::1]',
  '[2001:db8::1]',
  '[3fff::1]',
  '[100::1]',
  '[5f00::1]',
  '[4000::1]',
];

describe('an address that is not public', () => {
  for (const host of privateHosts) {
    test(`${host} is refused in the options and when sending`, async () => {
      const url = `http://${host}/x`;
      assert.equal(configRefusal(url)?.code, 'blocked_address');
      const { code, permanent } = await refusal(url);
      assert.deepEqual({ code, permanent }, { code: 'blocked_address', permanent: true });
    });
  }

  for (const [address, kind] of [
    ['8.8.8.8', 'public'],
    ['1.1.1.1', 'public'],
    ['172.32.0.1', 'public'],
    ['100.128.0.1', 'public'],
    ['2606:4700::1111', 'public'],
    ['2a00:1450::1', 'public'],
    ['::ffff:8.8.8.8', 'public'],
    ['fe80::1%eth0', 'private'],
    ['no address', 'reserved'],
  ] as const) {
    test(`${address} is ${kind}`, () => assert.equal(kindOfAddress(address), kind));
  }
});

describe('a url', () => {
  for (const [url, code] of [
    ['ftp://example.com/', 'bad_scheme'],
    ['file:///etc/passwd', 'bad_scheme'],
    ['data:text/plain,x', 'bad_scheme'],
    ['unix:/var/run/docker.sock', 'bad_scheme'],
    ['javascript:alert(1)', 'bad_scheme'],
    ['/relative', 'bad_url'],
    ['', 'bad_url'],
    ['http://', 'bad_url'],
    ['http://example.com:65536/', 'bad_url'],
    ['http://user:pass@example.com/', 'credentials_in_url'],
    ['http://user@example.com/', 'credentials_in_url'],
    ['http://example.com:22/', 'blocked_port'],
    ['http://example.com:25/', 'blocked_port'],
    ['http://example.com:6379/', 'blocked_port'],
    ['http://example.com:0/', 'blocked_port'],
    [`http://${'a'.repeat(60)}.${'b.'.repeat(100)}example/`, 'bad_url'],
  ] as const) {
    test(`${url.slice(0, 40) || '(empty)'} is refused as ${code}`, async () => {
      assert.equal(configRefusal(url)?.code, code);
      assert.equal((await refusal(url)).code, code);
    });
  }

  test('is never shown with its path, which can be a secret', async () => {
    const egress = createEgress(strict);
    await assert.rejects(
      egress.request('http://127.0.0.1/services/T0/secret?key=secret', {}),
      (error: Error) => !error.message.includes('secret'),
    );
    await egress.close();
  });
});

/** A resolver in place of the system's. */
const resolving = (...answers: readonly string[][]): NonNullable<EgressSettings['resolve']> => {
  let call = 0;
  return (_host, done) => {
    const addresses = answers[Math.min(call, answers.length - 1)] ?? [];
    call += 1;
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
};

describe('a name', () => {
  const port = () => new URL(sink.url).port;

  test('that resolves to a private address is refused at the moment of dialling', async () => {
    assert.equal(configRefusal('http://partner.example/'), undefined);
    const hint = await refusal(`http://partner.example:${port()}/`, { ...strict, resolve: resolving(['127.0.0.1']) });
    assert.equal(hint.code, 'blocked_address');
  });

  test('with one private address among public ones is refused as a whole', async () => {
    const hint = await refusal('http://partner.example/', { ...strict, resolve: resolving(['8.8.8.8', '10.0.0.1']) });
    assert.equal(hint.code, 'blocked_address');
  });

  test('that turns to a private address after it was looked at is refused', async () => {
    const resolve = resolving(['127.0.0.1'], ['169.254.169.254']);
    const egress = createEgress({ allowPrivateNetworks: true, allow: [], resolve });
    const url = `http://rebind.example:${port()}/`;
    sink.usually({ status: 200, headers: { connection: 'close' } });
    assert.equal((await egress.request(url, {})).status, 200);
    await assert.rejects(egress.request(url, {}), (error: Error) => hintOf(error).code === 'blocked_address');
    sink.usually(200);
    await egress.close();
  });

  test('that does not resolve is a dns fault', async () => {
    const fail: NonNullable<EgressSettings['resolve']> = (_host, done) =>
      done(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }), []);
    const hint = await refusal('http://nowhere.example/', { ...strict, resolve: fail });
    assert.deepEqual({ kind: hint.kind, permanent: hint.permanent }, { kind: 'dns', permanent: undefined });
  });
});

describe('the allow list', () => {
  const reaches = async (settings: EgressSettings, url = sink.url): Promise<number> => {
    const egress = createEgress(settings);
    try {
      return (await egress.request(url, { timeout: 3_000 })).status;
    } finally {
      await egress.close();
    }
  };

  test('opens a range, an address and a name, and nothing beside them', async () => {
    assert.equal(await reaches({ ...strict, allow: ['127.0.0.0/8'] }), 200);
    assert.equal(await reaches({ ...strict, allow: ['127.0.0.1'] }), 200);
    const { port } = new URL(sink.url);
    const resolve = resolving(['127.0.0.1']);
    assert.equal(await reaches({ ...strict, allow: ['crm.internal'], resolve }, `http://crm.internal:${port}/`), 200);
    assert.equal(await reaches({ ...strict, allow: ['*.svc.local'], resolve }, `http://a.svc.local:${port}/`), 200);
    for (const allow of [['10.0.0.0/8'], ['127.0.0.2'], ['crm.internal']]) {
      assert.equal((await refusal(sink.url, { ...strict, allow })).code, 'blocked_address');
    }
  });

  test('never opens the metadata service', async () => {
    const settings = { allowPrivateNetworks: true, allow: ['169.254.169.254', '0.0.0.0/0', '::/0'] };
    for (const host of ['169.254.169.254', '[::ffff:169.254.169.254]', '[fd00:ec2::254]', '2852039166']) {
      assert.equal((await refusal(`http://${host}/latest/meta-data/`, settings)).code, 'blocked_address');
    }
  });

  for (const entry of ['10.0.0.0/33', 'http://crm.internal', 'a b', '', '::/129']) {
    test(`refuses the entry ${JSON.stringify(entry)}`, () => {
      assert.throws(() => createEgress({ ...strict, allow: [entry] }), /allow list/);
    });
  }
});

describe('a request', () => {
  const open: EgressSettings = { allowPrivateNetworks: true, allow: [] };

  test('ignores proxies of the environment', async () => {
    process.env['HTTP_PROXY'] = 'http://127.0.0.1:1';
    process.env['HTTPS_PROXY'] = 'http://127.0.0.1:1';
    const egress = createEgress(open);
    assert.equal((await egress.request(sink.url, {})).status, 200);
    await egress.close();
    delete process.env['HTTP_PROXY'];
    delete process.env['HTTPS_PROXY'];
  });

  test('that waits for a connection ends at its deadline, and is not sent later', async () => {
    const egress = createEgress({ ...open, connections: 1 });
    sink.script('hang');
    const before = sink.requests.length;
    const first = egress.request(sink.url, { timeout: 600 }).catch(hintOf);
    const second = egress.request(sink.url, { timeout: 100 }).catch(hintOf);
    assert.equal(((await second) as FaultHint).kind, 'timeout');
    assert.equal(((await first) as FaultHint).kind, 'timeout');
    assert.equal((await egress.request(sink.url, {})).status, 200);
    assert.equal(sink.requests.length - before, 2);
    await egress.close();
  });

  test('that was aborted before it began is not sent', async () => {
    const egress = createEgress(open);
    const before = sink.requests.length;
    await assert.rejects(egress.request(sink.url, { signal: AbortSignal.abort(new Error('stop')) }), /stop/);
    assert.equal(sink.requests.length, before);
    await egress.close();
  });

  test('keeps at most what it was asked to keep of the answer', async () => {
    const egress = createEgress(open);
    sink.script({ status: 200, body: 'x'.repeat(300_000) }, { status: 200, body: 'x'.repeat(300_000) });
    assert.equal((await egress.request(sink.url, {})).body.length, 64 * 1024);
    assert.equal((await egress.request(sink.url, { maxResponseBytes: 10 })).body, 'xxxxxxxxxx');
    assert.equal((await egress.request(sink.url, {})).status, 200);
    await egress.close();
  });

  test('with a header that HTTP cannot carry is a permanent fault', async () => {
    const egress = createEgress(open);
    await assert.rejects(
      egress.request(sink.url, { headers: { 'x-a': 'a\r\nb: c' } }),
      (error: Error) => hintOf(error).permanent === true,
    );
    await egress.close();
  });

  test('to a server with a certificate that nobody vouches for is a connection fault named tls', async () => {
    const egress = createEgress(open);
    const { port } = new URL(sink.url);
    await assert.rejects(egress.request(`https://127.0.0.1:${port}/`, {}), (error: Error) => {
      const { kind, code, permanent } = hintOf(error);
      assert.deepEqual({ kind, code, permanent }, { kind: 'connection', code: 'tls', permanent: undefined });
      return true;
    });
    await egress.close();
  });
});
