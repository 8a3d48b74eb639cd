/** The Lua scripts of `lua/`, each read once. Their heads say what they take and return. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface Script {
  readonly source: string;
  readonly sha: string;
}

function load(name: string): Script {
  const source = readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8');
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

export const scripts = {
  activate: load('activate'),
  discard: load('discard'),
  expire: load('expire'),
  extend: load('extend'),
  hold: load('hold'),
  ingest: load('ingest'),
  leave: load('leave'),
  permits: load('permits'),
  promote: load('promote'),
  purge: load('purge'),
  reap: load('reap'),
  record: load('record'),
  recall: load('recall'),
  redrive: load('redrive'),
  release: load('release'),
  settle: load('settle'),
  start: load('start'),
  stats: load('stats'),
  swap: load('swap'),
  take: load('take'),
  trim: load('trim'),
  yield: load('yield'),
} as const;
