/**
 * Liquid for handler options: strict about variables and filters, blind to prototypes, without files, bounded in time
 * and memory. What a template can reach is the scope that it is given, and nothing else.
 */
import { Liquid, type Template as LiquidTemplate } from 'liquidjs';
import { permanent, type Template, type Templates } from '../plugin.ts';

type Escape = 'html' | 'url' | 'none';

const limits = {
  /** Characters of a template. */
  parseLimit: 256 * 1024,
  /** ms. Wide, since a busy machine may stop us in the middle; it is there against endless loops. */
  renderLimit: 1_000,
  /** Characters and array items made while rendering. */
  memoryLimit: 2_000_000,
};
const maxOutput = 1024 * 1024;

function plainText(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number | boolean);
}

const outputEscapes = {
  html: 'escape',
  url: (value: unknown) => encodeURIComponent(plainText(value)),
} as const;

/** These read other templates from files: a route says all it does in its own file. */
const fileTags = ['include', 'render', 'layout', 'block'];

function makeEngine(mode: Escape): Liquid {
  const engine = new Liquid({
    ...limits,
    strictVariables: true,
    strictFilters: true,
    lenientIf: true,
    ownPropertyOnly: true,
    templates: {},
    timezoneOffset: 'UTC',
    ...(mode === 'none' ? {} : { outputEscape: outputEscapes[mode] }),
  });
  for (const tag of fileTags) delete engine.tags[tag];
  return engine;
}

/** What liquidjs appends to its messages: `, line:1, col:4`. */
const place = /, line:(\d+), col:(\d+)$/;

const at = (message: string): string =>
  message.replace(place, (_, line: string, column: string) => ` (line ${line}, column ${column} of the template)`);

function explain(error: unknown): Error {
  const { message, originalError } = error as Error & { originalError?: { variableName?: string } };
  const missing = originalError?.variableName;
  if (missing === undefined) return new Error(`the template cannot be rendered: ${at(message)}`, { cause: error });
  const where = place.exec(message);
  const position = where === null ? '' : ` (line ${where[1]}, column ${where[2]} of the template)`;
  return new Error(
    `expected the event to have ${missing}, got nothing${position}: correct the event, or write {{ ${missing} | default: "" }}`,
    { cause: error },
  );
}

/** A template that ran into the time limit may have met a busy machine: that attempt is retried. */
const isOverTime = (error: unknown): boolean => /render limit exceeded/.test((error as Error).message);

class CompiledTemplate implements Template {
  #engine: Liquid;
  #parsed: LiquidTemplate[];

  constructor(engine: Liquid, parsed: LiquidTemplate[]) {
    this.#engine = engine;
    this.#parsed = parsed;
  }

  render(scope: Readonly<Record<string, unknown>>): string {
    const text = this.#run(scope);
    if (text.length <= maxOutput) return text;
    throw permanent(new Error(`expected a template to render at most ${maxOutput} characters, got ${text.length}`));
  }

  #run(scope: object): string {
    try {
      return String(this.#engine.renderSync(this.#parsed, scope));
    } catch (error) {
      throw isOverTime(error) ? explain(error) : permanent(explain(error));
    }
  }
}

/** Most option values hold no Liquid at all: those cost nothing. */
const constant = (text: string): Template => ({ render: () => text });

/** What is wrong with a template, and which part of it (offsets into the source, in UTF-16 units) is to blame. */
export interface TemplateFault {
  readonly message: string;
  readonly start: number;
  readonly end: number;
  /** A name that is unknown, with those that could have been meant. */
  readonly unknown?: { readonly name: string; readonly kind: 'filter' | 'tag'; readonly known: readonly string[] };
}

let checker: Liquid | undefined;

function faultOf(source: string, error: Error & { token?: { begin?: number; end?: number } }): TemplateFault {
  const { begin = 0, end = source.length } = error.token ?? {};
  const message = error.message.replace(place, '');
  const [, kind, name] = /^undefined (filter): (.+)$/.exec(message) ?? /^(tag) "(.+)" not found$/.exec(message) ?? [];
  if (name === undefined) return { message, start: begin, end };
  const within = source.indexOf(name, begin);
  const at = within === -1 || within >= end ? { start: begin, end } : { start: within, end: within + name.length };
  const known = Object.keys((kind === 'filter' ? checker?.filters : checker?.tags) ?? {});
  return { message, ...at, unknown: { name, kind: kind === 'filter' ? 'filter' : 'tag', known } };
}

/** Whether a text can be compiled as a template, without rendering it; undefined when it can. */
export function findTemplateFault(source: string): TemplateFault | undefined {
  if (!/\{[{%]/.test(source)) return undefined;
  checker ??= makeEngine('none');
  try {
    checker.parse(source);
    return undefined;
  } catch (error) {
    return faultOf(source, error as Error);
  }
}

/** One set of templates serves every route; the engines behind it are made on first use. */
export function createTemplates(): Templates {
  const engines: Partial<Record<Escape, Liquid>> = {};
  return {
    compile(source, options) {
      if (!/\{[{%]/.test(source)) return constant(source);
      const mode = options?.escape ?? 'none';
      engines[mode] ??= makeEngine(mode);
      const engine = engines[mode];
      try {
        return new CompiledTemplate(engine, engine.parse(source));
      } catch (error) {
        throw new Error(`the template is not Liquid: ${at((error as Error).message)}`, { cause: error });
      }
    },
  };
}
