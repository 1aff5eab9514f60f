/**
 * Fingerprints.
 *
 * @module
 */

/** SHA-256 of texts and arrays, in hexadecimal digits. */
export async function digestOf(parts: readonly (string | ArrayBufferView)[]): Promise<string> {
  const hex = async (bytes: Uint8Array<ArrayBuffer>) => {
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  };
  const texts: string[] = [];
  for (const part of parts) {
    texts.push(
      typeof part === "string" ? part : await hex(
        new Uint8Array(part.buffer as ArrayBuffer, part.byteOffset, part.byteLength),
      ),
    );
  }
  return await hex(new TextEncoder().encode(texts.join("\n")));
}
