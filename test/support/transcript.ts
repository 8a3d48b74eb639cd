/**
 * A document that is a session: its ```console blocks are typed into a shell, its ```diff blocks are edits of files, and
 * what came of it stands below each command. Blocks that say `engine` are a second terminal, whose command goes on while
 * the others are typed; a `…` in its lines stands for anything.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { endsWithUs } from './children.ts';
import { eventually } from './eventually.ts';

interface Command {
  readonly kind: 'command';
  /** Of the line in the document, from 0. */
  readonly at: number;
  readonly command: string;
  readonly shown: readonly string[];
}

interface Edit {
  readonly kind: 'edit';
  readonly at: number;
  readonly patch: string;
}

/** Lines of the second terminal; with a command when it begins there. */
interface Engine {
  readonly kind: 'engine';
  readonly at: number;
  readonly command: string | undefined;
  readonly shown: readonly string[];
}

type Step = Command | Edit | Engine;

interface Block {
  readonly info: string;
  readonly at: number;
  readonly lines: readonly string[];
}

function blocksIn(lines: readonly string[]): Block[] {
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at++) {
    const info = /^```(.+)$/.exec(lines[at] ?? '')?.[1];
    if (info === undefined) continue;
    const end = lines.indexOf('```', at + 1);
    blocks.push({ info, at: at + 1, lines: lines.slice(at + 1, end) });
    at = end;
  }
  return blocks;
}

function commandsIn({ at, lines }: Block): Command[] {
  const starts = lines.flatMap((line, index) => (line.startsWith('$ ') ? [index] : []));
  return starts.map((start, index) => ({
    kind: 'command',
    at: at + start,
    command: (lines[start] ?? '').slice(2),
    shown: lines.slice(start + 1, starts[index + 1] ?? lines.length),
  }));
}

function stepsOf(block: Block): Step[] {
  switch (block.info) {
    case 'console':
      return commandsIn(block);
    case 'console engine': {
      const [first = '', ...rest] = block.lines;
      const begins = first.startsWith('$ ');
      return [
        {
          kind: 'engine',
          at: block.at,
          command: begins ? first.slice(2) : undefined,
          shown: begins ? rest : block.lines,
        },
      ];
    }
    case 'diff':
      return [{ kind: 'edit', at: block.at, patch: `${block.lines.join('\n')}\n` }];
  }
  return [];
}

/** What differs from one run to the next. */
const changing: readonly (readonly [RegExp, string])[] = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<id>'],
  [/\b[0-9a-f]{64}\b/g, '<hash>'],
  [/\b[0-9a-f]{12,16}\b/g, '<hash>'],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, '<time>'],
  [/127\.0\.0\.1:\d+/g, '<address>'],
  [/\b\d+(\.\d+)? m?s\b/g, '<duration>'],
];

const settled = (line: string): string =>
  changing
    .reduce((text, [what, name]) => text.replace(what, name), line)
    .replace(/ +/g, ' ')
    .trimEnd();

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.map(settled).join('\n') === b.map(settled).join('\n');

/** `…` stands for anything. */
const matches = (shown: string, line: string): boolean => {
  const parts = settled(shown)
    .split('…')
    .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(settled(line));
};

export interface Difference {
  /** From 1. */
  readonly line: number;
  readonly command: string;
  readonly shown: string;
  readonly got: string;
}

export interface Played {
  readonly differences: readonly Difference[];
  /** The document with what came of its commands. */
  readonly text: string;
}

export interface Stage {
  /** Where the session takes place. */
  readonly folder: string;
  /** Programs of the session by name, as shell scripts. */
  readonly programs: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
}

/** A shell of the session; both of its outputs in one. */
function shell(command: string, { folder, env }: Stage, bin: string): ChildProcess {
  const kept = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('EVENTFLOW_')));
  const child = spawn('sh', ['-c', `exec 2>&1\n${command}`], {
    cwd: folder,
    env: { ...kept, ...env, PATH: `${bin}${delimiter}${process.env['PATH']}`, NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  endsWithUs(child);
  return child;
}

async function type(command: string, input: string, stage: Stage, bin: string): Promise<readonly string[]> {
  const child = shell(command, stage, bin);
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk));
  // A command that reads nothing may have ended before.
  child.stdin?.on('error', () => undefined).end(input);
  await new Promise((resolve) => child.once('close', resolve));
  const text = output.replaceAll(stage.folder, '.').replace(/\n$/, '');
  return text === '' ? [] : text.split('\n');
}

class Terminal {
  readonly lines: string[] = [];
  /** How many of them the document has shown. */
  #seen = 0;
  readonly #child: ChildProcess;

  constructor(command: string, stage: Stage, bin: string) {
    this.#child = shell(`exec ${command}`, stage, bin);
    if (this.#child.stdout === null) throw new Error('expected a terminal with an output');
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.lines.push(line));
  }

  /** Waits until the line has come, after those that were shown before. */
  async show(shown: string): Promise<void> {
    const found = await eventually(
      `the engine to say ${shown}, it said\n${this.lines.slice(this.#seen).join('\n')}\nso far, and`,
      () => {
        const at = this.lines.findIndex((line, index) => index >= this.#seen && matches(shown, line));
        return at === -1 ? undefined : at + 1;
      },
      60_000,
    );
    this.#seen = found;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    await gone;
  }
}

async function provide({ programs }: Stage, bin: string): Promise<void> {
  await mkdir(bin, { recursive: true });
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(bin, name), 0o755);
  }
}

/** Does what the document says, in its order. Rejects when an edit does not apply, or the engine does not say what is shown. */
export async function play(text: string, stage: Stage, bin: string): Promise<Played> {
  await provide(stage, bin);
  const lines = text.split('\n');
  const steps = blocksIn(lines).flatMap(stepsOf);
  const differences: Difference[] = [];
  const changes: { readonly at: number; readonly length: number; readonly by: readonly string[] }[] = [];
  let engine: Terminal | undefined;
  try {
    for (const step of steps) {
      if (step.kind === 'edit') {
        const said = await type('git apply --unidiff-zero --recount -', step.patch, stage, bin);
        if (said.length > 0) throw new Error(`expected the edit in line ${step.at} to apply, got\n${said.join('\n')}`);
      } else if (step.kind === 'engine') {
        if (step.command !== undefined) engine = new Terminal(step.command, stage, bin);
        for (const shown of step.shown) await engine?.show(shown);
      } else {
        const got = await type(step.command, '', stage, bin);
        if (same(got, step.shown)) continue;
        changes.push({ at: step.at + 1, length: step.shown.length, by: got });
        differences.push({
          line: step.at + 1,
          command: step.command,
          shown: step.shown.join('\n'),
          got: got.join('\n'),
        });
      }
    }
  } finally {
    await engine?.close();
  }
  for (const { at, length, by } of changes.toReversed()) lines.splice(at, length, ...by);
  return { differences, text: lines.join('\n') };
}
