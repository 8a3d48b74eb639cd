/** Handlers that do what a script says: each delivery of each event has its own, thrown from the seed. */
import type { Route } from '../../engine/core/route.ts';
import { type EventEnvelope, type Handler, permanent, type Skip, skip, unavailable } from '../../engine/plugin.ts';
import type { RunningDelivery } from '../../engine/worker/running.ts';
import { Dice } from './dice.ts';
import type { Ledger } from './ledger.ts';
import type { Pair } from './pairs.ts';
import type { Run } from './run.ts';
import type { FakeTime, Host } from './time.ts';

/** `times`: attempts that go so before one succeeds. */
type Script =
  | { readonly kind: 'ok' | 'permanent' | 'skip' | 'lateSuccess' | 'poison' | 'stumble'; readonly ms: number }
  | { readonly kind: 'fail' | 'throw' | 'hang' | 'tooLate'; readonly ms: number; readonly times: number };

const quickMs = 20;

/** What one attempt does. */
type Act = Script['kind'];

export interface Endpoints {
  /** Handlers whose target is down. */
  readonly down: Set<string>;
  readonly seed: number;
}

export interface HandlerDeps {
  readonly route: Route;
  readonly host: Host;
  readonly time: FakeTime;
  readonly ledger: Ledger;
  readonly run: Run;
  readonly endpoints: Endpoints;
  /** Ends the process at once. */
  readonly crash: () => void;
}

function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

function scriptOf(seed: number, group: string, eventId: string): Script {
  const dice = new Dice(hashOf(`${seed} ${group} ${eventId}`));
  const roll = dice.next();
  const ms = dice.between(0, 40);
  if (roll < 0.62) return { kind: 'ok', ms };
  if (roll < 0.7) return { kind: 'ok', ms: dice.between(100, 700) };
  if (roll < 0.79) return { kind: 'fail', ms, times: dice.between(1, 2) };
  if (roll < 0.82) return { kind: 'fail', ms, times: 99 };
  if (roll < 0.85) return { kind: 'permanent', ms };
  if (roll < 0.9) return { kind: 'skip', ms };
  if (roll < 0.93) return { kind: 'throw', ms: 0, times: 1 };
  if (roll < 0.95) return { kind: 'hang', ms: 0, times: 1 };
  if (roll < 0.97) return { kind: 'lateSuccess', ms: dice.between(1_100, 1_800) };
  if (roll < 0.985) return { kind: 'tooLate', ms: dice.between(2_300, 4_000), times: 1 };
  return roll < 0.998 ? { kind: 'stumble', ms } : { kind: 'poison', ms };
}

/** What becomes of an event whose endpoint was always up. */
export function fateOf(seed: number, { group, event }: Pair): 'acked' | 'exhausted' | 'permanent' | 'crash_loop' {
  const script = scriptOf(seed, group, event.eventId);
  if (script.kind === 'permanent') return 'permanent';
  if (script.kind === 'poison') return 'crash_loop';
  return 'times' in script && script.times >= 3 ? 'exhausted' : 'acked';
}

/** Its first attempt counts against its target, though that is well. */
export function timesOutFirst(seed: number, group: string, eventId: string): boolean {
  const { kind } = scriptOf(seed, group, eventId);
  return kind === 'hang' || kind === 'tooLate';
}

function actOf(script: Script, attempt: number, firstRun: boolean): Act {
  if (script.kind === 'stumble') return firstRun ? 'poison' : 'ok';
  if ('times' in script && attempt > script.times) return 'ok';
  return script.kind;
}

export function scriptedHandler(deps: HandlerDeps): Handler {
  return { handle: (event, delivery) => handle(deps, event, delivery as RunningDelivery) };
}

function handle(deps: HandlerDeps, event: EventEnvelope, delivery: RunningDelivery): ReturnType<Handler['handle']> {
  const { route, host, ledger, run, endpoints } = deps;
  const pair = ledger.pair(route.group, delivery.entry);
  // It died in this very turn of its event loop: the rest of the turn never was.
  if (host.state === 'dead') return new Promise(() => undefined);
  run.note(
    () =>
      `${host.name} runs ${route.group} ${event.id} attempt ${delivery.attempt}${delivery.probe === undefined ? '' : ' as a probe'}`,
  );
  if (host.state === 'frozen') run.fail('nothing of a frozen engine runs', host.name);
  // Its publisher never heard that it is stored, and a failover has undone that.
  if (pair === undefined) return undefined;
  const firstRun = pair.runs === 0;
  ledger.started(pair, delivery, host);
  ledger.breakers.started(route, event, delivery.period, delivery.probe, host);
  ledger.rates.started(route, event);
  const script = scriptOf(endpoints.seed, route.group, event.id);
  if (endpoints.down.has(route.handler)) return answerIn(deps, delivery, pair, 'outage', 20);
  const act = actOf(script, delivery.attempt, firstRun);
  return answerIn(deps, delivery, pair, act, act === script.kind ? script.ms : quickMs);
}

/** Crashes and throws at once; everything else is an answer that comes later, or never. */
function answerIn(
  deps: HandlerDeps,
  delivery: RunningDelivery,
  pair: Pair,
  act: Act | 'outage',
  ms: number,
): Promise<Skip | undefined> {
  const { time, host, run, crash } = deps;
  run.cover(`handler: ${act}`);
  if (act === 'poison') {
    crash();
    return new Promise(() => undefined);
  }
  if (act === 'throw') throw new Error('the handler throws');
  if (act === 'hang') return new Promise(() => undefined);
  return new Promise((resolve, reject) => {
    time.after(ms, host, () => {
      try {
        resolve(answer(deps, delivery, pair, act));
      } catch (error) {
        reject(error as Error);
      }
    });
  });
}

function answer(
  { route, ledger }: HandlerDeps,
  delivery: RunningDelivery,
  pair: Pair,
  act: Act | 'outage',
): Skip | undefined {
  const { event, period, probe } = delivery;
  const ended = (well: boolean): void => {
    if (delivery.live) ledger.breakers.ended(route, event, period, probe, well);
  };
  switch (act) {
    case 'fail':
      ended(true);
      throw Object.assign(new Error('not this time'), { code: 'busy' });
    case 'outage':
      pair.touched = true;
      ended(false);
      throw unavailable(Object.assign(new Error('nobody listens'), { code: 'ECONNREFUSED' }));
    case 'permanent':
      pair.refused += 1;
      ended(true);
      throw permanent(new Error('never'));
    case 'skip':
      pair.skipped += 1;
      ended(true);
      return skip('nothing to do');
    case 'ok':
    case 'lateSuccess':
    case 'tooLate':
    case 'stumble':
    case 'poison':
    case 'hang':
    case 'throw':
      pair.succeeded += 1;
      ended(true);
      return undefined;
  }
}
