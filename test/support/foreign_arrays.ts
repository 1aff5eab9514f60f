/** Comparing arrays that others wrote with what is read of them. */

import { expect } from "vitest";
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
