/** Waiting that counts turns of the event loop instead of time: a busy machine makes them slower, not fewer. */

const MOST_TURNS = 500;

/** One turn: what is due or has arrived is served. */
export const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

/**
 * Waits until something is so.
 *
 * @param settle What else a turn waits for, such as a device's work.
 * @returns Whether it came about; not, if it did not within `turns`.
 */
export async function comesAbout(
  isSo: () => boolean,
  { turns = MOST_TURNS, settle }: { turns?: number; settle?: () => Promise<unknown> } = {},
): Promise<boolean> {
  for (let i = 0; i < turns && !isSo(); i++) {
    await settle?.();
    await turn();
  }
  return isSo();
}
