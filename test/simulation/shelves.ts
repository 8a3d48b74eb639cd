/** What the simulated bus keeps beside its groups, as one host sees it: breakers, permits, dead letters. */
import type { Bus, DeadLetterStore, LimitStore } from '../../engine/bus/bus.ts';
import type { Ledger } from './ledger.ts';
import type { Network } from './network.ts';
import type { Host } from './time.ts';

export function breakersOf(host: Host, network: Network, ledger: Ledger): Bus['breakers'] {
  return {
    list: () => network.call(host, 'breakers', ({ store }) => store.model.breakers()),
    swap: (key, expected, state, version) => {
      const asked = network.call(host, `swap ${key} ${state.kind}`, ({ store }) => {
        const before = store.model.breakers().find((stored) => stored.key === key)?.state;
        const answer = store.apply((model) => model.swap(key, expected, state, version));
        if (answer.won) ledger.breakers.changed(key, before, answer.stored.state, host);
        return answer;
      });
      // Who cannot ask decides alone.
      asked.catch(() => ledger.breakers.alone(host, key, state));
      return asked;
    },
    forget: (key, expected) =>
      network.call(host, `forget ${key}`, ({ store }) => store.apply((model) => model.forget(key, expected))),
  };
}

export function limitsOf(host: Host, network: Network): LimitStore {
  const { time } = network;
  return {
    take: (key, request) =>
      network.call(host, `permits ${key}`, ({ store }) => {
        const { now } = time;
        return store.apply((model) => model.permits(key, request, now));
      }),
  };
}

export function deadLettersOf(host: Host, network: Network, ledger: Ledger): DeadLetterStore {
  const { time } = network;
  return {
    list: ({ group, reason, eventId, eventType, limit }) =>
      network.call(host, 'letters', ({ store }) =>
        store.model
          .letters()
          .filter(
            (letter) =>
              (group === undefined || letter.group === group) &&
              (reason === undefined || letter.reason === reason) &&
              (eventId === undefined || letter.eventId === eventId) &&
              (eventType === undefined || letter.eventType === eventType),
          )
          .slice(0, limit),
      ),
    get: (id) => network.call(host, 'letter', ({ store }) => store.model.letters().find((letter) => letter.id === id)),
    redrive: (ids) =>
      network.call(host, 'redrive', ({ store }) => {
        const { now } = time;
        ledger.redriving(store.model, ids);
        const done = store.apply((model) => model.redrive(ids, now));
        if (done.length > 0) store.wake();
        return done;
      }),
    discard: (ids) =>
      network.call(host, 'discard', ({ store }) => {
        ledger.discarding(store.model, ids);
        return store.apply((model) => model.discard(ids));
      }),
  };
}
