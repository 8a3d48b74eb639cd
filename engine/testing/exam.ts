/**
 * The exam that every handler should pass, as a list of questions for any test runner:
 *
 *   for (const { name, run } of handlerExam(subject)) test(name, run);
 */
import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { createValidator } from '../config/validator.ts';
import type { Plugin } from '../plugin.ts';
import { type DeliverySetup, type HandlerSetup, type OpenHandler, openHandler } from './run.ts';
import { openObjects, optionsOf, readManifest, secretsIn, undocumented } from './schema.ts';

/** Somebody for the handler to talk to, and the options that make it do so. */
export interface Peer {
  readonly options: unknown;
  /** Whatever reached the peer so far, one text for each delivery. */
  received(): readonly string[];
  close(): Promise<void>;
}

export interface ExamSubject {
  readonly plugin: Plugin;
  readonly handler: string;
  /** The folder of the plugin's package.json. */
  readonly packageFolder: string;
  /** An event that the handler can deliver. Its `id` is replaced where several events are needed. */
  readonly event?: Readonly<Record<string, unknown>>;
  readonly setup?: Omit<HandlerSetup, 'options'>;
  readonly peers: {
    /** Takes everything. */
    ok(): Promise<Peer>;
    /** Accepts and then says nothing; leave out what the handler has no peer for. */
    hang?(): Promise<Peer>;
    /** Cannot be reached. */
    down?(): Promise<Peer>;
    /** Says: not now. */
    busy?(): Promise<Peer>;
    /** Says: this one, never. */
    rejects?(): Promise<Peer>;
  };
  /**
   * What in a received text tells a repeat from another delivery; leave it out when the target has no such thing, as a
   * log has not.
   */
  readonly keyOf?: (received: string) => string | undefined;
}

export interface Question {
  readonly name: string;
  readonly run: () => Promise<void>;
}

type PeerKind = keyof ExamSubject['peers'];

/** What the target gets in common with the engine's promise: an aborted handler ends within this, ms. */
const abortLimit = 1_000;
const many = 50;

async function withPeer<T>(
  subject: ExamSubject,
  kind: PeerKind,
  use: (handler: OpenHandler, peer: Peer) => Promise<T>,
): Promise<T> {
  const peer = await subject.peers[kind]?.();
  assert.ok(peer !== undefined, `the subject has no peer of kind ${kind}`);
  try {
    const handler = await openHandler(subject.plugin, subject.handler, { ...subject.setup, options: peer.options });
    try {
      return await use(handler, peer);
    } finally {
      await handler.close();
    }
  } finally {
    await peer.close();
  }
}

const deliverySetup = ({ event }: ExamSubject, id: string): DeliverySetup => ({ event: { ...event, id } });

async function asksSchema({ packageFolder, handler }: ExamSubject): Promise<void> {
  const { schema, templates, secrets } = readManifest(packageFolder, handler);
  createValidator(schema);
  assert.deepEqual(undocumented(schema), []);
  const marked = (word: string): string[] =>
    optionsOf(schema)
      .filter((option) => option.schema[word] === true)
      .map(({ path }) => path.replace(/\.\*$/, ''));
  const plain = (paths: readonly string[]): string[] => paths.map((path) => path.replace(/\.\*$/, '')).toSorted();
  assert.deepEqual([...new Set(marked('x-secret'))].toSorted(), plain(secrets), 'capabilities.secrets of the manifest');
  assert.deepEqual(
    [...new Set(marked('x-template'))].toSorted(),
    plain(templates),
    'capabilities.templates of the manifest',
  );
}

async function asksUnknownOptions(subject: ExamSubject): Promise<void> {
  const { schema } = readManifest(subject.packageFolder, subject.handler);
  assert.deepEqual(openObjects(schema), [], 'objects without additionalProperties');
  const validate = createValidator(schema);
  const peer = await subject.peers.ok();
  await peer.close();
  assert.deepEqual(validate(peer.options).errors, [], 'the options of the exam fit the schema');
  const { errors } = validate({ ...(peer.options as object), no_such_option: true });
  assert.ok(errors.length > 0, 'expected an unknown option to be refused');
}

const asksDelivery = (subject: ExamSubject): Promise<void> =>
  withPeer(subject, 'ok', async (handler) => {
    const { outcome } = await handler.deliver(deliverySetup(subject, 'exam-1'));
    assert.deepEqual(outcome, { kind: 'delivered' });
  });

const asksAbort = (subject: ExamSubject): Promise<void> =>
  withPeer(subject, 'hang', async (handler) => {
    const controller = new AbortController();
    const delivery = handler.deliver({ ...deliverySetup(subject, 'exam-1'), signal: controller.signal });
    await sleep(100);
    controller.abort(new Error('the exam aborts'));
    const late = sleep(abortLimit, 'late', { ref: false });
    const result = await Promise.race([delivery, late]);
    assert.notEqual(result, 'late', `expected the handler to end within ${abortLimit} ms of the abort`);
    assert.equal((await delivery).outcome.kind, 'failed');
  });

async function asksConcurrency(subject: ExamSubject): Promise<void> {
  await withPeer(subject, 'ok', async (handler, peer) => {
    const ids = Array.from({ length: many }, (_, n) => `exam-${n}`);
    const results = await Promise.all(ids.map((id) => handler.deliver(deliverySetup(subject, id))));
    for (const { outcome } of results) assert.deepEqual(outcome, { kind: 'delivered' });
    if (subject.keyOf === undefined) return;
    assert.equal(new Set(peer.received().map(subject.keyOf)).size, many, 'each delivery arrived as itself');
  });
}

