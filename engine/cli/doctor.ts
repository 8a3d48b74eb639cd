/** `eventflow doctor`: looks at everything that an engine needs, and says what is wrong and what to do about it. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { Settings } from '../config/index.ts';
import type { Generation } from '../core/route.ts';
import { EventFlowError } from '../errors.ts';
import type { Finding } from './doctor-finding.ts';
import { exit, Failure } from './exit.ts';
import { busOption, jsonOption, pipelinesOption, type SettingsFlags, withSettings } from './options.ts';
import { paint, plural, print, printJson } from './output.ts';

interface DoctorFlags extends SettingsFlags {
  readonly json?: boolean;
}

const colours = { ok: 'green', warning: 'yellow', problem: 'red' } as const;

function findingText({ check, status, got, expected, advice }: Finding, width: number): string {
  const indent = ' '.repeat(width + 11);
  return [
    `${paint(colours[status], status.padEnd(7))}  ${check.padEnd(width)}  ${got}`,
    ...(expected === undefined ? [] : [`${indent}expected ${expected}`]),
    ...(advice === undefined ? [] : [`${indent}${paint('bold', advice)}`]),
  ].join('\n');
}

const reportText = (findings: readonly Finding[]): string => {
  const width = Math.max(...findings.map(({ check }) => check.length));
  return findings.map((finding) => findingText(finding, width)).join('\n');
};

/** Findings about the store; `reached` is false when nobody answers there. */
async function lookAtStore(
  settings: Settings,
  generation: Generation | undefined,
): Promise<{ readonly findings: readonly Finding[]; readonly reached: boolean }> {
  const { checkDisk, checkStore } = await import('./doctor-store.ts');
  const { busFile, openSettingsBus, owningEngine } = await import('./target.ts');
  const { ok, problem } = await import('./doctor-finding.ts');
  const file = busFile(settings.bus);
  const disk = file === undefined ? [] : [await checkDisk(file)];
  const owner = await owningEngine(settings);
  if (owner !== undefined) {
    return { findings: [...disk, ok('reach', `process ${owner.pid} owns ${file} and runs on it`)], reached: true };
  }
  // Looking into a bus does not make one.
  if (file !== undefined && !existsSync(file)) {
    return { findings: [...disk, ok('reach', `${file} is made by the first start`)], reached: true };
  }
  try {
    const bus = await openSettingsBus(settings);
    try {
      return { findings: [...disk, ...(await checkStore(bus, generation))], reached: true };
    } finally {
      await bus.close();
    }
  } catch (error) {
    const { code, message } = error as Partial<EventFlowError> & Error;
    const reached = !(error instanceof EventFlowError) || !unreachable.has(error.code);
    const advice = reached ? `\`eventflow explain ${code ?? 'EF5001'}\`` : 'start it, or name another with --bus';
    return { findings: [...disk, problem('reach', message, `a bus that answers`, advice)], reached };
  }
}

const unreachable: ReadonlySet<string> = new Set(['EF5001', 'EF5012', 'EF5014']);

async function doctor(flags: DoctorFlags): Promise<void> {
  const { readSettings } = await import('./settings.ts');
  const settings = await readSettings(flags);
  const { checkListeners, checkNode } = await import('./doctor-host.ts');
  const { checkFiles } = await import('./doctor-files.ts');
  const files = await checkFiles(settings);
  const store = await lookAtStore(settings, files.generation);
  const findings = [
    checkNode(process.versions.node),
    ...files.findings,
    ...(await checkListeners(settings)),
    ...store.findings,
  ];
  const count = (status: Finding['status']): number => findings.filter((finding) => finding.status === status).length;
  const [problems, warnings] = [count('problem'), count('warning')];
  if (flags.json) printJson({ problems, warnings, findings });
  else print(reportText(findings));
  if (!store.reached) throw new Failure(exit.unreachable, 'the bus does not answer');
  const summary = `${plural(problems, 'problem')}, ${plural(warnings, 'warning')}`;
  if (problems > 0) throw new Failure(exit.failed, summary);
}

export function define(program: Command): void {
  withSettings(
    program
      .command('doctor')
      .description('looks for what is wrong with the bus, the files and this machine; 1 when there is a problem')
      .addOption(busOption())
      .addOption(pipelinesOption()),
  )
    .addOption(jsonOption())
    .action(doctor);
}
