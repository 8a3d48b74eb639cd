/** A plan as people read it: on a terminal, and as a comment in Markdown. */
import type { FieldChange } from '../core/diff.ts';
import type { EventTypePlan, LiveWork, Plan, RouteAction, RoutePlan } from '../operations/index.ts';
import { inert, paint, plural, shorten } from './output.ts';

/** Added and switched on are green, and so on, as in every diff. */
const signs: Readonly<
  Record<RouteAction, { readonly sign: string; readonly colour: 'green' | 'yellow' | 'cyan' | 'red' }>
> = {
  add: { sign: '+', colour: 'green' },
  enable: { sign: '+', colour: 'green' },
  change: { sign: '~', colour: 'yellow' },
  rename: { sign: '>', colour: 'cyan' },
  disable: { sign: '-', colour: 'red' },
  remove: { sign: '-', colour: 'red' },
};

const titles: Readonly<Record<RouteAction, string>> = {
  add: 'added',
  enable: 'enabled',
  change: 'changed',
  rename: 'renamed',
  disable: 'disabled',
  remove: 'removed',
};

/** A value of a field in one line; a field that is not there is `–`. */
const valueText = (value: unknown): string => (value === undefined ? '–' : inert(JSON.stringify(value)));

/** Where the first difference begins; the length of the shorter one when the other goes on behind it. */
function firstDifference(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at += 1) if (one[at] !== other[at]) return at;
  return length;
}

/** Both values in at most `length` characters each, cut so that what differs is seen: `…/v1/orders" → …/v2/orders"`. */
function changeTexts({ before, after }: FieldChange, length: number): readonly [string, string] {
  const [old, now] = [valueText(before), valueText(after)];
  const isLong = Math.max(old.length, now.length) > length;
  // Half of the room is for what stands in front of the difference, so that people find the place.
  const start = isLong ? Math.max(0, firstDifference(old, now) - Math.floor(length / 2)) : 0;
  const cut = (text: string): string => shorten(start < 2 ? text : `…${text.slice(start + 1)}`, length);
  return [cut(old), cut(now)];
}

function workText(live: LiveWork): string {
  const { waiting, pending, retrying, due, dead, exact, held } = live;
  const parts = [
    `${exact ? '' : '≥ '}${plural(waiting, 'waiting').replace(/s$/, '')}${held && waiting > 0 ? ' (held)' : ''}`,
    `${pending} pending`,
    `${retrying} retrying`,
    ...(due > 0 ? [`${due} due`] : []),
    `${dead} dead`,
  ];
  return parts.join(', ');
}

const groupTexts: Readonly<Record<RoutePlan['consumerGroup'], string>> = {
  create: 'created',
  resume: 'goes on',
  keep: 'kept',
  rename: 'renamed',
  rest: 'rests',
  detach: 'detached',
  none: 'none',
};
const handlerTexts = { create: 'made', replace: 'replaced', close: 'closed', none: 'none' } as const;
const breakerTexts = { join: 'joined', keep: 'kept', reset: 'another one', leave: 'left', none: 'none' } as const;

function machineryText({ consumerGroup, handler, breaker, circuits }: RoutePlan): string {
  const states = [...new Set(circuits.map(({ state }) => state))].sort().join(', ');
  const state = breaker === 'none' || states === '' ? '' : ` (${states})`;
  return `group ${groupTexts[consumerGroup]}, handler ${handlerTexts[handler]}, breaker ${breakerTexts[breaker]}${state}`;
}

const headOf = ({ group, action, previousGroup }: RoutePlan): string => {
  const was = previousGroup === undefined ? '' : ` (was ${previousGroup})`;
  const switched = action === 'enable' || action === 'disable' ? ` ${titles[action]}` : '';
  return `${group}${was}${switched}`;
};

const placeText = ({ place }: RoutePlan): string => `${place.file}:${place.line}`;

