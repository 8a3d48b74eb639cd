/** Holds what the engine says against what the other side of it really got. */
import type { DeadLetter, Verification } from 'eventflow';
import { type DemoEvent, poison } from './feed.ts';
import type { Sinks } from './sinks.ts';

export interface Facts {
  /** Everything that was published, once each. */
  readonly events: readonly DemoEvent[];
  readonly redriven: number;
  readonly verification: Verification;
  readonly sinks: Sinks;
  readonly letters: readonly DeadLetter[];
}

/** What each route must have taken, by event type. */
const wanted: Readonly<Record<string, (type: string) => boolean>> = {
  'orders.receipt': (type) => type === 'order.paid',
  'orders.warehouse': (type) => type === 'order.paid' || type === 'order.refunded',
  'orders.revenue': (type) => type === 'order.paid',
  'accounts.welcome': (type) => type === 'account.created',
  'accounts.crm': (type) => type.startsWith('account.'),
  'accounts.signups': (type) => type === 'account.created',
  'payments.on-call': (type) => type === 'payment.failed' || type === 'payment.disputed',
  'payments.audit': (type) => type.startsWith('payment.'),
};

/** What is wrong, in words; empty when nothing is. */
export function check(facts: Facts): string[] {
  return [...conserved(facts), ...balances(facts), ...ledgers(facts), ...story(facts)];
}

function conserved({ verification: { total } }: Facts): string[] {
  return total.residue === 0 && total.exact ? [] : [`expected a residue of exactly 0, got ${total.residue}`];
}

/** Every route: what was published for it is what it accepted, and all of it has an end. */
function balances({ events, verification }: Facts): string[] {
  return Object.entries(wanted).flatMap(([group, wants]) => {
    const balance = verification.groups.find((one) => one.group === group);
    const expected = events.filter((event) => wants(event.type)).length;
    if (balance === undefined) return [`expected a route ${group}, there is none`];
    const faults: string[] = [];
    if (balance.accepted !== expected) faults.push(`${group}: expected ${expected} accepted, got ${balance.accepted}`);
    const ended = balance.delivered + balance.skipped + balance.dead;
    if (ended !== expected) faults.push(`${group}: expected ${expected} to have ended, got ${ended}`);
    return faults;
  });
}

/** The other side: an event is lost when neither its service nor the dead letters have it. */
function ledgers({ events, sinks, letters }: Facts): string[] {
  const missing = (group: string, taken: ReadonlySet<string>): string[] => {
    const dead = new Set(letters.filter((letter) => letter.group === group).map((letter) => letter.eventId));
    const lost = events.filter(
      (event) => wanted[group]?.(event.type) === true && !taken.has(event.id) && !dead.has(event.id),
    );
    return lost.length === 0 ? [] : [`${group}: lost ${lost.length} events, among them ${lost[0]?.id}`];
  };
  const mails = events.filter((event) => event.type === 'order.paid' || event.type === 'account.created').length - 1;
  const alerts = events.filter((event) => wanted['payments.on-call']?.(event.type) === true).length;
  return [
    ...missing('orders.warehouse', sinks.warehouse.taken),
    ...missing('accounts.crm', sinks.crm.taken),
    ...(sinks.mail.taken.size === mails
      ? []
      : [`expected ${mails} mails, the mail server took ${sinks.mail.taken.size}`]),
    ...(sinks.alerts.requests >= alerts ? [] : [`expected ${alerts} alerts, got ${sinks.alerts.requests}`]),
  ];
}

/** What the demo says that it shows must have happened. */
function story({ redriven, sinks, letters }: Facts): string[] {
  const faults: string[] = [];
  if (redriven === 0) faults.push('expected dead letters to redrive, there were none');
  if (sinks.crm.refused === 0 || sinks.mail.refused === 0)
    faults.push('expected first attempts that fail, there were none');
  const dead = letters.map((letter) => letter.eventId);
  if (dead.length !== 1 || dead[0] !== poison.id)
    faults.push(`expected the poison to be the one dead letter, got ${dead.join(', ') || 'none'}`);
  return faults;
}
