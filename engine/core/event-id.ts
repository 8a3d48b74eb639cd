/** Ids that sort by time: UUID version 7. Pure: the clock and the dice are arguments. */

const block = 4096;

/**
 * A maker of ids. `clock`: ms since the epoch; `uuid`: a random UUID (version 4). Random digits are drawn once for every
 * 4096 ids, and the 12 bits that the standard leaves for it count inside such a block: no two ids of one maker are equal,
 * and two makers differ in 62 random bits.
 */
export function idMaker(clock: () => number, uuid: () => string): () => string {
  let count = block;
  let tail = '';
  let at = -1;
  let head = '';
  return () => {
    if (count === block) {
      count = 0;
      tail = uuid().slice(18);
    }
    const now = clock();
    if (now !== at) {
      at = now;
      const time = now.toString(16).padStart(12, '0');
      head = `${time.slice(0, 8)}-${time.slice(8, 12)}-7`;
    }
    // 4096 + count has four digits in hex, the last three of which are the count's.
    return head + (block + count++).toString(16).slice(1) + tail;
  };
}
