/**
 * Lets Node rest while the device works. Dawn for Node asks for news in a loop of immediates: as long as
 * anything is under way the main thread takes a whole core, of which a software adapter could make
 * use. So short sleeps go into that loop where nothing else happens in it.
 *
 * @module
 */

/** Longest sleep, in milliseconds: what it may add to an answer, or take from a timer. */
const MOST_MS = 0.5;
/** Share of the time waited that a sleep may add to it. */
const SHARE = 1 / 8;
/** A round of the loop that takes longer, in milliseconds, had other things to do. */
const IDLE_ROUND_MS = 0.1;

// pages that are not isolated have no shared memory, and load this file too
let cell: Int32Array<SharedArrayBuffer>;
let pending = 0;
/** When something last happened. */
let since = 0;
let ended = 0;
let looping = false;

/** Sleeps now and then until work of the device is done, well or not. For Node alone. */
export function restUntil(work: Promise<unknown>): void {
  const happened = () => since = performance.now();
  const done = () => {
    pending--;
    happened();
  };
  pending++;
  happened();
  work.then(done, done);
  if (looping) return;
  looping = true;
  cell ??= new Int32Array(new SharedArrayBuffer(4));
  nextRound();
}

function nextRound(): void {
  ended = performance.now();
  (globalThis as unknown as { setImmediate(run: () => void): void }).setImmediate(round);
}

function round(): void {
  looping = pending > 0;
  if (!looping) return;
  const now = performance.now();
  if (now - ended > IDLE_ROUND_MS) since = now;
  const milliseconds = Math.min(MOST_MS, SHARE * (now - since));
  if (milliseconds > 0) Atomics.wait(cell, 0, 0, milliseconds);
  nextRound();
}
