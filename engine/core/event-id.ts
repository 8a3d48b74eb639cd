/** Ids that sort by time: UUID version 7. Pure: the clock and the dice are arguments. */

/** `now`: ms since the epoch; `uuid`: a random UUID (version 4), whose random digits are kept. */
export function uuidv7(now: number, uuid: string): string {
  const time = now.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8, 12)}-7${uuid.slice(15)}`;
}
