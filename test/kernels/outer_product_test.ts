import { describe, expect, it } from "vitest";
import { openGpu } from "../../src/gpu/device.ts";
import * as project from "../../src/kernels/project_rows.ts";
import * as moments from "../../src/kernels/second_moments.ts";
import * as assign from "../../src/kernels/vq_assign.ts";
import { toPanels } from "../../src/math/panels.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import type { KernelCase } from "../support/run_kernel.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

// no whole number of quads, of pairs of features, or of squares
const [ROWS, FEATURES, CODES] = [203, 71, 19];

function problems(): KernelCase[] {
  const random = seeded(1);
  const some = (count: number) =>
    Float32Array.from({ length: count * FEATURES }, () => 2 * random() - 1);
  const [rows, codes] = [some(ROWS), some(CODES)];
  const points = toPanels(rows, FEATURES);
  const { codebooks, norms } = assign.packCodebooks([codes], FEATURES);
  const stride = moments.rowStride(FEATURES);
  const strided = Float32Array.from(
    { length: ROWS * stride },
    (_, i) => i % stride < FEATURES ? rows[Math.floor(i / stride) * FEATURES + i % stride]! : 0,
  );
  const shape = { features: FEATURES, blockRows: 64, tileRows: ROWS };
  return [
    {
      spec: assign.vqAssign,
      constants: assign.vqAssignConstants(FEATURES, CODES),
      buffers: {
        params: assign.vqAssignParams(ROWS, 5, ROWS, 0),
        points,
        codebooks,
        code_norms: norms,
        candidates: assign.candidateBytes(ROWS, CODES, 1),
      },
      workgroups: assign.vqAssignWorkgroups(ROWS - 5, CODES, 1),
      outputs: ["candidates"],
    },
    {
      spec: project.projectRows,
      constants: project.projectRowsConstants(FEATURES, ROWS),
      buffers: {
        params: project.projectRowsParams(0, ROWS, 0),
        points,
        vectors: project.packVectors(codes, FEATURES),
        projected: project.projectedBytes(ROWS, CODES),
      },
      workgroups: project.projectRowsWorkgroups(ROWS, CODES),
      outputs: ["projected"],
    },
    ...[moments.PART.whole, moments.PART.rest, moments.PART.last].map((part) => ({
      spec: moments.secondMoments,
      constants: moments.secondMomentsConstants(shape),
      buffers: {
        params: moments.secondMomentsParams(shape, 0, ROWS, 0, part),
        rows: strided,
        starts: 4,
        grains: moments.momentGrains(new Float32Array(FEATURES).fill(1), shape),
        moments: moments.momentBytes(shape),
      },
      workgroups: moments.secondMomentsWorkgroups(ROWS, shape),
      outputs: ["moments"],
    })),
  ];
}

describe("kernels that add up products", () => {
  it("give the same bits when quads of threads share what they load", async (context) => {
    if (!gpu().device.features.has("subgroups")) context.skip("the adapter has no subgroups");
    // a device keeps what it compiled by name
    const other = await openGpu();
    try {
      for (const { spec, outputs: [output], ...problem } of problems()) {
        const { quadCode, ...each } = spec;
        const run = async (on: typeof other, code: string) => {
          const test = { ...problem, spec: { ...each, code }, outputs: [output!] };
          return new Uint32Array((await runKernel(on, test)).outputs[output!]!.buffer);
        };
        const bits = await run(gpu(), spec.code);
        expect(bits.some((value) => value !== 0)).toBe(true);
        expect(await run(other, quadCode!)).toEqual(bits);
      }
    } finally {
      other.close();
    }
  });
});