/** `path  before → after`, with the paths in one column. */
function fieldLines(fields: readonly FieldChange[], indent: string): string[] {
  const width = Math.min(40, Math.max(0, ...fields.map(({ path }) => path.length)));
  return fields.map((field) => {
    const [old, now] = changeTexts(field, 60);
    return `${indent}${inert(field.path).padEnd(width)}  ${paint('red', old)} → ${paint('green', now)}`;
  });
}

function routeLines(route: RoutePlan): string[] {
  const { sign, colour } = signs[route.action];
  return [
    `${paint(colour, `${sign} ${inert(headOf(route))}`)}  ${paint('dim', inert(placeText(route)))}`,
    ...fieldLines(route.fields, '    '),
    `    ${paint('dim', machineryText(route))}`,
    ...(route.live === undefined ? [] : [`    now: ${workText(route.live)}`]),
    ...route.effects.map((effect) => `    · ${inert(effect)}`),
  ];
}

const partSigns = { add: signs.add, change: signs.change, remove: signs.remove } as const;

function partLines(
  title: string,
  parts: readonly (Omit<EventTypePlan, 'type'> & { readonly name: string })[],
): string[] {
  if (parts.length === 0) return [];
  const lines = parts.flatMap(({ name, action, fields }) => {
    const { sign, colour } = partSigns[action];
    return [paint(colour, `${sign} ${inert(name)}`), ...(action === 'change' ? fieldLines(fields, '    ') : [])];
  });
  return ['', paint('bold', title), ...lines];
}

function settingLines(settings: readonly FieldChange[]): string[] {
  if (settings.length === 0) return [];
  return ['', paint('bold', 'Settings, taken at the next start'), ...fieldLines(settings, paint('yellow', '~ '))];
}

/** `1 added, 2 changed, 5 unchanged`: what there is none of is left out, except at the end. */
function summaryText({ summary, eventTypes, pipelines, settings }: Plan): string {
  const { added, changed, renamed, removed, unchanged } = summary;
  const routes = Object.entries({ added, changed, renamed, removed }).filter(([, number]) => number > 0);
  const more = [
    ...(eventTypes.length > 0 ? [plural(eventTypes.length, 'event type')] : []),
    ...(pipelines.length > 0 ? [`${plural(pipelines.length, 'description')} of pipelines`] : []),
    ...(settings.length > 0 ? [plural(settings.length, 'setting')] : []),
  ];
  const told = routes.map(([name, number]) => `${number} ${name}`);
  return [`routes: ${[...told, `${unchanged} unchanged`].join(', ')}`, ...more].join('; ');
}

const sidesText = ({ from, to }: Plan): string => `${from.name} → ${to.name}`;

const unread = 'what was there before cannot be read: everything is compared with nothing, as if all were new';

/** The diagnostics in lines of their own; empty when what was there before can be read. */
const problemLines = ({ fromProblems = [] }: Plan): string[] =>
  fromProblems.flatMap((problem) => ['', ...problem.split('\n').map(inert)]);

export function planText(plan: Plan): string {
  const problems = problemLines(plan);
  const head = problems.length === 0 ? [] : [paint('yellow', unread), ...problems, ''];
  if (!plan.changes) {
    return [...head, `${paint('green', 'no changes')}: ${inert(sidesText(plan))}, ${summaryText(plan)}`].join('\n');
  }
  return [
    ...head,
    paint('bold', inert(sidesText(plan))),
    ...plan.routes.flatMap((route) => ['', ...routeLines(route)]),
    ...partLines(
      'Event types',
      plan.eventTypes.map(({ type, ...part }) => ({ ...part, name: type })),
    ),
    ...partLines(
      'Pipelines',
      plan.pipelines.map(({ pipeline, ...part }) => ({ ...part, name: pipeline })),
    ),
    ...settingLines(plan.settings),
    '',
    summaryText(plan),
  ].join('\n');
}

