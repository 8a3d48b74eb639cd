/**
 * A handler's options as it gets them for one event: the texts that its schema marks with `x-template` are rendered, and
 * escaped as `x-escape` says. What a template cannot find fails the attempt, as it does in the plugin.
 */
import type { JsonSchema } from '../config/validator.ts';
import type { Template, Templates } from '../plugin.ts';

type Scope = Readonly<Record<string, unknown>>;
type Render = (scope: Scope) => unknown;

const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

type Escape = 'html' | 'url' | 'none';

const escapeOf = ({ 'x-escape': mode }: JsonSchema): Escape => (mode === 'html' || mode === 'url' ? mode : 'none');

/** Leads from a schema to those of its parts; references within the schema are followed. */
class Compiler {
  readonly #root: JsonSchema;
  readonly #templates: Templates;

  constructor(root: JsonSchema, templates: Templates) {
    this.#root = root;
    this.#templates = templates;
  }

  /** Every schema that says something about the value at `schema`. */
  #said(schema: unknown): JsonSchema[] {
    if (!isSchema(schema)) return [];
    const target = typeof schema['$ref'] === 'string' ? this.#follow(schema['$ref']) : undefined;
    const branches = ['allOf', 'anyOf', 'oneOf'].flatMap((word) => (schema[word] as unknown[] | undefined) ?? []);
    return [schema, ...[target, ...branches, schema['then'], schema['else']].flatMap((inner) => this.#said(inner))];
  }

  #follow(reference: string): unknown {
    return reference
      .replace(/^#\/?/, '')
      .split('/')
      .filter((step) => step !== '')
      .reduce<unknown>((at, step) => {
        const key = decodeURIComponent(step).replace(/~1/g, '/').replace(/~0/g, '~');
        return isSchema(at) ? at[key] : undefined;
      }, this.#root);
  }

  value(value: unknown, schema: unknown): Render {
    return this.#value(value, this.#said(schema));
  }

  #value(value: unknown, schemas: readonly JsonSchema[]): Render {
    if (typeof value === 'string') return this.#text(value, schemas);
    if (Array.isArray(value)) {
      const items = value.map((item) =>
        this.#value(
          item,
          schemas.flatMap((schema) => this.#said(schema['items'])),
        ),
      );
      return (scope) => items.map((render) => render(scope));
    }
    if (typeof value !== 'object' || value === null) return () => value;
    const fields = Object.entries(value).map(([key, inner]) => {
      const own = schemas.flatMap(({ properties, additionalProperties }) =>
        this.#said((isSchema(properties) ? properties[key] : undefined) ?? additionalProperties),
      );
      return [key, this.#value(inner, own)] as const;
    });
    return (scope) => Object.fromEntries(fields.map(([key, render]) => [key, render(scope)]));
  }

  #text(text: string, schemas: readonly JsonSchema[]): Render {
    const marked = schemas.filter((schema) => schema['x-template'] === true);
    if (marked.length === 0) return () => text;
    const mode = schemas.map(escapeOf).find((one) => one !== 'none') ?? 'none';
    const template: Template = this.#templates.compile(text, { escape: mode });
    return (scope) => template.render(scope);
  }
}

/** Throws when a template is not Liquid; what is returned throws permanent errors, as templates do. */
export const compileOptions = (options: unknown, schema: JsonSchema, templates: Templates): Render =>
  new Compiler(schema, templates).value(options, schema);
