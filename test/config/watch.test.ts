/** Real files in real folders: what editors, git and Kubernetes do to them. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Watching, type WatchRequest, watchFiles } from '../../engine/config/index.ts';

interface Stage {
  readonly folder: string;
  readonly watching: Watching;
  readonly changes: () => number;
  readonly write: (name: string, text: string) => void;
  /** Waits until the number of changes is `count`, and a little longer so that a further one would show. */
  readonly expect: (count: number) => Promise<void>;
}

const quietMs = 60;

async function stage(
  t: TestContext,
  request: Partial<WatchRequest> = {},
  prepare?: (folder: string) => void,
): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'eventflow-watch-'));
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  write('a.yaml', 'one');
  prepare?.(folder);
  let count = 0;
  const paths = (request.paths ?? ['.']).map((path) => join(folder, path));
  const watching = watchFiles({ quietMs, onChange: () => void count++, ...request, paths });
  t.after(async () => {
    await watching.close();
    rmSync(folder, { recursive: true, force: true });
  });
  await watching.ready;
  const expect = async (wanted: number): Promise<void> => {
    for (const end = Date.now() + 4_000; count < wanted && Date.now() < end; ) await sleep(10);
    await sleep(3 * quietMs);
    assert.equal(count, wanted);
  };
  return { folder, watching, changes: () => count, write, expect };
}

test('a written file is noticed once', async (t) => {
  const { write, expect } = await stage(t);
  write('a.yaml', 'two');
  await expect(1);
  write('a.yaml', 'three');
  await expect(2);
});

test('the same bytes again are no change', async (t) => {
  const { write, expect } = await stage(t);
  write('a.yaml', 'one');
  await expect(0);
});

test('a burst of writes is one change', async (t) => {
  const { write, expect } = await stage(t);
  for (let at = 0; at < 20; at++) {
    write(`${at % 4}.yaml`, `text ${at}`);
    await sleep(5);
  }
  await expect(1);
});

test('a file that an editor renames into place is noticed', async (t) => {
  const { folder, write, expect } = await stage(t);
  for (const round of [1, 2]) {
    write('.a.yaml.swp', 'half');
    write('a.yaml.tmp', `two ${round}`);
    renameSync(join(folder, 'a.yaml.tmp'), join(folder, 'a.yaml'));
    await expect(round);
  }
});

test('a file that is removed and made again is noticed, as git checkout does', async (t) => {
  const { folder, write, expect } = await stage(t);
  unlinkSync(join(folder, 'a.yaml'));
  write('a.yaml', 'two');
  await expect(1);
  unlinkSync(join(folder, 'a.yaml'));
  await expect(2);
  write('a.yaml', 'two');
  await expect(3);
});

test('new files in new folders are noticed, other kinds of files are not', async (t) => {
  const { folder, write, expect } = await stage(t);
  write('notes.txt', 'hello');
  await expect(0);
  mkdirSync(join(folder, 'more'));
  writeFileSync(join(folder, 'more', 'b.yaml'), 'new');
  await expect(1);
  writeFileSync(join(folder, 'more', 'b.yaml'), 'newer');
  await expect(2);
});

