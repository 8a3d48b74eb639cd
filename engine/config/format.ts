/**
 * One way to write a file: the order of the schema, two spaces, no needless blanks; comments, anchors, quotes and
 * references stay as they are. The result means the same, or nothing is changed: both texts are read and compared.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  CST,
  type Document,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  type Pair,
  parseDocument,
  type ScalarTag,
  visit,
  YAMLMap,
  YAMLSeq,
} from 'yaml';
import { readPipelineSchema, readSettingsSchema, readTestSchema } from './compose.ts';
import { isSettingsFile } from './files.ts';
import { parse } from './parser.ts';
import type { TextFault } from './read-tree.ts';
import { plain } from './tree.ts';

type Schema = { readonly [key: string]: unknown };

/** Characters of a flow collection, without blanks and commas, from which on it is written as a block. */
const widestFlow = 90;
/** Where folded texts (`>`) are folded. */
const foldAt = 100;

/** The schema of a field, through references and choices; undefined where it says nothing about fields. */
function fieldSchema(schema: Schema | undefined, root: Schema, key: string | undefined): Schema | undefined {
  const from = key === undefined ? schema?.['items'] : (schema?.['properties'] as Schema | undefined)?.[key];
  return follow((from ?? schema?.['additionalProperties']) as Schema | undefined, root);
}

function follow(schema: Schema | undefined, root: Schema): Schema | undefined {
  if (typeof schema !== 'object') return undefined;
  const target = typeof schema['$ref'] === 'string' ? schema['$ref'].split('/').at(-1) : undefined;
  if (target !== undefined) return follow((root['$defs'] as Record<string, Schema>)[target], root);
  const choices = [schema['anyOf'], schema['oneOf']].flatMap((list) => (list as Schema[] | undefined) ?? []);
  const withFields = choices.map((one) => follow(one, root)).find((one) => one?.['properties'] !== undefined);
  return schema['properties'] === undefined ? (withFields ?? schema) : schema;
}

const keyOf = (pair: Pair): string => (isScalar(pair.key) ? String(pair.key.value) : '');

/** `<<` and what is free for anchors come first, known fields in the schema's order, and the others as they stood. */
function rankOf(key: string, order: readonly string[]): number {
  if (key === '<<') return -1;
  const at = order.indexOf(key);
  return at === -1 ? order.length : at;
}

/** `x-` fields hold anchors, so they stand before the first field that may use them. */
function rootOrder(order: readonly string[]): readonly string[] {
  const at = order.indexOf('defaults');
  return at === -1 ? order : [...order.slice(0, at), 'x-', ...order.slice(at)];
}

function sortFields(map: YAMLMap, schema: Schema | undefined, isRoot: boolean): void {
  const properties = Object.keys((schema?.['properties'] ?? {}) as object);
  if (properties.length === 0) return;
  const order = isRoot ? rootOrder(properties) : properties;
  const rank = (pair: Pair): number => rankOf(isRoot ? keyOf(pair).replace(/^x-.*/, 'x-') : keyOf(pair), order);
  map.items.sort((a, b) => rank(a) - rank(b));
}

function sortAll(node: unknown, schema: Schema | undefined, root: Schema, isRoot = false): void {
  if (isSeq(node)) for (const item of node.items) sortAll(item, fieldSchema(schema, root, undefined), root);
  if (!isMap(node)) return;
  sortFields(node, schema, isRoot);
  for (const pair of node.items) sortAll(pair.value, fieldSchema(schema, root, keyOf(pair)), root);
}

/** Blanks and commas are what formatting changes, so they do not count. */
const lengthOf = (text: string): number => text.replace(/[\s,]+/g, '').length;

/** Long lists and maps in brackets become blocks. */
function breakLongFlows(document: Document, text: string): void {
  visit(document, {
    Collection(_, node) {
      const [start, end] = node.range ?? [0, 0];
      if (node.flow === true && lengthOf(text.slice(start, end)) > widestFlow) node.flow = false;
    },
    Pair(_, pair) {
      if (isCollection(pair.key)) return visit.SKIP;
      return undefined;
    },
  });
}

type Context = { flowCollectionPadding: string; options: { lineWidth?: number } };

/** `{ a: 1 }` and `[1, 2]`. */
function padBraces(document: Document): void {
  visit(document, {
    Map(_, node) {
      node.toString = (context, ...rest) =>
        YAMLMap.prototype.toString.call(
          node,
          { ...(context as Context), flowCollectionPadding: ' ' } as never,
          ...rest,
        );
    },
    Seq(_, node) {
      node.toString = (context, ...rest) =>
        YAMLSeq.prototype.toString.call(node, { ...(context as Context), flowCollectionPadding: '' } as never, ...rest);
    },
  });
}

