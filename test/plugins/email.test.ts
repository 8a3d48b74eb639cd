import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import email from '@eventflow/plugin-email';
import { type DeliverySetup, handlerExam, openHandler, type Peer, runHandler } from 'eventflow/testing';
import { type Mail, type SmtpBehaviour, type SmtpSink, smtpSink } from './smtp-sink.ts';

const event = {
  id: 'o-1',
  source: '/shop',
  data: { order_id: 7, name: 'Ada <b>', email: 'ada@example.com', bad: 'a\r\nBcc: evil@example.com' },
};

const options = {
  from: 'Shop <orders@shop.example>',
  to: '{{ event.data.email }}',
  subject: 'Your order {{ event.data.order_id }}',
  text: 'Hello {{ event.data.name }}',
};

let sink: SmtpSink;
before(async () => {
  sink = await smtpSink();
});
after(() => sink.close());
beforeEach(() => {
  (sink.mails as unknown[]).length = 0;
});

const run = (more: object = {}, delivery: DeliverySetup = {}) =>
  runHandler(email, 'email', { event, ...delivery, options: { ...options, url: sink.url, ...more } });

const onlyMail = (): Mail => {
  const [mail, second] = sink.mails;
  assert.ok(mail !== undefined && second === undefined, `expected one mail, got ${sink.mails.length}`);
  return mail;
};

const header = (mail: Mail, name: string): string | undefined => {
  const [head = ''] = mail.raw.split('\r\n\r\n');
  return new RegExp(`^${name}: (.*)$`, 'im').exec(head.replace(/\r\n[ \t]+/g, ' '))?.[1];
};

async function failure(more: object = {}, delivery: DeliverySetup = {}) {
  const { outcome } = await run(more, delivery);
  assert.ok(outcome.kind === 'failed', `expected a failure, got ${outcome.kind}`);
  return outcome;
}

describe('a message', () => {
  test('arrives with what its templates rendered to', async () => {
    assert.equal((await run()).outcome.kind, 'delivered');
    const mail = onlyMail();
    assert.equal(mail.from, 'orders@shop.example');
    assert.deepEqual(mail.to, ['ada@example.com']);
    assert.equal(header(mail, 'Subject'), 'Your order 7');
    assert.match(mail.raw, /Hello Ada <b>/);
  });

  test('has HTML with its outputs escaped', async () => {
    await run({ html: '<p>{{ event.data.name }}</p>' });
    assert.match(onlyMail().raw, /<p>Ada &lt;b&gt;<\/p>/);
  });

  test('goes to every recipient, the hidden ones without a trace in it', async () => {
    await run({
      to: ['a@example.com', 'B <b@example.com>'],
      cc: 'c@example.com',
      bcc: ['d@example.com'],
      replyTo: 'r@example.com',
    });
    const mail = onlyMail();
    assert.deepEqual(mail.to.toSorted(), ['a@example.com', 'b@example.com', 'c@example.com', 'd@example.com']);
    assert.equal(header(mail, 'Cc'), 'c@example.com');
    assert.equal(header(mail, 'Reply-To'), 'r@example.com');
    assert.doesNotMatch(mail.raw, /d@example\.com/);
  });

  test('leaves out a recipient whose template renders to nothing', async () => {
    await run({ cc: '{% if event.data.order_id > 100 %}boss@example.com{% endif %}' });
    assert.deepEqual(onlyMail().to, ['ada@example.com']);
  });

  test('carries headers and attachments from templates', async () => {
    await run({
      headers: {
        'X-Order': '{{ event.data.order_id }}',
        'List-Unsubscribe': '<https://shop.example/u/{{ event.data.order_id }}>',
      },
      attachments: [
        {
          filename: 'order-{{ event.data.order_id }}.csv',
          content: 'id\n{{ event.data.order_id }}\n',
          contentType: 'text/csv',
        },
      ],
    });
    const mail = onlyMail();
    assert.equal(header(mail, 'X-Order'), '7');
    assert.equal(header(mail, 'List-Unsubscribe'), '<https://shop.example/u/7>');
    assert.match(mail.raw, /filename=order-7\.csv/);
    assert.match(mail.raw, /Content-Type: text\/csv/);
  });

  test('has the same Message-ID in every attempt, and another for another event or route', async () => {
    await run({}, { attempt: 1 });
    await run({}, { attempt: 2 });
    await run({}, { event: { ...event, id: 'o-2' } });
    await runHandler(email, 'email', { event, route: 'other.route', options: { ...options, url: sink.url } });
    const [first, second, ...others] = sink.mails.map((mail) => header(mail, 'Message-ID'));
    assert.match(String(first), /^<[0-9a-f]{32}@shop\.example>$/);
    assert.equal(first, second);
    assert.equal(new Set([first, ...others]).size, 3);
  });

  test('is not sent in a dry run, but logged', async () => {
    const { outcome, log } = await run({ dryRun: true });
    assert.equal(outcome.kind, 'delivered');
    assert.equal(sink.mails.length, 0);
    assert.deepEqual(
      log.map(({ message }) => message),
      ['dry run: e-mail not sent'],
    );
  });
});

