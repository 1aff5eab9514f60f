/**
 * Fingerprints.
 *
 * @module
 */

/** Bytes hashed at a time: a digest does not depend on how its bytes came. */
const BLOCK_BYTES = 2 ** 20;

/** SHA-256 of texts and arrays, in hexadecimal digits. */
export async function digestOf(parts: readonly (string | ArrayBufferView)[]): Promise<string> {
  const texts: string[] = [];
  for (const part of parts) {
    texts.push(
      typeof part === "string" ? part : await sha256(
        new Uint8Array(part.buffer as ArrayBuffer, part.byteOffset, part.byteLength),
      ),
    );
  }
  return await sha256(new TextEncoder().encode(texts.join("\n")));
}

/** SHA-256 of bytes, in hexadecimal digits. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The digest of all bytes that pass, in pieces of any length: SHA-256 of the SHA-256 of every MiB. One
 * block is hashed while the next one fills up.
 */
export class StreamDigest {
  #block = new Uint8Array(BLOCK_BYTES);
  #next = new Uint8Array(BLOCK_BYTES);
  #filled = 0;
  #last: Promise<unknown> = Promise.resolve();
  readonly #digests: string[] = [];

  /** Takes the bytes; they may change once it resolves. */
  async add({ buffer, byteOffset, byteLength }: ArrayBufferView): Promise<void> {
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    for (let at = 0; at < bytes.length;) {
      const piece = bytes.subarray(at, at + BLOCK_BYTES - this.#filled);
      this.#block.set(piece, this.#filled);
      at += piece.length;
      this.#filled += piece.length;
      if (this.#filled === BLOCK_BYTES) await this.#hash();
    }
  }

  async finish(): Promise<string> {
    await this.#hash();
    await this.#last;
    return await digestOf(this.#digests);
  }

  async #hash(): Promise<void> {
    await this.#last;
    const block = this.#block.subarray(0, this.#filled);
    this.#last = sha256(block).then((digest) => this.#digests.push(digest));
    [this.#block, this.#next] = [this.#next, this.#block];
    this.#filled = 0;
  }
}
