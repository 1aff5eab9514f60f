/**
 * What every store with files must do with a value above 4 GiB.
 *
 * @module
 */

import { expect } from "vitest";
import { ChunkError } from "../../src/errors.ts";
import { partialKey } from "../../src/store/place.ts";
import type { Store } from "../../src/store/store.ts";
import { expectBytes } from "./store_model.ts";

/** Where 32 bits end. */
const BORDER = 2 ** 32;

/** Size of the value that {@link checkLargeValue} wants: zeros, and {@link LARGE_TAIL} at the end. */
export const LARGE_BYTES = BORDER + 3;

/** The last bytes of that value, on both sides of the border. */
export const LARGE_TAIL = Uint8Array.of(1, 2, 3, 4, 5);

/**
 * Reads across the border, and appends behind it twice.
 *
 * @param state Whether the value lies under its key, or is unfinished.
 */
export async function checkLargeValue(
  store: Store,
  key: string,
  state: "finished" | "unfinished",
): Promise<void> {
  const name = state === "finished" ? key : partialKey(key);
  expect(await store.size(name)).toBe(LARGE_BYTES);
  const read = async (name: string, offset: number, length: number) =>
    await store.getRange(name, { offset, length });
  expectBytes(await read(name, BORDER - 3, 99), Uint8Array.of(0, ...LARGE_TAIL));
  expectBytes(await read(name, BORDER, 2), Uint8Array.of(3, 4));
  expectBytes(await read(name, 2 ** 31 - 2, 4), new Uint8Array(4));
  expectBytes(await read(name, 2 * BORDER, 4), new Uint8Array(0));
  expectBytes(await store.getRange(name, { suffixLength: 4 }), LARGE_TAIL.slice(1));

  const first = await store.append(key, { keep: LARGE_BYTES });
  expect(first.size).toBe(LARGE_BYTES);
  const odd = new Uint8Array(4097).fill(6);
  await Promise.all([first.append(odd), first.append(Uint8Array.of(7))]);
  await first.sync();
  expect(first.size).toBe(LARGE_BYTES + 4098);
  expect(await store.size(key)).toBeUndefined();
  expectBytes(await read(partialKey(key), LARGE_BYTES + 4096, 9), Uint8Array.of(6, 7));
  await first.close();

  await expect(store.append(key, { keep: 2 * BORDER })).rejects.toThrow(ChunkError);
  const second = await store.append(key, { keep: LARGE_BYTES - 1 });
  await second.append(Uint8Array.of(8, 9, 10));
  await second.finish();
  expect(await store.size(key)).toBe(LARGE_BYTES + 2);
  expect(await store.size(partialKey(key))).toBeUndefined();
  expectBytes(await read(key, BORDER - 2, 99), Uint8Array.of(1, 2, 3, 4, 8, 9, 10));
}
