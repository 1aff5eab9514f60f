/** Windows of a table, beside the peers. */

import * as gather from "../../src/kernels/gather_windows.ts";
import type { Jax, JaxArray, PeerCase, Tf } from "./case.ts";
import { jaxArray, openChain, random, relative, some, tensorRun } from "./case.ts";

export function gatherCase(
  frames: number,
  windows: number,
  size: number,
  features: number,
): PeerCase {
  const table = some(frames * features);
  const starts = Array.from({ length: windows }, () => random.integer(frames - size + 1));
  const rows = Int32Array.from(
    { length: windows * size },
    (_, i) => starts[Math.floor(i / size)]! + i % size,
  );
  return {
    name: "window gather",
    shape: `${windows} x ${size} x ${features}`,
    flops: 0,
    arrays: { frames: table, rows },
    sizes: { frames: [frames, features], rows: [windows, size] },
    tolerance: 0,
    difference: relative,
    async ours(gpu) {
      const words = size * features;
      const run = await openChain(
        gpu,
        [{
          spec: gather.gatherWindows,
          constants: gather.gatherWindowsConstants("float32"),
          workgroups: gather.gatherWindowsWorkgroups(windows, words),
        }],
        {
          params: gather.gatherWindowsParams(0, words),
          window_table: Uint32Array.from(starts.flatMap((row, slot) => [row * features, slot])),
          frame_table: table,
          batch: 4 * words * windows,
        },
        "batch",
      );
      return async () => new Float32Array(await run());
    },
    jax: {
      "": (library) => {
        const jax = library as Jax;
        const { numpy } = jax;
        const x = jaxArray(jax, table, [frames, features]);
        const at = numpy.array(rows, { shape: [windows * size], dtype: numpy.int32 });
        const run = jax.jit((x: JaxArray, at: JaxArray) => numpy.take(x, at, 0));
        return () => run(x.ref, at.ref).data();
      },
    },
    tfjs: (library) => {
      const tf = library as Tf;
      const x = tf.tensor2d(table, [frames, features]);
      const at = tf.tensor2d(rows, [windows, size], "int32");
      return tensorRun(tf, () => tf.gather(x, at));
    },
  };
}