describe('what an event says', () => {
  for (const [what, more] of Object.entries({
    'a subject': { subject: '{{ event.data.bad }}' },
    'a header': { headers: { 'X-A': '{{ event.data.bad }}' } },
    'a recipient': { to: '{{ event.data.bad }}@example.com' },
    'the name of a sender': { from: '{{ event.data.bad }} <a@example.com>' },
    'a reply address': { replyTo: '{{ event.data.bad }}' },
    'the name of an attachment': { attachments: [{ filename: '{{ event.data.bad }}', content: '' }] },
  })) {
    test(`cannot break out of ${what}`, async () => {
      const { permanent, fault } = await failure(more);
      assert.equal(permanent, true);
      assert.match(fault.message, /one line/);
      assert.equal(sink.mails.length, 0);
    });
  }

  for (const address of [
    'a@example.com, b@example.com',
    'a@example.com; b@example.com',
    'a@example.com b@example.com',
    '<a@example.com> <b@example.com>',
    'x <a@example.com>, y <b@example.com>',
    '"a@evil.example"@example.com',
    '"a b"@example.com',
    'a(comment)@example.com',
    'group: a@example.com;',
    'a@example.com\0',
    'a@b@example.com',
    '@example.com',
    'a@',
    'a',
    'a@-example.com',
    'a@example..com',
    'a@[127.0.0.1]',
    '.a@example.com',
    'a..b@example.com',
    `${'a'.repeat(65)}@example.com`,
    `a@${'b'.repeat(64)}.com`,
    'a\u2028@example.com',
    'a@exa mple.com',
    'a@example.com>',
  ]) {
    test(`cannot be taken for an address: ${JSON.stringify(address.slice(0, 40))}`, async () => {
      const { permanent } = await failure({}, { event: { ...event, data: { ...event.data, email: address } } });
      assert.equal(permanent, true);
      assert.equal(sink.mails.length, 0);
    });
  }

  for (const address of [
    'ada@example.com',
    'Ada Example <ada@example.com>',
    '"Example, Ada" <ada@example.com>',
    'ada+tag@mail.example.co.uk',
    'ada@bücher.example',
    " ada.o'neil@example.com ",
  ]) {
    test(`is an address: ${address}`, async () => {
      const { outcome } = await run({}, { event: { ...event, data: { ...event.data, email: address } } });
      assert.equal(outcome.kind, 'delivered');
      assert.equal(onlyMail().to.length, 1);
    });
  }

  test('has to leave at least one recipient', async () => {
    const { permanent, fault } = await failure({ to: '{% if false %}x{% endif %}' });
    assert.equal(permanent, true);
    assert.match(fault.message, /at least one recipient/);
  });
});

