/** A thing that goes on failing in the same way is told once; it is told again when it changes. */
import { faultShape } from '../core/faults.ts';

/** Texts of one topic that are told apart; more than this at once is one fault with many words. */
const mostShapes = 10;

export class Repeats {
  readonly #last = new Map<string, { readonly shape: string; times: number }>();
  readonly #told = new Map<string, Map<string, { readonly at: number; times: number }>>();

  /**
   * How often the topic's last text was held back, when `text` differs from it in more than numbers, ids and quoted
   * words; undefined when it is the same again and should be held back.
   */
  changed(topic: string, text: string): number | undefined {
    const shape = shapeOf(topic, text);
    const last = this.#last.get(topic);
    if (last?.shape === shape) {
      last.times++;
      return undefined;
    }
    this.#last.set(topic, { shape, times: 0 });
    return last?.times ?? 0;
  }

  /** The same for faults that last and alternate: each text by itself, and again when it was told `againAfterMs` ago. */
  due(topic: string, text: string, againAfterMs: number): number | undefined {
    const shapes = this.#told.get(topic) ?? new Map<string, { readonly at: number; times: number }>();
    this.#told.set(topic, shapes);
    const shape = shapes.size < mostShapes ? shapeOf(topic, text) : topic;
    const told = shapes.get(shape);
    const now = performance.now();
    if (told !== undefined && now - told.at < againAfterMs) {
      told.times++;
      return undefined;
    }
    shapes.set(shape, { at: now, times: 0 });
    return told?.times ?? 0;
  }

  /** It is well again: the next time is news. Returns how often it was held back. */
  forget(topic: string): number {
    const times = this.#last.get(topic)?.times ?? 0;
    this.#last.delete(topic);
    this.#told.delete(topic);
    return times;
  }
}

const shapeOf = (topic: string, text: string): string => faultShape({ code: topic, message: text, kind: 'error' });
