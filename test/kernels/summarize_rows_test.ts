import { describe, expect, it } from "vitest";
import * as summarize from "../../src/kernels/summarize_rows.ts";
import { SUMMARY, SUMMARY_LENGTH } from "../../src/kernels/summarize_rows.ts";
import { summarizeRow } from "../reference/summarize_rows.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();
const COVERAGE = 0.95;

function problem(rows: number, width: number) {
  const random = seeded(rows * width);
  const positions = Float32Array.from({ length: 2 * width }, () => 200 * random() - 100);
  const packed = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const own = Array.from({ length: width }, (_, bin) => {
      if (row % 4 === 1) return 1; // flat: every element ties
      if (row % 4 === 2) return bin === 0 || bin === width - 1 ? 1 : 0; // two equal peaks
      return Math.exp(-20 * random());
    });
    const sum = own.reduce((total, value) => total + value, 0);
    packed.set(own.map((value) => value / sum), row * width);
  }
  return { positions, packed };
}

async function summaries(rows: number, width: number) {
  const { positions, packed } = problem(rows, width);
  const { outputs } = await runKernel(gpu(), {
    spec: summarize.summarizeRows,
    constants: summarize.summarizeRowsConstants(COVERAGE),
    buffers: {
      params: summarize.summarizeRowsParams(0, rows, width),
      packed,
      positions,
      summaries: 4 * SUMMARY_LENGTH * rows,
    },
    workgroups: summarize.summarizeRowsWorkgroups(rows),
    outputs: ["summaries"],
  });
  return { positions, packed, got: outputs.summaries! };
}

describe("summarize_rows", () => {
  for (const [rows, width] of [[1, 1], [2, 2], [5, 63], [8, 64], [4, 65], [9, 1501]] as const) {
    it(`summarises ${rows} rows of ${width}`, async () => {
      const { positions, packed, got } = await summaries(rows, width);
      for (let row = 0; row < rows; row++) {
        const own = packed.subarray(row * width, (row + 1) * width);
        const wanted = summarizeRow(own, positions, COVERAGE);
        const value = (index: number) => got[row * SUMMARY_LENGTH + index]!;
        expect(value(SUMMARY.mapBin)).toBe(wanted.mapBin);
        expect(value(SUMMARY.peak)).toBe(Math.fround(wanted.peak));
        expect(Math.abs(value(SUMMARY.entropy) - wanted.entropy)).toBeLessThan(2e-5);
        for (const d of [0, 1] as const) {
          expect(Math.abs(value(SUMMARY.mean[d]) - wanted.mean[d])).toBeLessThan(1e-4);
          expect(Math.abs(value(SUMMARY.variance[d]) - wanted.variance[d])).toBeLessThan(0.02);
        }
        const threshold = value(SUMMARY.hpdThreshold);
        // sums in f32 and f64 may part at the very edge: then both regions cover, to rounding
        const mass = (least: number) => own.reduce((sum, p) => sum + (p >= least ? p : 0), 0);
        const next = Math.min(...own.filter((p) => p > threshold), Infinity);
        expect(own).toContain(threshold);
        expect(mass(threshold)).toBeGreaterThan(COVERAGE - 1e-6);
        expect(mass(next)).toBeLessThan(COVERAGE + 1e-6);
        expect(value(SUMMARY.hpdSize)).toBe(own.filter((p) => p >= threshold).length);
        if (Math.abs(mass(wanted.hpdThreshold) - COVERAGE) > 1e-6) {
          expect(threshold).toBe(wanted.hpdThreshold);
        }
      }
    });
  }
});