describe('options', () => {
  for (const [more, expected] of [
    [{ url: 'http://mail.example' }, /smtp:\/\//],
    [{ url: 'smtp://u:sekret@mail.example:25/x?tls=no' }, /nothing after the port/],
    [{ host: 'mail.example' }, /either url or host/],
    [{ url: undefined }, /url or host/],
    [{ url: undefined, host: 'mail.example', username: 'u' }, /username and password together/],
    [{ text: undefined }, /text and html/],
    [{ headers: { Bcc: 'x@example.com' } }, /Bcc/],
    [{ headers: { 'Content-Type': 'text/html' } }, /Content-Type/],
    [{ subject: '{{ event.data.' }, /not Liquid/],
    [{ tls: { ca: './no-such-file.pem' } }, /no-such-file/],
  ] as const) {
    test(`are refused: ${JSON.stringify(more)}`, async () => {
      await assert.rejects(run(more), (error: Error) => {
        assert.match(error.message, expected);
        return !error.message.includes('sekret');
      });
    });
  }

  test('may say the server in fields', async () => {
    const { outcome } = await run({ url: undefined, host: '127.0.0.1', port: sink.port });
    assert.equal(outcome.kind, 'delivered');
  });
});

describe('the server', () => {
  const against = async (behaviour: SmtpBehaviour, more: object = {}, delivery: DeliverySetup = {}) => {
    const own = await smtpSink(behaviour);
    try {
      return await run({ url: own.url, ...more }, delivery);
    } finally {
      await own.close();
    }
  };

  for (const [code, expected] of [
    [421, { permanent: false, unavailable: true }],
    [450, { permanent: false, unavailable: undefined }],
    [451, { permanent: false, unavailable: undefined }],
    [452, { permanent: false, unavailable: undefined }],
    [550, { permanent: true, unavailable: undefined }],
    [552, { permanent: true, unavailable: undefined }],
    [554, { permanent: true, unavailable: undefined }],
  ] as const) {
    test(`that answers ${code} makes the failure ${expected.permanent ? 'permanent' : 'one to retry'}`, async () => {
      for (const behaviour of [{ onData: code }, { onRecipient: () => code }]) {
        const { outcome } = await against(behaviour);
        assert.ok(outcome.kind === 'failed');
        assert.equal(outcome.fault.code, `smtp_${code}`);
        assert.equal(outcome.fault.status, code);
        assert.equal(outcome.permanent, expected.permanent);
        assert.equal(outcome.fault.unavailable, expected.unavailable);
        assert.match(outcome.fault.body ?? '', new RegExp(String(code)));
      }
    });
  }

  test('that refuses some recipients and takes the message for the others has it delivered, with a warning', async () => {
    const onRecipient = (address: string) => (address.startsWith('bad') ? 550 : undefined);
    const { outcome, log, counters } = await against({ onRecipient }, { to: ['bad@example.com', 'good@example.com'] });
    assert.equal(outcome.kind, 'delivered');
    assert.equal(log[0]?.level, 'warn');
    assert.equal(counters['email_recipients_rejected'], 1);
  });

  test('that does not let us in counts as down, and the password is not shown', async () => {
    const { outcome, thrown } = await against(
      { password: 'right-password' },
      { url: undefined, host: '127.0.0.1', port: 1, username: 'u', password: 'wrong-password' },
    );
    assert.ok(outcome.kind === 'failed');
    assert.equal(outcome.fault.kind, 'connection');
    const own = await smtpSink({ password: 'right-password' });
    const credentials = (password: string) => ({ url: `smtp://u:${password}@127.0.0.1:${own.port}` });
    const refused = await run(credentials('wrong-password'));
    assert.ok(refused.outcome.kind === 'failed');
    assert.equal(refused.outcome.permanent, false);
    assert.equal(refused.outcome.fault.unavailable, true);
    assert.equal(refused.outcome.fault.code, 'smtp_auth');
    assert.doesNotMatch(JSON.stringify([refused.outcome, String(refused.thrown), String(thrown)]), /wrong-password/);
    assert.equal((await run(credentials('right-password'))).outcome.kind, 'delivered');
    await own.close();
  });

  test('that cannot be found is a dns fault', async () => {
    const { fault, permanent } = await failure({ url: 'smtp://no-such-host.invalid:25' });
    assert.equal(fault.kind, 'dns');
    assert.equal(permanent, false);
  });

  test('that speaks no SMTP is a connection fault', async () => {
    const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { fault, permanent } = await failure({ url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}` });
    assert.equal(fault.kind, 'connection');
    assert.equal(permanent, false);
    server.close();
  });

  test('that offers no STARTTLS gets nothing when TLS is required', async () => {
    const { fault, permanent } = await failure({ requireTls: true });
    assert.equal(fault.kind, 'connection');
    assert.equal(permanent, false);
    assert.equal(sink.mails.length, 0);
  });

  test('with a certificate that nobody vouches for gets nothing', async () => {
    const { outcome } = await against({ server: { disabledCommands: ['AUTH'] } });
    assert.ok(outcome.kind === 'failed');
    assert.equal(outcome.fault.kind, 'connection');
    assert.equal(outcome.permanent, false);
  });

  test('is kept connected between messages', async () => {
    const own = await smtpSink();
    const handler = await openHandler(email, 'email', { options: { ...options, url: own.url } });
    for (let n = 0; n < 10; n += 1) await handler.deliver({ event: { ...event, id: `o-${n}` } });
    await handler.close();
    assert.equal(own.mails.length, 10);
    assert.equal(own.connections, 1);
    await own.close();
  });

  test('is asked by check whether it answers', async () => {
    const handler = await openHandler(email, 'email', { options: { ...options, url: sink.url } });
    await assert.doesNotReject(async () => handler.handler.check?.());
    await handler.close();
    const gone = await openHandler(email, 'email', { options: { ...options, url: 'smtp://127.0.0.1:1' } });
    await assert.rejects(async () => gone.handler.check?.());
    await gone.close();
  });
});

describe('the exam', () => {
  const peer = async (behaviour: SmtpBehaviour): Promise<Peer> => {
    const own = await smtpSink({ password: 'exam-password', ...behaviour });
    return {
      options: { ...options, url: `smtp://exam:exam-password@127.0.0.1:${own.port}` },
      received: () => own.mails.map(({ raw }) => raw),
      close: () => own.close(),
    };
  };
  const exam = handlerExam({
    plugin: email,
    handler: 'email',
    packageFolder: 'plugins/email',
    event,
    peers: {
      ok: () => peer({}),
      hang: () => peer({ onData: 'hang' }),
      down: async () => ({
        options: { ...options, url: 'smtp://exam:exam-password@127.0.0.1:1' },
        received: () => [],
        close: async () => undefined,
      }),
      busy: () => peer({ onData: 451 }),
      rejects: () => peer({ onData: 550 }),
    },
    keyOf: (received) => /^message-id: (.*)$/im.exec(received)?.[1],
  });
  for (const { name, run: sit } of exam) test(name, sit);
});
