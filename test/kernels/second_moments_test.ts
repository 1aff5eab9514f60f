import { describe, expect, it } from "vitest";
import * as kernel from "../../src/kernels/second_moments.ts";
import { PART, SQUARE } from "../../src/kernels/second_moments.ts";
import { laggedMoments, secondMoments } from "../reference/second_moments.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

function problem(rows: number, features: number) {
  const random = seeded(rows + features);
  const values = Float32Array.from({ length: rows * features }, () => 2 * random() - 1);
  const stride = kernel.rowStride(features);
  const strided = new Float32Array(rows * stride);
  for (let row = 0; row < rows; row++) {
    strided.set(values.subarray(row * features, (row + 1) * features), row * stride);
  }
  return { values, strided };
}

async function moments(
  strided: Float32Array,
  shape: kernel.MomentsShape,
  [from, to]: [number, number],
  { before = kernel.momentBytes(shape), part = PART.whole, starts = 4 }: {
    before?: Float32Array | number;
    part?: kernel.Part;
    starts?: Uint32Array | number;
  } = {},
) {
  const { outputs } = await runKernel(gpu(), {
    spec: kernel.secondMoments,
    constants: kernel.secondMomentsConstants(shape),
    buffers: {
      params: kernel.secondMomentsParams(shape, from, to, 0, part),
      rows: strided,
      starts,
      grains: kernel.momentGrains(new Float32Array(shape.features).fill(1), shape),
      moments: before,
    },
    workgroups: kernel.secondMomentsWorkgroups(to - from, shape),
    outputs: ["moments"],
  });
  return outputs.moments!;
}

describe("second_moments", () => {
  for (
    const [rows, features] of [[1, 1], [130, 64], [70, 65], [65, 137]] as const
  ) {
    it(`sums the products of ${features} features over ${rows} rows`, async () => {
      const { values, strided } = problem(rows, features);
      const blockRows = 64;
      const shape = { features, blockRows, tileRows: rows };
      const got = await moments(strided, shape, [0, rows]);
      const blocks = Math.ceil(rows / blockRows);
      for (let block = 0; block < blocks; block++) {
        const own = got.subarray(block * kernel.momentElements(features));
        const twin = secondMoments(
          values.subarray(block * blockRows * features, (block + 1) * blockRows * features),
          features,
        );
        kernel.forEachSquare(features, (at, row, column) => {
          for (let i = row; i < Math.min(features, row + SQUARE); i++) {
            for (let j = Math.max(i, column); j < Math.min(features, column + SQUARE); j++) {
              const value = own[at + (i - row) * SQUARE + j - column]!;
              // 64 products below 1, one after the other in f32
              expect(Math.abs(value - twin[i * features + j]!)).toBeLessThan(1e-5);
            }
          }
        });
      }
    });
  }

  for (const part of [PART.whole, PART.coarse]) {
    it(`sums products with frames that follow, of part ${part}`, async () => {
      const [frames, features, lags, blockRows] = [150, 70, 3, 64];
      const { values, strided } = problem(frames, features);
      // two runs of frames
      const starts = Uint32Array.from({ length: 135 }, (_, row) => row < 79 ? row : row + 11);
      const shape = { features, lags, blockRows, tileRows: starts.length };
      const got = await moments(strided, shape, [0, starts.length], { part, starts });
      const cut = part === PART.whole
        ? values
        : values.map((value) => Math.round(value * 512) / 512);
      for (let block = 0; block * blockRows < starts.length; block++) {
        const own = starts.subarray(block * blockRows, (block + 1) * blockRows);
        const twin = laggedMoments(cut, features, own, lags);
        const at = block * kernel.momentElements(features, lags);
        kernel.forEachSquare(features, (square, row, column, lag) => {
          for (let i = row; i < Math.min(features, row + SQUARE); i++) {
            for (
              let j = lag === 0 ? Math.max(i, column) : column;
              j < Math.min(features, column + SQUARE);
              j++
            ) {
              const value = got[at + square + (i - row) * SQUARE + j - column]!;
              const off = Math.abs(value - twin[(lag * features + i) * features + j]!);
              expect(off).toBeLessThanOrEqual(part === PART.whole ? 1e-5 : 0);
            }
          }
        }, lags);
      }
    });
  }

  it("sums exactly in two parts, or in three", async () => {
    const [rows, features] = [64, 11];
    const { values, strided } = problem(rows, features);
    const shape = { features, blockRows: 64, tileRows: rows };
    const sums = (part: kernel.Part) => moments(strided, shape, [0, rows], { part });
    const coarse = await sums(PART.coarse);
    const [rest, middle, last] = [
      await sums(PART.rest),
      await sums(PART.middle),
      await sums(PART.last),
    ];
    const twin = secondMoments(values, features);
    for (let i = 0; i < features; i++) {
      for (let j = i; j < features; j++) {
        const at = i * SQUARE + j;
        // plain sums are off by some 1e-6
        const two = coarse[at]! + rest[at]!;
        expect(Math.abs(two - twin[i * features + j]!)).toBeLessThan(1e-8);
        const three = coarse[at]! + middle[at]! + last[at]!;
        // the last part's sum, near 1e-5, rounds 128 times by up to 2^-25 of that
        expect(Math.abs(three - twin[i * features + j]!)).toBeLessThan(4e-11);
      }
    }
    // products of 9 bits with 9 bits more are no sums of f32 that round
    const middles = values.map((value) => {
      const left = value - Math.round(value * 512) / 512;
      return Math.round(left * 512 * 512) / (512 * 512);
    });
    let mixed = 0;
    for (let row = 0; row < rows; row++) {
      const [h, m] = [row * features, row * features + 1];
      const cut = (at: number) => Math.round(values[at]! * 512) / 512;
      mixed += cut(h) * middles[m]! + middles[h]! * cut(m);
    }
    expect(middle[1]).toBe(mixed);
    const cut = (value: number) => Math.round(value * 512) / 512;
    const whole = secondMoments(Float64Array.from(values, cut), features);
    for (let j = 0; j < features; j++) expect(coarse[j]).toBe(whole[j]);
  });

  it("goes on in a block that an earlier dispatch began", async () => {
    const [rows, features] = [130, 64];
    const { strided } = problem(rows, features);
    const shape = { features, blockRows: 64, tileRows: rows };
    const whole = await moments(strided, shape, [0, rows]);
    const before = await moments(strided, shape, [0, 100]);
    const parts = await moments(strided, shape, [100, rows], { before });
    expect(parts).toEqual(whole);
  });
});
