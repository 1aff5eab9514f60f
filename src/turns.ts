/**
 * Turns of the event loop: what waits does not wait longer than an abort, and what works lets others have theirs.
 *
 * @module
 */

/** Lets whatever is due have its turn. A message, since browsers slow timers down. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** Longest without a turn for others, in milliseconds: a cancel is to be heard. */
const MOST_MS = 50;

/** Turns within work that never waits by itself, as rows in memory do not. */
export class Turns {
  readonly #signal: AbortSignal | undefined;
  #began = performance.now();

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** Whether others have waited for long. */
  get isDue(): boolean {
    return performance.now() - this.#began > MOST_MS;
  }

  /** @throws The signal's reason, if it is aborted. */
  async next(): Promise<void> {
    this.#signal?.throwIfAborted();
    if (!this.isDue) return;
    await nextTurn();
    this.#began = performance.now();
    this.#signal?.throwIfAborted();
  }
}

/** Longest that steps keep others waiting, in milliseconds: a frame of a screen. */
const MOST_STEPS_MS = 10;

/** Runs work that yields now and then, so that others have their turns. */
export async function inTurns<Value>(
  steps: Iterator<unknown, Value>,
  signal?: AbortSignal,
): Promise<Value> {
  for (let began = performance.now();;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (performance.now() - began < MOST_STEPS_MS) continue;
    await nextTurn();
    signal?.throwIfAborted();
    began = performance.now();
  }
}

/** Runs such work at once. */
export function atOnce<Value>(steps: Iterator<unknown, Value>): Value {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** Rejects when the signal does; what was waited for goes on. */
export async function unlessAborted<Value>(
  signal: AbortSignal | undefined,
  value: Promise<Value>,
): Promise<Value> {
  let stop!: () => void;
  try {
    return await new Promise<Value>((resolve, reject) => {
      stop = () => reject(signal!.reason);
      signal?.addEventListener("abort", stop);
      if (signal?.aborted) stop();
      value.then(resolve, reject);
    });
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}
