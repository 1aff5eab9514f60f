/** Comparing arrays that others wrote with what is read of them. */

import { expect } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import { ChunkError } from "../../src/errors.ts";
import { decodeFloat16 } from "../../src/math/half.ts";
import type { DataType, NumericArray } from "../../src/types.ts";

/** Counts what became of arrays: one that refuses everything shall be seen. */
export class Outcomes {
  equal = 0;
  readonly #reasons = new Map<string, number>();

  /** Counts a refusal, which is to say what is not known. */
  refuse({ message }: Error): void {
    const [, reason] = /^Cannot (?:open|read)[^"]*".*?": (its .+|it .+)$/.exec(message) ?? [];
    expect(reason, message).toBeDefined();
    const kind = reason!.replace(/\d+/g, "0");
    this.#reasons.set(kind, (this.#reasons.get(kind) ?? 0) + 1);
  }

  get refused(): number {
    return [...this.#reasons.values()].reduce((sum, count) => sum + count, 0);
  }

  print(what: string): void {
    const lines = [...this.#reasons].sort(([, a], [, b]) => b - a)
      .map(([reason, count]) => `  ${String(count).padStart(5)} ${reason}`);
    console.log(
      [`${what}: ${this.equal} equal, ${this.refused} refused, 0 wrong`, ...lines].join("\n"),
    );
  }
}

/** Halves are given as their bits. Every NaN is as good as another one. */
export function expectSameElements(
  dtype: DataType,
  values: NumericArray,
  bytes: Uint8Array,
  what: string,
): void {
  const wanted = bytes.slice();
  const own = values.slice();
  expect(own.byteLength, what).toBe(wanted.byteLength);
  const got = new Uint8Array(own.buffer);
  let at = wanted.findIndex((byte, i) => byte !== got[i]);
  if (at >= 0 && dtype.startsWith("float")) {
    const [read, right] = [floatsOf(dtype, got), floatsOf(dtype, wanted)];
    at = right.findIndex((value, i) => !Object.is(value, read[i]));
  }
  if (at >= 0) expect.fail(`${what}: element or byte ${at} of ${own} differs`);
}

function floatsOf(
  dtype: DataType,
  { buffer }: Uint8Array<ArrayBuffer>,
): Float32Array | Float64Array {
  switch (dtype) {
    case "float16":
      return decodeFloat16(new Uint16Array(buffer));
    case "float32":
      return new Float32Array(buffer);
    default:
      return new Float64Array(buffer);
  }
}

/** An array that others wrote, and what they read of it. */
export interface ForeignArray {
  /** Where it is opened. */
  place: string;
  /** Its elements in C order, little endian. */
  elements(): Promise<Uint8Array>;
  dtype?: string;
  shape?: number[];
  /** In words. */
  made: string;
  /** Whether a reader that knows what is usual should read it. */
  known: boolean;
}

/**
 * Reads arrays, and counts what became of them: the same bits, or a refusal of what is not usual.
 *
 * @param mostUnknown Share of the arrays that may be refused.
 */
export async function expectReadAlike(
  arrays: readonly ForeignArray[],
  { what, mostUnknown }: { what: string; mostUnknown: number },
): Promise<void> {
  const outcomes = new Outcomes();
  for (const { place, elements, dtype, shape, made, known } of arrays) {
    try {
      const array = await openArray(place);
      const values = array.readBits
        ? await array.readBits(0, array.shape[0]!)
        : await readAll(array);
      await array.close();
      expect([array.dtype, array.shape], made).toEqual([dtype, shape]);
      expectSameElements(array.dtype, values, await elements(), made);
      outcomes.equal++;
    } catch (error) {
      if (!(error instanceof ChunkError)) throw error;
      expect(known, `${made}: ${error.message}`).toBe(false);
      outcomes.refuse(error);
    }
  }
  outcomes.print(what);
  expect(outcomes.equal).toBeGreaterThan((1 - mostUnknown) * arrays.length);
}
