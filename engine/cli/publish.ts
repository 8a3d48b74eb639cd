/** `eventflow publish`: one event, or a file or stream of them, over HTTP or straight into the bus. */
import { type Command, Option } from 'commander';
import type { IngestFault } from '../core/ingest-fault.ts';
import type { Publisher, PublishReceipt } from '../publisher.ts';
import { exit, Failure, UsageError } from './exit.ts';
import {
  busOption,
  jsonOption,
  perSecond,
  pipelinesOption,
  type SettingsFlags,
  valued,
  wholeNumber,
  withSettings,
} from './options.ts';
import { paintError, plural, print, progress, tell } from './output.ts';
import type { Numbered } from './publish-input.ts';

export interface PublishFlags extends SettingsFlags {
  readonly url?: string;
  readonly data?: string;
  readonly file?: string;
  readonly source?: string;
  readonly subject?: string;
  readonly id?: string;
  readonly rate?: number;
  readonly count?: number;
  readonly json?: boolean;
}

interface Tally {
  published: number;
  duplicates: number;
  refused: number;
}

/** Faults that the next event would meet as well. */
const isHopeless = (fault: IngestFault): boolean => /^EF403/.test(fault.code);

/** `again`: it may be known because it was stored when it was sent first, with others. */
function report(receipt: PublishReceipt, again: boolean, tally: Tally, json: boolean | undefined): void {
  tally.published += 1;
  if (receipt.duplicate && !again) tally.duplicates += 1;
  for (const warning of receipt.warnings) tell(`${paintError('yellow', 'warning:')} event ${receipt.id}: ${warning}`);
  print(json ? JSON.stringify(receipt) : receipt.id);
}

/** Sends events together; when that is refused, one by one, so that one bad event does not keep the others back. */
class Sender {
  readonly tally: Tally = { published: 0, duplicates: 0, refused: 0 };
  readonly #publisher: Publisher;
  readonly #json: boolean | undefined;

  constructor(publisher: Publisher, json: boolean | undefined) {
    this.#publisher = publisher;
    this.#json = json;
  }

  async send(events: readonly Numbered[], again = false): Promise<void> {
    const { IngestFault } = await import('../core/ingest-fault.ts');
    try {
      const receipts = await this.#publisher.publish(events.map(({ event }) => event));
      for (const receipt of receipts) report(receipt, again, this.tally, this.#json);
    } catch (error) {
      if (!(error instanceof IngestFault) || isHopeless(error)) throw error;
      const [only] = events;
      if (events.length === 1 && only !== undefined) return this.#refuse(only, error);
      // An event that is in conflict with a stored one does not keep the others from being stored.
      for (const event of events) await this.send([event], error.code === 'EF4009');
    }
    progress(`${plural(this.tally.published, 'event')} published`);
  }

  #refuse({ where }: Numbered, fault: IngestFault): void {
    this.tally.refused += 1;
    const text = fault.message.replace(/^event 0: /, '');
    tell(`${paintError('red', 'error:')} ${where}: ${fault.code} ${text}`);
  }
}

/** As many at once as leave ten steps a second, 100 at most. */
const stepSize = (rate: number | undefined): number =>
  rate === undefined ? 100 : Math.max(1, Math.min(100, Math.floor(rate / 10)));

async function sendAll(events: AsyncIterable<Numbered>, rate: number | undefined, sender: Sender): Promise<void> {
  const began = performance.now();
  const size = stepSize(rate);
  let step: Numbered[] = [];
  let taken = 0;
  const flush = async (): Promise<void> => {
    const ahead = rate === undefined ? 0 : began + (taken / rate) * 1000 - performance.now();
    if (ahead > 0) await new Promise((resolve) => setTimeout(resolve, ahead));
    taken += step.length;
    await sender.send(step);
    step = [];
  };
  for await (const event of events) {
    if (step.push(event) >= size) await flush();
  }
  if (step.length > 0) await flush();
}

async function publish(type: string | undefined, flags: PublishFlags): Promise<void> {
  const { readEvents } = await import('./publish-input.ts');
  const events = readEvents(type, flags);
  const { openPublisher } = await import('./publish-target.ts');
  const target = await openPublisher(flags);
  const sender = new Sender(target.publisher, flags.json);
  const began = performance.now();
  try {
    await sendAll(events, flags.rate, sender);
  } finally {
    await target.close();
    progress('');
  }
  const { published, duplicates, refused } = sender.tally;
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const again = duplicates === 0 ? '' : ` (${duplicates} of them known before)`;
  tell(`published ${plural(published, 'event')}${again} to ${target.label} in ${seconds} s`);
  if (refused > 0) throw new Failure(exit.failed, `${plural(refused, 'event')} refused`);
}

const checkedUrl = (text: string): string => {
  if (URL.canParse(text) && /^https?:/.test(text)) return text;
  throw new UsageError(`expected --url to be http://HOST:PORT, got ${JSON.stringify(text)}`);
};

export function define(program: Command): void {
  const command = program
    .command('publish')
    .description('publishes events: one of TYPE, those of a file, or those that come in as lines of JSON')
    .argument('[type]', 'such as order.paid')
    .addOption(
      valued('-d, --data <json>', 'EVENTFLOW_DATA', "the event's data in JSON; @FILE reads it, - takes it from stdin"),
    )
    .addOption(
      valued('-f, --file <file>', 'EVENTFLOW_FILE', 'events as lines of JSON or as one JSON array; - is stdin'),
    )
    .addOption(valued('--source <uri>', 'EVENTFLOW_SOURCE', 'for events that name none (default: eventflow/cli)'))
    .addOption(valued('--subject <text>', 'EVENTFLOW_SUBJECT', "the event's subject"))
    .addOption(
      valued('--id <id>', 'EVENTFLOW_ID', "the event's id; the same source and id again is recognised as a repeat"),
    )
    .addOption(new Option('--rate <n/s>', 'at most so many a second').env('EVENTFLOW_RATE').argParser(perSecond))
    .addOption(
      new Option('--count <n>', 'so many times, each with an id of its own')
        .env('EVENTFLOW_COUNT')
        .argParser(wholeNumber(1)),
    )
    .addOption(
      valued('--url <url>', 'EVENTFLOW_URL', "a running engine's ingest address, instead of the bus").argParser(
        checkedUrl,
      ),
    )
    .addOption(busOption())
    .addOption(pipelinesOption())
    .addOption(jsonOption());
  withSettings(command).action(publish);
}
