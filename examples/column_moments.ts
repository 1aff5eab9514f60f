/** Means and variances of the columns of rows larger than memory: an analysis in one file. */

import type { ChunkedArray, CommandContext, Gpu, Measured, OptionsOf } from "sluice/analysis";
import type { Task } from "sluice/analysis";
import { declare, outputChoices, Plan, planChoices, Points } from "sluice/analysis";
import { runAnalysis, variable, whole } from "sluice/analysis";

export const momentsOptions = declare("take moments", {
  ...{ ...planChoices, ...outputChoices },
  ddof: whole({ default: 1, from: 0, to: 1, says: "what is taken from the rows in variances" }),
});

const BLOCK = 256; // rows that are added up in f32; the host adds their sums up in f64, in order
const code = `
  @group(0) @binding(0) var<uniform> params: vec3u; // first row, end row, columns
  @group(0) @binding(1) var<storage, read> rows: array<f32>; // [rows, columns]
  @group(0) @binding(2) var<storage, read_write> sums: array<vec2f>; // [blocks, columns]
  @compute @workgroup_size(64) fn column_moments(@builtin(global_invocation_id) id: vec3u) {
    let first = params.x + id.y * ${BLOCK}u;
    var sum = vec2f();
    for (var row = first; row < min(first + ${BLOCK}u, params.y) && id.x < params.z; row++) {
      let value = rows[row * params.z + id.x];
      sum += vec2f(value, value * value);
    }
    if (id.x < params.z) { sums[first / ${BLOCK}u * params.z + id.x] = sum; }
  }`;
const bindings = { params: "uniform", rows: "read", sums: "read_write" } as const;
type Moments = Measured & Record<"mean" | "variance", Float64Array>;
type Given = OptionsOf<typeof momentsOptions>;

/** Plans the moments of points `[rows, columns]`: mean and variance are `[columns]` f64. */
export function columnMoments(gpu: Gpu, array: ChunkedArray, options: Given = {}) {
  const { out: place, overwrite, ddof, ...choices } = momentsOptions.check(options);
  const points = new Points(array, { action: "take moments" });
  const { rows, features } = points;
  const held = { sums: { dtype: "float64", length: 2 * features } } as const;
  const task: Task<typeof held, Moments> = {
    ...{ name: "moments", held, feeds: [points] },
    output: {
      ...{ kind: "moments", formatVersion: 1, place, overwrite, adapter: gpu.adapter.name },
      ...{ streamed: [], attributes: { parameters: { ddof } } },
      whole: ["mean", "variance"].map((name) => variable(name, "float64", [features], ["column"])),
    },
    layout: (tileRows) => ({
      ...{ rows, shared: [] },
      passes: [{
        ...{ name: "sum", direction: "forward", cost: 1, grain: BLOCK, resumesAt: () => true },
        slotBuffers: [
          { name: "rows", bytes: 4 * features * tileRows, role: "upload" },
          { name: "sums", bytes: 8 * features * tileRows / BLOCK, role: "download" },
        ],
        steps: [{
          ...{ kernel: { name: "column_moments", code, bindings }, constants: {}, order: "any" },
          params: (_tile, from, to) => Uint32Array.of(from, to, features, 0),
          workgroups: (some) => [Math.ceil(features / 64), Math.ceil(some / BLOCK)],
        }],
        hostBytes: { read: 8 * features * tileRows },
        read: async ({ start, end }) => ({ rows: await points.readStrided(start, end, features) }),
        write({ start, end }, downloads, { held: { sums } }) {
          const length = sums!.length * Math.ceil((end - start) / BLOCK);
          new Float32Array(downloads.sums!, 0, length)
            .forEach((sum, i) => sums![i % sums!.length]! += sum);
        },
      }],
    }),
    finish({ sums }) {
      const mean = Float64Array.from({ length: features }, (_, d) => sums[2 * d]! / rows);
      const squares = mean.map((own, d) => sums[2 * d + 1]! - rows * own * own);
      const variance = squares.map((own) => own / (rows - ddof) / points.scale ** 2);
      return { values: { mean: points.toOriginal(mean), variance } };
    },
  };
  return new Plan<Moments>(gpu, task, choices);
}

/** The command, `moments --input rows.npy --ddof 0`, once `src/cli/commands.ts` lists it. */
export async function moments(context: CommandContext) {
  await runAnalysis(context, momentsOptions, columnMoments);
}
