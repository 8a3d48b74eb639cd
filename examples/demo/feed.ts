/** Realistic events of four domains, the same ones for the same seed. */

export interface DemoEvent {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const names = ['Ada', 'Björn', 'Chiara', 'Dmitri', 'Elif', 'Femi', 'Grace', 'Hana', 'Iñigo', 'Jun'];
const countries = ['DE', 'FR', 'IT', 'ES', 'NL', 'PL'];
const plans = ['free', 'team', 'business'];
const reasons = ['card_declined', 'insufficient_funds', 'fraud_suspected', 'product_not_received'];

/** mulberry32: small, seeded, good enough to make a crowd. */
function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const pick = <T>(list: readonly T[], random: () => number): T => list[Math.floor(random() * list.length)] as T;

/** One order in forty is a gift: the warehouse's old API does not know gifts. */
export const giftEvery = 40;

function order(n: number, random: () => number): DemoEvent {
  const name = pick(names, random);
  const data = {
    order_id: `o-${n}`,
    total: Math.round(random() * 40_000) / 100,
    currency: 'EUR',
    ...(n % giftEvery === 0 ? { gift: true } : {}),
    customer: {
      name,
      email: `${name
        .normalize('NFD')
        .replace(/[^A-Za-z]/g, '')
        .toLowerCase()}.${n}@mail.example`,
      country: pick(countries, random),
    },
  };
  return { id: `order-${n}`, type: 'order.paid', source: '/shop', data };
}

function other(n: number, random: () => number): DemoEvent {
  const money = { payment_id: `p-${n}`, amount: Math.round(random() * 20_000) / 100, currency: 'EUR' };
  const roll = random();
  if (roll < 0.25)
    return {
      id: `refund-${n}`,
      type: 'order.refunded',
      source: '/shop',
      data: { order_id: `o-${n}`, total: money.amount },
    };
  if (roll < 0.55) {
    const name = pick(names, random);
    return {
      id: `account-${n}`,
      type: 'account.created',
      source: '/accounts',
      data: { name, email: `user.${n}@mail.example`, plan: pick(plans, random) },
    };
  }
  if (roll < 0.7)
    return { id: `gone-${n}`, type: 'account.deleted', source: '/accounts', data: { email: `user.${n}@mail.example` } };
  if (roll < 0.9) return { id: `payment-${n}`, type: 'payment.settled', source: '/payments', data: money };
  return {
    id: `trouble-${n}`,
    type: roll < 0.96 ? 'payment.failed' : 'payment.disputed',
    source: '/payments',
    data: { ...money, reason: pick(reasons, random) },
  };
}

export function feed(count: number, seed: number): DemoEvent[] {
  const random = dice(seed);
  return Array.from({ length: count }, (_, n) => (n % 2 === 0 ? order(n, random) : other(n, random)));
}

/** An order whose address no mail server takes: its receipt can never be delivered. */
export const poison: DemoEvent = {
  id: 'order-poison',
  type: 'order.paid',
  source: '/shop',
  data: {
    order_id: 'o-poison',
    total: 1,
    currency: 'EUR',
    customer: { name: 'Mallory', email: 'mallory@@mail.example', country: 'DE' },
  },
};

/** Cut off in the middle, as a crashed producer would send it. */
export const malformed = '{"type":"order.paid","data":{"order_id":"o-half';
