/**
 * A queue between two loops. Bounded by what is put in: slots are the only tokens that circulate.
 *
 * @module
 */

export class Channel<Item> {
  readonly #items: Item[] = [];
  readonly #takers: { resolve(item: Item): void; reject(reason: unknown): void }[] = [];
  #failure: { reason: unknown } | undefined;

  put(item: Item): void {
    const taker = this.#takers.shift();
    if (taker) taker.resolve(item);
    else this.#items.push(item);
  }

  /** The oldest item; waits for one. Rejects once {@link fail} was called. */
  take(): Promise<Item> {
    if (this.#failure) return Promise.reject(this.#failure.reason);
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift()!);
    return new Promise((resolve, reject) => this.#takers.push({ resolve, reject }));
  }

  /** Makes this and every later take reject. */
  fail(reason: unknown): void {
    this.#failure ??= { reason };
    for (const taker of this.#takers.splice(0)) taker.reject(reason);
  }
}
