/**
 * The plugins that may be loaded, as they lie on disk. Looked at before each reload, so that a new version of one is taken
 * without a restart; a version shows by the text of its package.json, so nothing else is read while that stays the same.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Diagnostic } from '../config/diagnostic.ts';
import { type HandlerManifest, type PluginCatalog, type PluginsPlace, readCatalog } from './manifest.ts';

const manifestsOf = (catalog: PluginCatalog): HandlerManifest[] => [...catalog.handlers.values()].flat();

function textOf(folder: string): string {
  try {
    return readFileSync(join(folder, 'package.json'), 'utf8');
  } catch {
    return '';
  }
}

export class PluginShelf {
  readonly #names: readonly string[] | undefined;
  readonly #folder: string;
  readonly #place: PluginsPlace | undefined;
  /** By folder: the package.json that `next` was made of. */
  #texts: ReadonlyMap<string, string> | undefined;
  #next: PluginCatalog = { handlers: new Map() };
  #catalog = this.#next;

  /** As `readCatalog`. Nothing is read before the first `refresh`. */
  constructor(names: readonly string[] | undefined, folder: string, place: PluginsPlace | undefined) {
    this.#names = names;
    this.#folder = folder;
    this.#place = place;
  }

  /** What the generation in force was made with. */
  get catalog(): PluginCatalog {
    return this.#catalog;
  }

  /** What the next generation is made with. */
  get next(): PluginCatalog {
    return this.#next;
  }

  /** Those in force. */
  versions(): { name: string; version: string }[] {
    const all = manifestsOf(this.#catalog);
    return [...new Map(all.map(({ plugin, version }) => [plugin, { name: plugin, version }])).values()];
  }

  /** Looks for other versions; what is wrong with one leaves `next` as it was. */
  refresh(): readonly Diagnostic[] {
    if (this.#texts !== undefined && [...this.#texts].every(([folder, text]) => textOf(folder) === text)) return [];
    const { catalog, diagnostics } = readCatalog(this.#names, this.#folder, this.#place);
    if (diagnostics.length > 0) return diagnostics;
    this.#next = catalog;
    this.#texts = new Map(manifestsOf(catalog).map(({ folder }) => [folder, textOf(folder)]));
    return [];
  }

  /** The next generation is in force. */
  adopt(): void {
    this.#catalog = this.#next;
  }
}