/** What one event of a batch means is what it means by itself, and each has one result. */
async function asksBatch(subject: ExamSubject): Promise<void> {
  const declared = readManifest(subject.packageFolder, subject.handler).batch;
  await withPeer(subject, 'ok', async (handler, peer) => {
    const has = handler.handler.handleBatch !== undefined;
    assert.equal(has, declared, 'handleBatch is there exactly when capabilities.batch of the manifest says so');
    if (!has) return;
    const ids = Array.from({ length: many }, (_, n) => `exam-${n}`);
    const results = await handler.deliverBatch(ids.map((id) => deliverySetup(subject, id)));
    assert.deepEqual(
      results.map(({ outcome }) => outcome),
      ids.map(() => ({ kind: 'delivered' })),
    );
    if (subject.keyOf === undefined) return;
    const keys = peer.received().map(subject.keyOf);
    assert.equal(new Set(keys).size, many, 'each event of a batch arrived as itself');
  });
}

async function asksKey(subject: ExamSubject): Promise<void> {
  await withPeer(subject, 'ok', async (handler, peer) => {
    await handler.deliver({ ...deliverySetup(subject, 'exam-1'), attempt: 1 });
    await handler.deliver({ ...deliverySetup(subject, 'exam-1'), attempt: 2 });
    await handler.deliver({ ...deliverySetup(subject, 'exam-2'), attempt: 1 });
    const keys = peer.received().map((text) => subject.keyOf?.(text));
    assert.equal(keys.length, 3, 'three deliveries arrived');
    assert.ok(
      keys.every((key) => key !== undefined && key !== ''),
      'every delivery carries a key',
    );
    assert.equal(keys[0], keys[1], 'a repeat carries the same key');
    assert.notEqual(keys[0], keys[2], 'another delivery carries another key');
  });
}

function asksFault(kind: 'down' | 'busy' | 'rejects'): (subject: ExamSubject) => Promise<void> {
  return (subject) =>
    withPeer(subject, kind, async (handler) => {
      const { outcome } = await handler.deliver(deliverySetup(subject, 'exam-1'));
      assert.ok(outcome.kind === 'failed', `expected the delivery to fail, got ${outcome.kind}`);
      const { fault, permanent } = outcome;
      const isClient = fault.kind === 'status' && fault.status !== undefined && fault.status < 500;
      if (kind === 'rejects') return assert.ok(permanent || isClient, 'expected a permanent fault or a 4xx');
      assert.equal(permanent, false, 'expected a fault that another attempt can get over');
      if (kind === 'down') {
        const spoken = fault.unavailable === true || ['connection', 'dns', 'timeout'].includes(fault.kind);
        assert.ok(spoken, `expected the fault to say that the target is down, got kind ${fault.kind}`);
      }
    });
}

async function asksSecrets(subject: ExamSubject): Promise<void> {
  const { schema } = readManifest(subject.packageFolder, subject.handler);
  const kinds = (['ok', 'down', 'busy', 'rejects'] as const).filter((kind) => subject.peers[kind] !== undefined);
  for (const kind of kinds) {
    await withPeer(subject, kind, async (handler, peer) => {
      const { outcome, thrown } = await handler.deliver(deliverySetup(subject, 'exam-1'));
      const stack = thrown instanceof Error ? thrown.stack : '';
      const said = JSON.stringify([handler.log, outcome, stack]);
      for (const secret of secretsIn(schema, peer.options)) {
        assert.ok(!said.includes(secret), `a secret of the options came out with a peer of kind ${kind}`);
      }
    });
  }
}

/** Counts what keeps a process alive, by kind. */
function openResources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

const grown = (before: ReadonlyMap<string, number>): readonly string[] =>
  [...openResources()].filter(([kind, count]) => count > (before.get(kind) ?? 0)).map(([kind]) => kind);

async function asksClose(subject: ExamSubject): Promise<void> {
  // Whatever loads on first use is loaded now.
  await asksDelivery(subject);
  const before = openResources();
  await asksDelivery(subject);
  const end = Date.now() + abortLimit;
  while (grown(before).length > 0 && Date.now() < end) await sleep(20);
  assert.deepEqual(grown(before), [], 'what close() left open');
}

/** The questions that apply to `subject`. Run them one after another: some look at the whole process. */
export function handlerExam(subject: ExamSubject): readonly Question[] {
  const { handler, peers, keyOf } = subject;
  const ask = (name: string, question: (of: ExamSubject) => Promise<void>, applies = true): Question[] =>
    applies ? [{ name: `${handler} ${name}`, run: () => question(subject) }] : [];
  return [
    ...ask('documents every option in a schema that compiles', asksSchema),
    ...ask('refuses options that its schema does not know', asksUnknownOptions),
    ...ask('delivers a frozen event', asksDelivery),
    ...ask('serves many deliveries at once', asksConcurrency),
    ...ask('has a result for each event of a batch', asksBatch),
    ...ask('forwards the idempotency key', asksKey, keyOf !== undefined),
    ...ask('ends within a second of an abort', asksAbort, peers.hang !== undefined),
    ...ask('tells a target that is down from a bad event', asksFault('down'), peers.down !== undefined),
    ...ask('lets a busy target be tried again', asksFault('busy'), peers.busy !== undefined),
    ...ask('knows a refusal that no attempt can change', asksFault('rejects'), peers.rejects !== undefined),
    ...ask('keeps its secrets', asksSecrets),
    ...ask('leaves nothing open', asksClose),
  ];
}
