/**
 * Values of servers that know no ranges: they come as a whole, and are kept for the ranges to come.
 *
 * @module
 */

/** What is kept in all, and the most that one value may have, in bytes. */
export const KEPT_BYTES = 64 * 2 ** 20;

export class KeptValues {
  /** The one used last at the end. */
  readonly #values = new Map<string, Promise<Uint8Array | undefined>>();
  #bytes = 0;

  has(key: string): boolean {
    return this.#values.has(key);
  }

  /** A value, which is from now on the one used last. */
  use(key: string): Promise<Uint8Array | undefined> | undefined {
    const kept = this.#values.get(key);
    if (!kept) return undefined;
    this.#values.delete(key);
    this.#values.set(key, kept);
    return kept;
  }

  keep(
    key: string,
    coming: Promise<Uint8Array | undefined>,
  ): Promise<Uint8Array | undefined> {
    this.#values.set(key, coming);
    coming.then((bytes) => {
      if (!bytes) return void this.#values.delete(key);
      this.#bytes += bytes.byteLength;
      this.#forgetOldest(key);
    }, () => this.#values.delete(key));
    return coming;
  }

  clear(): void {
    this.#values.clear();
    this.#bytes = 0;
  }

  #forgetOldest(newest: string): void {
    for (const [key, value] of this.#values) {
      if (this.#bytes <= KEPT_BYTES) return;
      if (key === newest) continue;
      this.#values.delete(key);
      value.then((bytes) => this.#bytes -= bytes?.byteLength ?? 0, () => {});
    }
  }
}
