/** Diagnostics as SARIF 2.1.0, the form that code scanning services take. https://docs.oasis-open.org/sarif/sarif/v2.1.0/ */
import { catalogue } from '../errors.ts';
import type { Diagnostic } from './diagnostic.ts';

const schema = 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json';

/** `fullDescription` without the marks of Markdown. */
const plainText = (markdown: string): string => markdown.replace(/[`*]/g, '');

/** One rule for each code that occurs, in the order of the codes. */
const rulesOf = (codes: readonly Diagnostic['code'][]) =>
  codes.map((id) => {
    const { title, help } = catalogue[id];
    return {
      id,
      shortDescription: { text: title },
      fullDescription: { text: plainText(help) },
      help: { text: plainText(help), markdown: help },
      defaultConfiguration: { level: 'error' },
    };
  });

function resultOf(diagnostic: Diagnostic, ruleIndex: number) {
  const { code, severity, file, line, column, endColumn, path, message, help } = diagnostic;
  const region = { startLine: line, startColumn: column, endLine: line, endColumn };
  const uri = file.split('/').map(encodeURIComponent).join('/');
  const text = `${path === '' ? '' : `${path}: `}${message}${help === undefined ? '' : ` (${help})`}`;
  return {
    ruleId: code,
    ruleIndex,
    level: severity,
    message: { text },
    locations: [
      {
        physicalLocation: { artifactLocation: { uri }, region },
        ...(path === '' ? {} : { logicalLocations: [{ fullyQualifiedName: path }] }),
      },
    ],
  };
}

/** One log with one run, ready for JSON.stringify; `version` is that of EventFlow. */
export function toSarif(diagnostics: readonly Diagnostic[], version: string) {
  const codes = [...new Set(diagnostics.map(({ code }) => code))].sort();
  const driver = {
    name: 'EventFlow',
    informationUri: 'https://www.npmjs.com/package/eventflow',
    semanticVersion: version,
    rules: rulesOf(codes),
  };
  const results = diagnostics.map((diagnostic) => resultOf(diagnostic, codes.indexOf(diagnostic.code)));
  return { $schema: schema, version: '2.1.0', runs: [{ tool: { driver }, columnKind: 'utf16CodeUnits', results }] };
}
