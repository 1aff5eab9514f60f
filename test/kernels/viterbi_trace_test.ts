import { describe, expect, it } from "vitest";
import {
  viterbiTrace,
  viterbiTraceConstants,
  viterbiTraceParams,
} from "../../src/kernels/viterbi_trace.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";
import { asWide } from "../support/wide_numbers.ts";

const gpu = useGpu();

describe("viterbi_trace", () => {
  for (const rows of [1, 300]) {
    it(`follows ${rows} rows from the bin before them, and says where it ended`, async () => {
      const [bins, stride] = [5, 6];
      const random = seeded(rows);
      const next = Uint32Array.from({ length: rows * stride }, () => Math.floor(bins * random()));
      const { outputs } = await runKernel(gpu(), {
        spec: viterbiTrace,
        constants: viterbiTraceConstants,
        buffers: {
          params: viterbiTraceParams(0, rows, stride),
          next,
          path_bin: Uint32Array.of(bins),
          path: 4 * rows,
        },
        workgroups: [1],
        outputs: ["path", "path_bin"],
      });
      const wanted: number[] = [];
      let bin = bins;
      for (let row = 0; row < rows; row++) wanted.push(bin = next[row * stride + bin]!);
      expect([...asWide(outputs.path!)]).toEqual(wanted);
      expect([...asWide(outputs.path_bin!)]).toEqual([bin]);
    });
  }
});