function mount(folder: string, version: string, text: string): void {
  const target = join(folder, `..${version}`);
  mkdirSync(target);
  writeFileSync(join(target, 'p.yaml'), text);
  symlinkSync(`..${version}`, join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
}

test('a ConfigMap whose ..data link is swapped is noticed, each time', async (t) => {
  const { folder, expect } = await stage(t, {}, (root) => {
    mount(root, '2026_1', 'one');
    symlinkSync('..data/p.yaml', join(root, 'p.yaml'));
  });
  mount(folder, '2026_2', 'two');
  rmSync(join(folder, '..2026_1'), { recursive: true });
  await expect(1);
  mount(folder, '2026_3', 'three');
  rmSync(join(folder, '..2026_2'), { recursive: true });
  await expect(2);
});

test('a mounted secret that a pipeline refers to is noticed when it is swapped', async (t) => {
  const { folder, watching, expect } = await stage(t, { paths: ['pipelines'] }, (root) => {
    mkdirSync(join(root, 'pipelines'));
    mkdirSync(join(root, 'secrets'));
    mount(join(root, 'secrets'), '2026_1', 'one');
    symlinkSync('..data/p.yaml', join(root, 'secrets', 'token'));
  });
  const token = join(folder, 'secrets', 'token');
  watching.update([token]);
  await sleep(100);
  mount(join(folder, 'secrets'), '2026_2', 'two');
  rmSync(join(folder, 'secrets', '..2026_1'), { recursive: true });
  await expect(1);
  watching.update([token]);
  mount(join(folder, 'secrets'), '2026_3', 'three');
  await expect(2);
});

test('files that are referred to are watched while they are, also before they exist', async (t) => {
  const { folder, watching, write, expect } = await stage(t, { paths: ['a.yaml'] }, (root) =>
    mkdirSync(join(root, 'schemas')),
  );
  const schema = join(folder, 'schemas', 'order.json');
  watching.update([schema]);
  await sleep(100);
  write('schemas/order.json', '{}');
  await expect(1);
  write('schemas/other.json', '{}');
  await expect(1);
  watching.update([]);
  write('schemas/order.json', '{ }');
  await expect(1);
});

test('a change during a reload is told after it', async (t) => {
  let release = (): void => {};
  let running = 0;
  let calls = 0;
  const { write } = await stage(t, {
    onChange: async () => {
      calls++;
      assert.equal(++running, 1);
      await new Promise<void>((done) => {
        release = done;
      });
      running--;
    },
  });
  const called = async (count: number): Promise<void> => {
    for (const end = Date.now() + 4_000; calls < count && Date.now() < end; ) await sleep(10);
    assert.equal(calls, count);
  };
  write('a.yaml', 'two');
  await called(1);
  write('a.yaml', 'three');
  await sleep(4 * quietMs);
  assert.equal(calls, 1);
  release();
  await called(2);
  release();
});

test('a reload that throws is reported and the next change is noticed', async (t) => {
  const errors: string[] = [];
  let calls = 0;
  const { write } = await stage(t, {
    onChange: () => {
      calls++;
      throw new Error('no');
    },
    onError: (error) => errors.push(error.message),
  });
  for (const round of [1, 2]) {
    write('a.yaml', `text ${round}`);
    for (const end = Date.now() + 4_000; calls < round && Date.now() < end; ) await sleep(10);
  }
  assert.deepEqual(errors, ['no', 'no']);
});

test('polling notices what the system does not tell', async (t) => {
  const { write, expect } = await stage(t, { pollMs: 40 });
  write('a.yaml', 'a longer text');
  await expect(1);
});

test('paths and files start at the folder that is given for them', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'eventflow-watch-'));
  mkdirSync(join(folder, 'pipelines'));
  let count = 0;
  const watching = watchFiles({
    cwd: folder,
    paths: ['pipelines'],
    files: ['token'],
    quietMs,
    onChange: () => void count++,
  });
  t.after(async () => {
    await watching.close();
    rmSync(folder, { recursive: true });
  });
  await watching.ready;
  for (const [round, name] of ['pipelines/a.yaml', 'token'].entries()) {
    writeFileSync(join(folder, name), 'new');
    for (const end = Date.now() + 4_000; count <= round && Date.now() < end; ) await sleep(10);
    assert.equal(count, round + 1);
  }
});

test('nothing is told after close', async (t) => {
  const { watching, write, changes } = await stage(t);
  write('a.yaml', 'two');
  await watching.close();
  await sleep(4 * quietMs);
  assert.equal(changes(), 0);
});

test('a folder that comes later is followed from the next reload on', async (t) => {
  const { folder, watching, expect } = await stage(t, { paths: ['later'] });
  mkdirSync(join(folder, 'later'));
  await expect(1);
  watching.update([]);
  await sleep(100);
  writeFileSync(join(folder, 'later', 'b.yaml'), 'new');
  await expect(2);
});

