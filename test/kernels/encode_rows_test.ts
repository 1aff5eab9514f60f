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
