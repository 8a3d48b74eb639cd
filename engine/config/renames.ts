/** `previousId`: a route may take over what another left behind, once, and only when that one has gone. */
import type { Diagnostic, PathStep } from './diagnostic.ts';
import { routePaths, textAt } from './names.ts';
import { atValue, type OpenFile } from './pipeline-file.ts';
import { nodeAt } from './tree.ts';

/** The group that a `previousId` of a pipeline's route means: with a dot, a route of another pipeline. */
export const previousGroupOf = (pipeline: string, previousId: string): string =>
  previousId.includes('.') ? previousId : `${pipeline}.${previousId}`;

interface Named {
  readonly file: OpenFile;
  readonly path: PathStep[];
  readonly group: string;
  readonly previous: string | undefined;
}

const namedRoutes = (file: OpenFile): Named[] =>
  routePaths(file).flatMap((route): Named[] => {
    const [pipeline, id] = [textAt(file, ['name']), textAt(file, [...route, 'id'])];
    if (pipeline === undefined || id === undefined) return [];
    const path = [...route, 'previousId'];
    const previousId = textAt(file, path);
    const previous = previousId === undefined ? undefined : previousGroupOf(pipeline, previousId);
    return [{ file, path, group: `${pipeline}.${id}`, previous }];
  });

function lineOf({ file, path }: Named): string {
  const node = nodeAt(file.tree, path);
  return `line ${node === undefined ? 0 : file.source.at(node.place).line} of ${file.source.file}`;
}

/** Works on files of any shape. */
export function checkRenames(files: readonly OpenFile[]): Diagnostic[] {
  const routes = files.flatMap(namedRoutes);
  const groups = new Set(routes.map(({ group }) => group));
  const takenBy = new Map<string, Named>();
  return routes.flatMap((route): Diagnostic[] => {
    const { file, path, group, previous } = route;
    if (previous === undefined) return [];
    if (groups.has(previous)) {
      const own = previous === group;
      const message = `expected a route that is gone, got ${previous}, which is ${own ? 'this route' : 'still there'}`;
      const help = own
        ? 'write the id that the route had before, or remove previousId'
        : `remove the route ${previous}; or, if every engine has made the rename already, remove previousId`;
      return [atValue(file, path, 'EF2040', message, { help })];
    }
    const earlier = takenBy.get(previous);
    takenBy.set(previous, earlier ?? route);
    if (earlier === undefined) return [];
    const message = `expected a route that no other takes over, got ${previous}, as in ${lineOf(earlier)}`;
    return [atValue(file, path, 'EF2041', message)];
  });
}