test('a folder that vanishes is noticed', async (t) => {
  const { folder, expect } = await stage(t);
  rmSync(folder, { recursive: true });
  await expect(1);
});

for (const [how, request] of [
  ['', {}],
  [', polled', { pollMs: 40 }],
] as const) {
  test(`a folder that is removed and made again is followed as before${how}`, async (t) => {
    const { folder, watching, write, expect } = await stage(t, { paths: ['deep/pipelines'], ...request }, (root) => {
      mkdirSync(join(root, 'deep/pipelines'), { recursive: true });
      writeFileSync(join(root, 'deep/pipelines/a.yaml'), 'one');
    });
    const a = join(folder, 'deep/pipelines/a.yaml');
    watching.update([a]);
    rmSync(join(folder, 'deep'), { recursive: true });
    await expect(1);
    // What a load that finds no folder says.
    watching.update([]);
    mkdirSync(join(folder, 'deep/pipelines'), { recursive: true });
    write('deep/pipelines/a.yaml', 'two');
    await expect(2);
    write('deep/pipelines/a.yaml', 'three');
    await expect(3);
    watching.update([a]);
    write('deep/pipelines/b.yaml', 'new');
    await expect(4);
  });
}

test('a folder in whose place another one is moved is followed there, and told when the contents differ', async (t) => {
  const { folder, watching, write, expect } = await stage(t, { paths: ['pipelines'] }, (root) => {
    for (const name of ['pipelines', 'same', 'other']) mkdirSync(join(root, name));
    writeFileSync(join(root, 'pipelines/a.yaml'), 'one');
    writeFileSync(join(root, 'same/a.yaml'), 'one');
    writeFileSync(join(root, 'other/a.yaml'), 'two');
  });
  const replaceBy = (name: string): void => {
    renameSync(join(folder, 'pipelines'), join(folder, `before-${name}`));
    renameSync(join(folder, name), join(folder, 'pipelines'));
  };
  watching.update([join(folder, 'pipelines/a.yaml')]);
  write('pipelines/a.yaml', 'before');
  await expect(1);
  replaceBy('other');
  await expect(2);
  write('pipelines/a.yaml', 'one');
  await expect(3);
  replaceBy('same');
  await sleep(1_500);
  await expect(3);
  write('pipelines/a.yaml', 'three');
  await expect(4);
});

test('a link that is turned to another folder is followed there, as deployments swap releases', async (t) => {
  const { folder, watching, write, expect } = await stage(t, { paths: ['current'] }, (root) => {
    for (const release of ['1', '2', '3']) {
      mkdirSync(join(root, 'releases', release), { recursive: true });
      writeFileSync(join(root, 'releases', release, 'a.yaml'), release);
    }
    symlinkSync('releases/1', join(root, 'current'));
  });
  const turnTo = (release: string): void => {
    symlinkSync(`releases/${release}`, join(folder, 'next'));
    renameSync(join(folder, 'next'), join(folder, 'current'));
  };
  watching.update([join(folder, 'current/a.yaml')]);
  turnTo('2');
  await expect(1);
  write('releases/2/a.yaml', 'newer');
  await expect(2);
  write('releases/1/a.yaml', 'nobody looks here any more');
  await expect(2);
  turnTo('3');
  await expect(3);
  write('releases/3/b.yaml', 'new');
  await expect(4);
});

test('a file whose link leads through a link that is turned is noticed', async (t) => {
  const { folder, write, expect } = await stage(t, { paths: ['b.yaml'] }, (root) => {
    for (const release of ['1', '2']) {
      mkdirSync(join(root, release));
      writeFileSync(join(root, release, 'b.yaml'), release);
    }
    symlinkSync('1', join(root, 'current'));
    mkdirSync(join(root, 'shared'));
    symlinkSync('../current/b.yaml', join(root, 'shared/b.yaml'));
    symlinkSync('shared/b.yaml', join(root, 'b.yaml'));
  });
  unlinkSync(join(folder, 'current'));
  symlinkSync('2', join(folder, 'current'));
  await expect(1);
  write('2/b.yaml', 'newer');
  await expect(2);
});