// ── Markdown ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Nothing in it means anything: neither to Markdown, nor to HTML, nor to a table around it. */
function code(text: string): string {
  const line = inert(text).trim() || ' ';
  const fence = '`'.repeat(Math.max(0, ...[...line.matchAll(/`+/g)].map(([ticks]) => ticks.length)) + 1);
  const space = line.startsWith('`') || line.endsWith('`') ? ' ' : '';
  return `${fence}${space}${line.replaceAll('|', '\\|')}${space}${fence}`;
}

/** Prose of ours with names of others in it. */
const prose = (text: string): string => inert(text).replace(/[\\`*_[\]<>#|&@~]/g, (mark) => `&#${mark.charCodeAt(0)};`);

const fieldTable = (fields: readonly FieldChange[]): string[] =>
  fields.length === 0
    ? []
    : [
        '| field | before | after |',
        '|---|---|---|',
        ...fields.map((field) => {
          const [old, now] = changeTexts(field, 200);
          return `| ${code(field.path)} | ${code(old)} | ${code(now)} |`;
        }),
        '',
      ];

/** Signs that mean nothing at the start of a line. */
const headings: Readonly<Record<RouteAction, string>> = {
  add: '➕',
  enable: '➕',
  change: '✏️',
  rename: '➡️',
  disable: '➖',
  remove: '➖',
};

function routeSection(route: RoutePlan): string[] {
  const was = route.previousGroup === undefined ? '' : `, was ${code(route.previousGroup)}`;
  return [
    `#### ${headings[route.action]} ${code(route.group)} ${titles[route.action]}${was}`,
    '',
    `${code(placeText(route))}: ${machineryText(route)}${route.live === undefined ? '' : `. Now ${workText(route.live)}`}`,
    '',
    ...fieldTable(route.fields),
    ...route.effects.map((effect) => `- ${prose(effect)}`),
    '',
  ];
}

function partSection(
  title: string,
  parts: readonly (Omit<EventTypePlan, 'type'> & { readonly name: string })[],
): string[] {
  if (parts.length === 0) return [];
  const lines = parts.map(({ name, action, fields }) => {
    const changes = fields.map((field) => {
      const [old, now] = changeTexts(field, 80);
      return `${code(field.path)} ${code(old)} → ${code(now)}`;
    });
    return `- ${code(name)} ${titles[action]}${action === 'change' ? `: ${changes.join(', ')}` : ''}`;
  });
  return [`#### ${title}`, '', ...lines, ''];
}

/** Lines that mean nothing to Markdown. */
function codeBlock(lines: readonly string[]): string[] {
  const ticks = lines.flatMap((line) => [...line.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(Math.max(2, ...ticks) + 1);
  return [`${fence}text`, ...lines, fence];
}

function problemSection(plan: Plan): string[] {
  const [, ...lines] = problemLines(plan);
  return lines.length === 0 ? [] : [`⚠️ **${unread}**`, '', ...codeBlock(lines), ''];
}

/** For a comment on a pull request. */
export function planMarkdown(plan: Plan): string {
  const head = [
    `### EventFlow plan: ${plan.changes ? prose(summaryText(plan)) : 'no changes'}`,
    '',
    `${code(plan.from.name)} → ${code(plan.to.name)}`,
    '',
  ];
  return [
    ...head,
    ...problemSection(plan),
    ...plan.routes.flatMap(routeSection),
    ...partSection(
      'Event types',
      plan.eventTypes.map(({ type, ...part }) => ({ ...part, name: type })),
    ),
    ...partSection(
      'Pipelines',
      plan.pipelines.map(({ pipeline, ...part }) => ({ ...part, name: pipeline })),
    ),
    ...(plan.settings.length === 0 ? [] : ['#### Settings, taken at the next start', '', ...fieldTable(plan.settings)]),
  ]
    .join('\n')
    .trimEnd();
}
