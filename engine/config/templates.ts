/** The templates of options: parsed at load, so that a slip is told at its own column and not by a dead letter. */
import { findTemplateFault, type TemplateFault } from '../plugins/templates.ts';
import { pathOf } from './check.ts';
import type { Diagnostic } from './diagnostic.ts';
import type { OpenFile } from './pipeline-file.ts';
import { placeWithin } from './scalar.ts';
import { diagnose } from './source.ts';
import { suggestion } from './suggest.ts';
import { nodeAt } from './tree.ts';

function helpFor({ unknown }: TemplateFault): string | undefined {
  if (unknown === undefined) return undefined;
  return suggestion(unknown.name, unknown.known, `known ${unknown.kind}s`);
}

const messageOf = ({ message, unknown }: TemplateFault): string =>
  unknown === undefined
    ? `expected a Liquid template: ${message}`
    : `expected a ${unknown.kind} of Liquid that there is, got ${unknown.name}`;

/** Of a file of any shape. */
export function checkTemplates(file: OpenFile): Diagnostic[] {
  return [...file.templates].flatMap((pointer): Diagnostic[] => {
    const path = pathOf(file.tree, pointer);
    const leaf = nodeAt(file.tree, path);
    if (leaf?.kind !== 'leaf' || typeof leaf.value !== 'string' || leaf.broken) return [];
    const fault = findTemplateFault(leaf.value);
    if (fault === undefined) return [];
    if (leaf.references.length > 0) {
      const message = `expected a Liquid template, and the value of ${leaf.references.join(' and ')} makes it none`;
      return [diagnose(file.source, leaf.place, 'EF2024', path, message)];
    }
    const place = placeWithin(file.source.text, leaf.origin, leaf.value, fault) ?? leaf.origin;
    return [
      diagnose(file.source, place, 'EF2024', path, messageOf(fault), {
        help: helpFor(fault),
      }),
    ];
  });
}
