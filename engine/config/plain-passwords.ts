/** Passwords in URLs that stand in a file as they are, whatever the field is for. */
import { passwordsIn } from './credentials.ts';
import type { Diagnostic, PathStep } from './diagnostic.ts';
import { diagnose, type Source } from './source.ts';
import type { Tree } from './tree.ts';

export const plainSecret = {
  message: 'expected a reference, got a secret in plain text',
  said: { help: 'write ${NAME} or ${file:/run/secrets/name}, and give the value at run time' },
} as const;

/** Only a guess: the text may be about such an address. What a schema marks as a secret is none, and an error. */
const guessed = { ...plainSecret.said, severity: 'warning' } as const;

export function checkPlainPasswords(source: Source, tree: Tree, path: readonly PathStep[] = []): Diagnostic[] {
  switch (tree.kind) {
    case 'leaf': {
      const isPlain = typeof tree.value === 'string' && tree.references.length === 0;
      if (!isPlain || passwordsIn(tree.value as string).length === 0) return [];
      return [diagnose(source, tree.place, 'EF2022', path, plainSecret.message, guessed)];
    }
    case 'list':
      return tree.items.flatMap((item, at) => checkPlainPasswords(source, item, [...path, at]));
    case 'fields':
      return [...tree.entries].flatMap(([name, { value }]) => checkPlainPasswords(source, value, [...path, name]));
  }
}
