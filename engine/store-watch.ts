/** Asks the store again and again whether it still keeps what it was given, and tells when that changes. */
import type { Bus, Durability } from './bus/bus.ts';
import { EventFlowError } from './errors.ts';
import type { Observer } from './observe/signals.ts';

export interface StoreState {
  readonly durability: Durability;
  /** See `Bus.hazards`. */
  readonly hazards: readonly string[];
}

export class StoreWatch {
  readonly #bus: Bus;
  readonly #observer: Observer;
  #state: StoreState | undefined;

  constructor(bus: Bus, observer: Observer) {
    this.#bus = bus;
    this.#observer = observer;
  }

  /** As it was seen last. */
  get state(): StoreState | undefined {
    return this.#state;
  }

  /** Looks for the first time. Throws `EF5015` when the store may drop events, unless that is `allowed`. */
  async begin(allowed: boolean): Promise<StoreState> {
    const state = await this.#read();
    if (state.hazards.length > 0 && !allowed) throw unsafe(this.#bus.label, state.hazards);
    this.#told(state);
    return state;
  }

  /** Rejects when the store does not answer; what was seen last then stays. */
  async look(): Promise<void> {
    this.#told(await this.#read());
  }

  async #read(): Promise<StoreState> {
    const [durability, hazards] = await Promise.all([this.#bus.durability(), this.#bus.hazards?.() ?? []]);
    return { durability, hazards };
  }

  #told(state: StoreState): void {
    const before = this.#state;
    this.#state = state;
    if (JSON.stringify(before?.durability) !== JSON.stringify(state.durability)) {
      this.#observer({ kind: 'durability', ...state.durability });
    }
    if (before === undefined || before.hazards.join() !== state.hazards.join()) {
      this.#observer({ kind: 'store_hazards', hazards: state.hazards });
    }
  }
}

const unsafe = (label: string, hazards: readonly string[]): EventFlowError =>
  new EventFlowError(
    'EF5015',
    `expected a store that keeps what it is given at ${label}, got one where ${hazards.join('; and ')}. To run on it all the same: --allow-unsafe-store`,
  );
