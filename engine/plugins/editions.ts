/**
 * Several versions of one plugin in one process, one after the other: Node keeps every module that it has imported under
 * its URL, so a later version is imported under URLs of its own, and what it imports from its own folder with it. Packages
 * that it depends on, and what is loaded by `require`, stay as they were first loaded. The old modules are kept as well:
 * a process that is upgraded every day wants a restart now and then.
 */
import { registerHooks } from 'node:module';
import { sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const tag = 'eventflow-edition';
/** The plugin's folder of each edition. */
const folders: string[] = [];

const editionOf = (url: string | undefined): number | undefined => {
  const number = url?.startsWith('file:') ? new URL(url).searchParams.get(tag) : null;
  return number === null || number === undefined ? undefined : Number(number);
};

function isOwn(url: string, edition: number): boolean {
  if (!url.startsWith('file:')) return false;
  const folder = `${folders[edition]}${sep}`;
  const path = fileURLToPath(url);
  return path.startsWith(folder) && !path.slice(folder.length).split(sep).includes('node_modules');
}

function tagged(url: string, edition: number): string {
  const own = new URL(url);
  own.searchParams.set(tag, String(edition));
  return own.href;
}

/** Once somebody needs it: it sees every import from then on. */
let hooked = false;

function hook(): void {
  if (hooked) return;
  hooked = true;
  registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context);
      const edition = editionOf(context.parentURL);
      if (edition === undefined || !isOwn(resolved.url, edition)) return resolved;
      return { ...resolved, url: tagged(resolved.url, edition) };
    },
  });
}

/** The URL under which `file` can be imported anew. `folder` is the real path of its plugin. */
export function freshUrl(file: string, folder: string): string {
  hook();
  return tagged(pathToFileURL(file).href, folders.push(folder) - 1);
}