/** Only texts that are folded already are folded. */
const foldFolded = (tags: readonly unknown[]): never =>
  tags.map((tag) => {
    const text = tag as ScalarTag;
    if (text.tag !== 'tag:yaml.org,2002:str' || text.stringify === undefined) return tag;
    const { stringify } = text;
    return {
      ...text,
      stringify: ((item, context, ...rest) => {
        const lineWidth = item.type === 'BLOCK_FOLDED' ? foldAt : 0;
        return stringify(item, { ...context, options: { ...context.options, lineWidth } }, ...rest);
      }) satisfies ScalarTag['stringify'],
    };
  }) as never;

interface Spaced {
  spaceBefore?: boolean;
  commentBefore?: string | null;
}

/** A blank line in front of the first field or item says nothing. */
function dropLeadingBlanks(document: Document): void {
  visit(document, {
    Collection(key, node, path) {
      const [first] = node.items;
      // What stands in front of a map within a list parts it from the one before.
      const own = isSeq(path.at(-1)) && key !== 0 ? undefined : node;
      for (const one of [own, isMap(node) ? (first as Pair | undefined)?.key : first] as (Spaced | undefined)[]) {
        if (one?.spaceBefore === true) one.spaceBefore = false;
      }
    },
  });
}

const firstKey = ({ contents }: Document): Spaced | undefined =>
  isMap(contents) ? (contents.items[0]?.key as Spaced | undefined) : undefined;

/** What stands above the first field is about the file, and stays there when another field comes first. */
function keepHeader(document: Document, before: Spaced | undefined): void {
  const now = firstKey(document);
  if (now === undefined || before === now || typeof before?.commentBefore !== 'string') return;
  now.commentBefore = [before.commentBefore, now.commentBefore].filter(Boolean).join('\n');
  before.commentBefore = null;
}

function write(text: string, schema: Schema | undefined): string {
  const document = parseDocument(text, { version: '1.2', uniqueKeys: false, customTags: foldFolded as never });
  const first = firstKey(document);
  if (schema !== undefined) sortAll(document.contents, follow(schema, schema), schema, true);
  keepHeader(document, first);
  breakLongFlows(document, text);
  dropLeadingBlanks(document);
  padBraces(document);
  return document.toString({ lineWidth: 0, indent: 2, indentSeq: true });
}

/** Every comment, in no order. */
const commentsOf = (text: string): string[] =>
  [...new Lexer().lex(text)]
    .filter((token) => CST.tokenType(token) === 'comment')
    .map((token) => token.trim())
    .sort();

/** Whether two texts say the same, to the engine and to people. */
async function isSame(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([parse(one), parse(other)]);
  if (a.tree === undefined || b.tree === undefined || b.faults.length > 0) return false;
  return isDeepStrictEqual(plain(a.tree), plain(b.tree)) && isDeepStrictEqual(commentsOf(one), commentsOf(other));
}

/** Undefined when an alias would come before its anchor, which the library does not write. */
function tryWrite(text: string, schema: Schema | undefined): string | undefined {
  try {
    return write(text, schema);
  } catch {
    return undefined;
  }
}

/** Until it changes no more; undefined when it never does or means something else. */
async function settle(text: string, schema: Schema | undefined): Promise<string | undefined> {
  let before = text;
  for (let round = 0; round < 4; round++) {
    const after = tryWrite(before, schema);
    if (after === undefined) return undefined;
    if (after === before) return (await isSame(text, after)) ? after : undefined;
    before = after;
  }
  return undefined;
}

export type Formatted =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly faults: readonly TextFault[] };

/** Which order of fields a file has, by its name. */
function schemaOf(name: string): Schema | undefined {
  if (isSettingsFile(name)) return readSettingsSchema();
  return /\.test\.ya?ml$/i.test(name) ? readTestSchema() : readPipelineSchema();
}

/**
 * `name` tells settings and tests from pipelines; faults have their places in the text without its byte order mark. A file whose fields cannot be put in order, because an alias would come
 * before its anchor, keeps its order; one that cannot be written anew without changing what it says stays as it is.
 */
export async function formatText(text: string, name: string): Promise<Formatted> {
  const bare = text.replace(/^\ufeff/, '');
  const { tree, faults } = await parse(bare);
  if (faults.length > 0 || tree === undefined) return { ok: false, faults };
  const unix = bare.replaceAll('\r\n', '\n');
  const formatted = (await settle(unix, schemaOf(name))) ?? (await settle(unix, undefined)) ?? unix;
  return { ok: true, text: text.includes('\r\n') ? formatted.replaceAll('\n', '\r\n') : formatted };
}
