/** One step of the filter over 10,658 states: as convolutions, as sparse rows and as a dense matrix. */

import type { Gpu } from "../src/gpu/device.ts";
import { denseTransition } from "../src/hmm/transition/dense_transition.ts";
import { sparseTransition } from "../src/hmm/transition/sparse_transition.ts";
import { contFrag } from "../src/hmm/decoder.ts";
import {
  hmmWeigh,
  hmmWeighParams,
  rowConstants,
  stateSumsBytes,
} from "../src/kernels/hmm_weigh.ts";
import type { DenseShape } from "../src/kernels/multiply_dense.ts";
import * as dense from "../src/kernels/multiply_dense.ts";
import * as sparse from "../src/kernels/multiply_sparse.ts";
import * as blocks from "../src/kernels/sum_blocks.ts";
import { formatTable } from "../src/math/format.ts";
import { fromWide, toWideRow } from "../src/math/wide.ts";
import type { HmmProblem } from "../test/support/hmm_problem.ts";
import {
  boxGrid,
  filterCase,
  hmmLayout,
  largestDifference,
  randomLogLikelihoods,
} from "../test/support/hmm_problem.ts";
import type { KernelCase } from "../test/support/run_kernel.ts";
import { runKernel } from "../test/support/run_kernel.ts";
import { asWide, wideOfLogs } from "../test/support/wide_numbers.ts";
import type { CeilingMeter, Ceilings } from "./ceilings.ts";
import { checkWithin, floorMs, median } from "./harness.ts";
import type { ResultRow } from "./results.ts";

const STRUCTURED_ROWS = 16;
const REPEATS = 5;

const linear = (product: Float32Array) => Float64Array.from(asWide(product), fromWide);

export const transitionStepBench = {
  name: "transition_step",

  async run(gpu: Gpu, meter: CeilingMeter): Promise<ResultRow[]> {
    const model = contFrag({ movementVar: 1.4 });
    const problem: HmmProblem = {
      name: "box",
      grid: boxGrid([73, 73]),
      model,
      rows: STRUCTURED_ROWS,
    };
    const layout = hmmLayout(problem);
    const { bins, width, rowLength } = layout;
    const states = model.names.length;
    const ceilings: Ceilings[] = [];
    const timed = async (test: KernelCase) => {
      ceilings.push(await meter.measure());
      const { outputs, milliseconds } = await runKernel(gpu, { ...test, repeats: REPEATS });
      return { outputs, ms: median(milliseconds) };
    };

    const logLikelihoods = randomLogLikelihoods(STRUCTURED_ROWS, bins, 1);
    const structured = await timed(filterCase(layout, logLikelihoods));
    const wanted = layout.unplace(structured.outputs.predicted!.subarray(rowLength, 2 * rowLength));

    const { stateTable, ...sparseT } = sparseTransition(problem.grid, model);
    const weigh = await timed({
      spec: hmmWeigh,
      constants: rowConstants(states),
      buffers: {
        params: hmmWeighParams({ bins: width, likelihoods: bins }, 0, 1, 0, width),
        states: stateTable,
        likelihood: wideOfLogs(logLikelihoods.subarray(0, bins)),
        predicted: toWideRow(layout.initial),
        filtered: 4 * width,
        filter_sums: 4 * (2 + states),
        state_sums: stateSumsBytes(1, states),
      },
      workgroups: [1],
      outputs: ["filtered", "state_sums"],
    });
    const { filtered, state_sums: stateSums } = weigh.outputs;

    const sparseShape = {
      lanes: 1,
      states,
      bins: width,
      transposed: false,
    };
    const gathered = await timed({
      spec: sparse.multiplySparse,
      constants: sparse.multiplySparseConstants(sparseShape),
      buffers: {
        params: sparse.multiplySparseParams(
          sparseShape,
          { at: 0, stride: width },
          { at: 0, stride: width },
        ),
        tiles: sparseT.tiles,
        ...sparseT.forward,
        vectors: filtered!,
        states: stateTable,
        spread_weights: sparseT.spread,
        state_sums: stateSums!,
        product: 4 * width,
      },
      workgroups: sparse.multiplySparseWorkgroups(sparseShape),
      outputs: ["product"],
    });
    const differences = {
      sparse: largestDifference(linear(gathered.outputs.product!), wanted),
      dense: NaN,
    };
    checkWithin("the sparse step", differences.sparse, 2e-7);

    // everything a matrix: nothing is spread
    const matrix = denseTransition(problem.grid, model, { expandUniform: true });
    const { rows, columns, partRows } = matrix;
    const shape: DenseShape = { rows, columns, partRows, lanes: 1, states, transposed: false };
    let partial: Float32Array | number = dense.densePartialBytes(shape);
    let denseMs = 0;
    let part = 0;
    for (const tiles of matrix.parts()) {
      const multiplied = await timed({
        spec: dense.multiplyDense,
        constants: dense.multiplyDenseConstants(shape),
        buffers: {
          params: dense.multiplyDenseParams(shape, part, 0, width),
          matrix: tiles,
          vectors: filtered!,
          state_sums: stateSums!,
          partial,
        },
        workgroups: dense.multiplyDenseWorkgroups(shape, part),
        outputs: ["partial"],
      });
      partial = multiplied.outputs.partial!;
      denseMs += multiplied.ms;
      part++;
    }
    const summed = await timed({
      spec: blocks.sumBlocks,
      constants: blocks.sumBlocksConstants,
      buffers: {
        params: blocks.sumBlocksParams(shape, width, 0, 0, width),
        partial,
        states: stateTable,
        spread_weights: matrix.spread,
        state_sums: stateSums!,
        product: 4 * width,
      },
      workgroups: blocks.sumBlocksWorkgroups(width, 1),
      outputs: ["product"],
    });
    differences.dense = largestDifference(linear(summed.outputs.product!), wanted);
    checkWithin("the dense step", differences.dense, 2e-7);

    const structuredMs = structured.ms / STRUCTURED_ROWS;
    const steps = {
      structured: { ms: structuredMs, multiplyAdds: layout.operator.multiplyAdds },
      sparse: { ms: weigh.ms + gathered.ms, multiplyAdds: sparseT.multiplyAdds },
      dense: { ms: weigh.ms + denseMs + summed.ms, multiplyAdds: matrix.multiplyAdds },
    };
    const floor = floorMs(
      { flops: 2 * rows * columns, bytes: matrix.partBytes.reduce((sum, bytes) => sum + bytes) },
      {
        gflops: median(ceilings.map(({ gflops }) => gflops)),
        gigabytes: median(ceilings.map(({ gigabytes }) => gigabytes)),
      },
    );
    const table = [["step", "multiply-adds", "ms a row", "times structured", "of floor"]];
    for (const [name, { ms, multiplyAdds }] of Object.entries(steps)) {
      table.push([
        name,
        String(multiplyAdds),
        ms.toFixed(3),
        (ms / structuredMs).toFixed(1),
        name === "dense" ? (floor / ms).toFixed(2) : "",
      ]);
    }
    console.log(
      `transition_step, ${width} states on ${gpu.adapter.name}\n${formatTable(table)}\n`,
    );
    return [{
      bench: "transition_step",
      case: `${width} states`,
      states: width,
      steps,
      differences,
      denseOverStructured: steps.dense.ms / structuredMs,
      denseOfFloor: floor / steps.dense.ms,
    }];
  },
};
