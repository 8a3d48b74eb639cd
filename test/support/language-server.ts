/** The YAML language server that editors run, as a child on stdio, and what an author sees of it. */
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { endsWithUs } from './children.ts';
import { eventually } from './eventually.ts';

/** Lines and characters from 0, as the protocol counts them. */
export interface EditorPlace {
  readonly line: number;
  readonly character: number;
}

export interface EditorDiagnostic {
  readonly message: string;
  readonly range: { readonly start: EditorPlace; readonly end: EditorPlace };
}

export interface Editor {
  /** What is underlined in a new file of this name and text. */
  diagnose(name: string, text: string): Promise<readonly EditorDiagnostic[]>;
  /** What is offered where `|` stands in the text: labels, and what comes into the file. */
  offers(name: string, text: string): Promise<ReadonlyMap<string, string>>;
  /** The labels alone. */
  complete(name: string, text: string): Promise<readonly string[]>;
  /** What is shown over the character behind `|`; empty when nothing is. */
  hover(name: string, text: string): Promise<string>;
  close(): Promise<void>;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

const server = join(
  dirname(fileURLToPath(import.meta.resolve('yaml-language-server/package.json'))),
  'bin/yaml-language-server',
);

/** A server that starts on a busy machine takes its time, ms. */
const patience = 60_000;

/** Cuts `Content-Length` frames out of what comes in pieces. */
function frames(take: (message: Message) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const end = rest.indexOf('\r\n\r\n');
      const length = Number(/Content-Length: (\d+)/i.exec(rest.toString('latin1', 0, Math.max(end, 0)))?.[1]);
      if (end === -1 || rest.length < end + 4 + length) return;
      take(JSON.parse(rest.toString('utf8', end + 4, end + 4 + length)) as Message);
      rest = rest.subarray(end + 4 + length);
    }
  };
}

/** `settings` are what the server asks for, by section. */
function connect(folder: string, settings: Readonly<Record<string, unknown>>) {
  const child = spawn(process.execPath, [server, '--stdio'], { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] });
  endsWithUs(child);
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  const diagnostics = new Map<string, readonly EditorDiagnostic[]>();
  let last = 0;
  const post = (message: object): void => {
    const body = JSON.stringify({ jsonrpc: '2.0', ...message });
    child.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  };
  const answer = ({ id, method, params }: Message): void => {
    if (method !== 'workspace/configuration') return post({ id, result: null });
    const { items } = params as { readonly items: readonly { readonly section: string }[] };
    post({ id, result: items.map(({ section }) => settings[section] ?? null) });
  };
  const take = (message: Message): void => {
    if (message.method === 'textDocument/publishDiagnostics') {
      const { uri, diagnostics: found } = message.params as { uri: string; diagnostics: EditorDiagnostic[] };
      diagnostics.set(uri, found);
    }
    if (message.method !== undefined) return message.id === undefined ? undefined : answer(message);
    const asked = waiting.get(message.id ?? -1);
    waiting.delete(message.id ?? -1);
    if (message.error === undefined) asked?.resolve(message.result);
    else asked?.reject(new Error(message.error.message));
  };
  child.stdout.on('data', frames(take));
  const request = <T>(method: string, params: unknown): Promise<T> =>
    new Promise((resolve, reject) => {
      waiting.set(++last, { resolve: resolve as (value: unknown) => void, reject });
      post({ id: last, method, params });
    });
  return { child, diagnostics, request, notify: (method: string, params: unknown) => post({ method, params }) };
}

/** The text without its `|`, and where that stood. */
function marked(text: string): { readonly text: string; readonly position: EditorPlace } {
  const before = text.slice(0, text.indexOf('|')).split('\n');
  const position = { line: before.length - 1, character: before.at(-1)?.length ?? 0 };
  return { text: text.replace('|', ''), position };
}

/** `schemas` as VS Code knows them from `yaml.schemas`: file → globs, both relative to `folder`. */
export async function openEditor(
  folder: string,
  schemas: Readonly<Record<string, string | readonly string[]>> = {},
): Promise<Editor> {
  const yaml = {
    ...{ validate: true, hover: true, completion: true, schemas },
    schemaStore: { enable: false },
    kubernetesCRDStore: { enable: false },
  };
  const { child, diagnostics, request, notify } = connect(folder, { yaml });
  const root = pathToFileURL(folder).href;
  const workspaceFolders = [{ uri: root, name: 'workspace' }];
  await request('initialize', { processId: process.pid, rootUri: root, workspaceFolders, capabilities: {} });
  notify('initialized', {});
  notify('workspace/didChangeConfiguration', { settings: null });
  let version = 0;
  /** Opens, does, closes: each text is a file of its own. */
  const show = async <T>(name: string, text: string, look: (uri: string) => Promise<T>): Promise<T> => {
    const uri = pathToFileURL(join(folder, name)).href;
    notify('textDocument/didOpen', { textDocument: { uri, languageId: 'yaml', version: ++version, text } });
    const found = await look(uri);
    await eventually(`diagnostics of ${name}`, () => diagnostics.has(uri), patience);
    diagnostics.delete(uri);
    notify('textDocument/didClose', { textDocument: { uri } });
    // The last word on a file is that nothing is wrong with it.
    await eventually(`the end of ${name}`, () => diagnostics.has(uri), patience);
    diagnostics.delete(uri);
    return found;
  };
  const offers = (name: string, withMark: string): Promise<ReadonlyMap<string, string>> => {
    const { text, position } = marked(withMark);
    return show(name, text, async (uri) => {
      type Item = {
        readonly label: string;
        readonly insertText?: string;
        readonly textEdit?: { readonly newText: string };
      };
      const { items } = await request<{ readonly items: readonly Item[] }>('textDocument/completion', {
        textDocument: { uri },
        position,
      });
      return new Map(items.map(({ label, insertText, textEdit }) => [label, textEdit?.newText ?? insertText ?? label]));
    });
  };
  return {
    diagnose: (name, text) =>
      show(name, text, (uri) => eventually(`diagnostics of ${name}`, () => diagnostics.get(uri), patience)),
    offers,
    complete: async (name, text) => [...(await offers(name, text)).keys()],
    hover: (name, withMark) => {
      const { text, position } = marked(withMark);
      return show(name, text, async (uri) => {
        type Hover = { readonly contents: { readonly value: string } } | null;
        const found = await request<Hover>('textDocument/hover', { textDocument: { uri }, position });
        return found?.contents.value ?? '';
      });
    },
    close: async () => {
      await request('shutdown', null);
      const gone = new Promise((resolve) => child.once('exit', resolve));
      notify('exit', null);
      await gone;
    },
  };
}
