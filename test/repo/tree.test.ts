/** The checkout as a whole: what may lie where, how large it may be, and what it may not say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { version } from '../../engine/version.ts';
import { missingPackages, readLockFile } from './lock-file.ts';
import { files, textOf } from './sources.ts';

const manifestOf = (folder: string) =>
  JSON.parse(textOf(`${folder}/package.json`)) as {
    readonly name: string;
    readonly version?: string;
    readonly license?: string;
    readonly dependencies?: Readonly<Record<string, string>>;
    readonly peerDependencies?: Readonly<Record<string, string>>;
  };

const published = [
  'engine',
  ...new Set(
    files
      .filter((file) => /^plugins\/[^/]+\/package\.json$/.test(file))
      .map((file) => file.replace(/\/package\.json$/, '')),
  ),
];

test('the top level holds what the project has agreed on', () => {
  const allowed =
    /^(engine|plugins|pipelines|schemas|test|examples|package\.json|package-lock\.json|tsconfig\.json|biome\.json|knip\.json|README\.md|LICENSE|CHANGELOG\.md|\..+)$/;
  const found = new Set(files.map((file) => file.split('/')[0] ?? ''));
  assert.deepEqual(
    [...found].filter((name) => !allowed.test(name)),
    [],
  );
});

test('no source file is longer than 400 lines', () => {
  const long = files
    .filter((file) => /\.(ts|js|lua|css|html)$/.test(file) && !file.endsWith('.generated.ts'))
    .map((file) => [file, textOf(file).split('\n').length - 1] as const)
    .filter(([, lines]) => lines > 400);
  assert.deepEqual(long, []);
});

test('eventflow has at most 12 runtime dependencies', () => {
  const names = Object.keys(manifestOf('engine').dependencies ?? {});
  assert.ok(names.length <= 12, `${names.length}: ${names.join(', ')}`);
});

test('the packages have one version and one license, and plugins take the engine of that version', () => {
  for (const folder of published) {
    const manifest = manifestOf(folder);
    assert.equal(manifest.version, version, folder);
    assert.equal(manifest.license, 'Apache-2.0', folder);
    if (folder !== 'engine') assert.equal(manifest.peerDependencies?.['eventflow'], `^${version}`, folder);
  }
});

test('the changelog knows the version', () => {
  assert.match(textOf('CHANGELOG.md'), new RegExp(`^## \\[${version.replaceAll('.', '\\.')}\\]`, 'm'));
});

test('nothing names a path of one machine or the host of a registry', () => {
  const told = /(?<![\w.$}-])\/(work|home|Users|root)\/\w|\/tmp\/bash|registry\.npm|npmmirror|verdaccio|artifactory/i;
  const wrong = files
    .filter((file) => file !== 'test/repo/tree.test.ts' && !/\.(png|ico|woff2?)$/.test(file))
    .flatMap((file) =>
      textOf(file)
        .split('\n')
        .flatMap((line, at) => (told.test(line) ? [`${file}:${at + 1} ${line.trim().slice(0, 100)}`] : [])),
    );
  assert.deepEqual(wrong, []);
});

test('the lock file names no registry, so that it serves every mirror', () => {
  assert.doesNotMatch(textOf('package-lock.json'), /"resolved": "https?:/);
});

test('the lock file describes every optional package, so that npm ci takes it', () => {
  assert.deepEqual(missingPackages(readLockFile()), [], 'node test/repo/lock-file.ts puts them in');
});

test('no test is left out, and none runs alone', () => {
  const switched = /\b(?:test|it|describe)\.(?:skip|todo|only)\b|\{\s*(?:skip|todo|only):|\bt\.(?:skip|todo)\(/;
  const wrong = files
    .filter((file) => /\.test\.ts$|^test\/contract\//.test(file) && file !== 'test/repo/tree.test.ts')
    .filter((file) => switched.test(textOf(file)));
  assert.deepEqual(wrong, []);
});
