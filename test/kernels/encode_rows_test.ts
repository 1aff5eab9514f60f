import { describe, expect, it } from "vitest";
import * as encode from "../../src/kernels/encode_rows.ts";
import * as peaks from "../../src/kernels/find_peaks.ts";
import { encodeRows } from "../reference/encode_rows.ts";
import { findPeaks } from "../reference/find_peaks.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

/** Rows of probabilities over many orders of magnitude, a few of them flat, one of zeros. */
function probabilities(rows: number, width: number): Float32Array {
  const random = seeded(rows + width);
  const values = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const own = Array.from({ length: width }, () => row % 5 === 1 ? 1 : Math.exp(-30 * random()));
    const sum = own.reduce((total, value) => total + value, 0);
    if (row % 7 !== 3) values.set(own.map((value) => value / sum), row * width);
  }
  return values;
}

const SIZES = [[1, 1], [1, 2], [3, 5], [64, 23], [7, 999], [300, 1]] as const;

describe("find_peaks", () => {
  for (const [rows, width] of SIZES) {
    it(`finds the largest of ${width} in each of ${rows} rows, to the bit`, async () => {
      const packed = probabilities(rows, width);
      const { outputs } = await runKernel(gpu(), {
        spec: peaks.findPeaks,
        constants: peaks.findPeaksConstants,
        buffers: {
          params: peaks.findPeaksParams(0, rows, width),
          packed,
          row_peaks: 4 * rows,
        },
        workgroups: peaks.findPeaksWorkgroups(rows),
        outputs: ["row_peaks"],
      });
      expect(outputs.row_peaks).toEqual(findPeaks(packed, width));
    });
  }
});

describe("encode_rows", () => {
  /** One row, encoded. */
  async function encodeRow(encoding: "half" | "linear" | "root", row: Float32Array) {
    const { outputs } = await runKernel(gpu(), {
      spec: encode.encodeRows,
      constants: encode.encodeRowsConstants(encoding),
      buffers: {
        params: encode.encodeRowsParams(0, 1, row.length, 1),
        packed: row,
        row_peaks: Float32Array.of(Math.max(...row)),
        encoded: encode.encodedBytes(1, row.length),
      },
      workgroups: encode.encodeRowsWorkgroups(1, row.length),
      outputs: ["encoded"],
    });
    return [...new Uint16Array(outputs.encoded!.buffer, 0, row.length)];
  }

  it("rounds a half float that is a tie to the even one, subnormal ones too", async () => {
    const half = 0x3800; // 0.5; halves from there on are 2^-11 apart
    const ties = [
      [0.5 + 2 ** -12, half],
      [0.5 + 3 * 2 ** -12, half + 2],
      [0.5 + 5 * 2 ** -12, half + 2],
      [0.5 + 2 ** -12 + 2 ** -24, half + 1],
      [0.5 + 3 * 2 ** -12 - 2 ** -24, half + 1],
      [1 - 2 ** -12, 0x3c00],
      // the smallest is 2^-24
      [2 ** -25, 0],
      [2 ** -25 + 2 ** -40, 1],
      [3 * 2 ** -25, 2],
      [5 * 2 ** -25, 2],
      // where the bits of a mantissa become all of them again
      [2 ** -14 - 2 ** -25, 0x400],
    ] as const;
    const row = Float32Array.from(ties, ([value]) => value);
    expect([...row]).toEqual(ties.map(([value]) => value));
    expect(await encodeRow("half", row)).toEqual(ties.map(([, wanted]) => wanted));
  });

  it("keeps what is not the peak of a row below it, however near it comes", async () => {
    const peak = 0.75;
    const next = peak - 2 ** -24;
    expect(await encodeRow("root", Float32Array.of(next, peak, 0.7499, peak, 0, peak / 4)))
      // sqrt(0.7499 / 0.75) is 0.99993333
      .toEqual([65534, 65535, 65531, 65535, 0, 32768]);
  });

  it("rounds to the nearest of 65,536 steps from 0 to 1", async () => {
    const steps = [0, 0.4, 0.6, 1, 7.4, 7.6, 65534.4, 65534.6, 65535];
    const row = Float32Array.from(steps, (step) => step / 65535);
    expect(await encodeRow("linear", row)).toEqual(steps.map(Math.round));
  });

  for (const encoding of ["half", "linear", "root"] as const) {
    for (const [rows, width] of SIZES) {
      it(`${encoding}: ${rows} rows of ${width}, in two dispatches that meet in a word`, async () => {
        const packed = probabilities(rows, width);
        const wanted = encodeRows(packed, width, encoding);
        const cut = Math.ceil(rows / 2);
        let before: Uint16Array | undefined;
        for (const [from, to] of [[0, cut], [cut, rows]] as const) {
          if (from === to) continue;
          const { outputs } = await runKernel(gpu(), {
            spec: encode.encodeRows,
            constants: encode.encodeRowsConstants(encoding),
            buffers: {
              params: encode.encodeRowsParams(from, to, width, rows),
              packed,
              row_peaks: findPeaks(packed, width),
              encoded: encode.encodedBytes(rows, width),
            },
            workgroups: encode.encodeRowsWorkgroups(to - from, width),
            outputs: ["encoded"],
          });
          const { buffer } = outputs.encoded!;
          const got = new Uint16Array(buffer, 0, rows * width).slice(from * width, to * width);
          before = before ? Uint16Array.of(...before, ...got) : got;
        }
        // the shader's quotient and root round in f32: a tie may fall to the other side
        const most = encoding === "half" ? 0 : 1;
        let off = 0;
        before!.forEach((value, i) => {
          expect(Math.abs(value - wanted[i]!), `element ${i}`).toBeLessThanOrEqual(most);
          if (value !== wanted[i]) off++;
        });
        expect(off).toBeLessThanOrEqual(0.01 * wanted.length);
      });
    }
  }
});
