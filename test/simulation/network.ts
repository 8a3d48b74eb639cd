/** What lies between the hosts and the store: delays, links that are down, answers that are lost. */
import { EventFlowError } from '../../engine/errors.ts';
import type { Dice } from './dice.ts';
import type { Run } from './run.ts';
import type { Store } from './store.ts';
import type { FakeTime, Host } from './time.ts';

/** The longest that a call may go unanswered, as a share of the lease as with Redis. */
const deadlineMs = 1_000;

export class Network {
  readonly time: FakeTime;
  readonly store: Store;
  readonly #dice: Dice;
  readonly #run: Run;
  /** Answers to lose, by host. */
  readonly #losing = new Map<Host, number>();
  /** Extra delay of every message, ms. */
  slowness = 0;

  constructor(time: FakeTime, store: Store, dice: Dice, run: Run) {
    this.time = time;
    this.store = store;
    this.#dice = dice;
    this.#run = run;
  }

  /** The next `count` answers to `host` do not arrive. */
  loseAnswers(host: Host, count: number): void {
    this.#losing.set(host, count);
  }

  loseNothing(): void {
    this.#losing.clear();
    this.slowness = 0;
  }

  /** `confirmed`: answered only when the replica has what was done. */
  call<T>(host: Host, name: string, act: (network: this) => T, how: 'done' | 'confirmed' = 'done'): Promise<T> {
    return new Promise((resolve, reject) => {
      this.send(host, name, reject, () => {
        const result = act(this);
        const answer = (): void => this.reply(host, name, () => resolve(result), reject);
        if (how === 'done' || !this.store.replicated) return answer();
        const { epoch } = this.store;
        this.time.after(this.#delay(), undefined, () => {
          if (!this.store.up || this.store.epoch !== epoch) return this.refuse(host, reject);
          this.store.replicate();
          answer();
        });
      });
    });
  }

  /** `act` happens at the store, or `reject` at the host when nobody is there. */
  send(host: Host, name: string, reject: (error: Error) => void, act: () => void): void {
    if (host.state === 'dead') return;
    this.time.after(this.#delay(), undefined, () => {
      this.#run.note(() => `${host.name} ${name}`);
      if (!this.store.up) return this.refuse(host, reject);
      act();
    });
  }

  reply(host: Host, name: string, resolve: () => void, reject: (error: Error) => void): void {
    const losing = this.#losing.get(host) ?? 0;
    if (losing === 0) return void this.time.after(this.#delay(), host, resolve);
    this.#losing.set(host, losing - 1);
    this.#run.cover('lost answer');
    this.#run.note(() => `answer lost: ${host.name} ${name}`);
    host.trouble(this.time.now + deadlineMs);
    const late = this.#dice.chance(0.5) ? deadlineMs : 1;
    this.time.after(late, host, () => reject(new EventFlowError('EF5012', 'the answer was lost')));
  }

  refuse(host: Host, reject: (error: Error) => void): void {
    host.trouble(this.time.now);
    const ms = this.#dice.between(1, 30);
    this.time.after(ms, host, () => reject(new EventFlowError('EF5001', 'nobody answers')));
  }

  #delay(): number {
    return this.#dice.chance(0.03) ? 1 + this.slowness + this.#dice.between(2, 40) : 1 + this.slowness;
  }
}
