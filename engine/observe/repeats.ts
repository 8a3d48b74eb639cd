/** A thing that goes on failing in the same way is told once; it is told again when it changes. */
import { faultShape } from '../core/faults.ts';

export class Repeats {
  readonly #last = new Map<string, { readonly shape: string; readonly at: number; times: number }>();

  /**
   * How often the topic's last text was held back, when `text` differs from it in more than numbers, ids and quoted
   * words, or was told `againAfterMs` ago [never told again]; undefined when it is the same and should be held back.
   */
  changed(topic: string, text: string, againAfterMs = Number.POSITIVE_INFINITY): number | undefined {
    const shape = faultShape({ code: topic, message: text, kind: 'error' });
    const last = this.#last.get(topic);
    const now = performance.now();
    if (last?.shape === shape && now - last.at < againAfterMs) {
      last.times++;
      return undefined;
    }
    this.#last.set(topic, { shape, at: now, times: 0 });
    return last?.times ?? 0;
  }

  /** It is well again: the next time is news. Returns how often it was held back. */
  forget(topic: string): number {
    const times = this.#last.get(topic)?.times ?? 0;
    this.#last.delete(topic);
    return times;
  }
}
