import { describe, expect, it } from "vitest";
import { mixRows, mixRowsConstants } from "../../src/kernels/mix_rows.ts";
import { mixRows as twinOf } from "../reference/mix_rows.ts";
import { packedRows } from "../support/entry_rows.ts";
import { useGpu } from "../support/gpu.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

const share32 = (share: number) => new Uint32Array(Float32Array.of(share).buffer)[0]!;

describe("mix_rows", () => {
  for (
    const [form, rows, genes, share] of [
      ["narrow", 1, 1, 1],
      ["narrow", 7, 257, 0.3],
      ["narrow", 3, 1000, 1],
      ["wide", 5, 301, 0.75],
      ["float", 6, 66, 0.1],
    ] as const
  ) {
    it(`mixes ${rows} rows of ${genes} genes from ${form} entries, ${share} their own`, async () => {
      const { rows: own, packed } = packedRows(form, rows + 2, genes);
      expect(packed.form).toBe(form);
      const isCount = form !== "float";
      // two rows of the tile come before the batch
      const partners = Uint32Array.from({ length: rows }, (_, row) => (row * 3 + 1) % rows);
      const stride = 4 * Math.ceil(genes / 4);
      const { outputs } = await runKernel(gpu(), {
        spec: mixRows,
        constants: mixRowsConstants(form, isCount),
        buffers: {
          params: Uint32Array.of(rows, 2, genes, share32(share)),
          starts: packed.starts,
          entries: packed.entries,
          partners: Uint32Array.of(9, 9, ...partners.map((partner) => 2 + partner)),
          // what was there before
          mixed: new Float32Array(rows * stride).fill(-7),
          entered: new Float32Array(rows * stride).fill(-7),
          libraries: 4 * rows,
        },
        workgroups: [rows],
        outputs: ["mixed", "entered", "libraries"],
      });
      const { mixed, libraries } = twinOf(own.slice(2), genes, partners, Math.fround(share));
      for (let i = 0; i < rows * stride; i++) {
        const gene = i % stride;
        const value = gene < genes ? mixed[Math.floor(i / stride) * genes + gene]! : 0;
        const close = (got: number, wanted: number) =>
          expect(Math.abs(got - wanted)).toBeLessThanOrEqual(4e-7 * Math.abs(wanted) + 1e-7);
        close(outputs.mixed![i]!, value);
        close(outputs.entered![i]!, isCount ? Math.log1p(value) : value);
      }
      for (let row = 0; row < rows; row++) {
        const off = Math.abs(outputs.libraries![row]! - libraries[row]!);
        expect(off).toBeLessThan(1e-6 * Math.max(1, Math.abs(libraries[row]!)) + 1e-5);
      }
    });
  }
});
