/** Problems for the benches of the HMM kernels: a track, a full box, one and two states. */

import { contFrag, continuous } from "../src/hmm/decoder.ts";
import { Random } from "../src/math/random.ts";
import { toWideRow } from "../src/math/wide.ts";
import type { HmmProblem } from "../test/support/hmm_problem.ts";
import { boxGrid } from "../test/support/hmm_problem.ts";
import { asWide, largestError, logsOf } from "../test/support/wide_numbers.ts";
import type { Bench, BenchCase } from "./harness.ts";
import { checkWithin } from "./harness.ts";

export const HMM_ROWS = 128;

/** A strip 14 bins wide through a box of 73 x 82, as a camera sees a track. */
const strip = (x: number, y: number) => Math.abs(x - 0.8 * y - 4) < 7;

export function hmmCases(): HmmProblem[] {
  const rows = HMM_ROWS;
  return [
    {
      name: "track, 33 taps",
      grid: boxGrid([73, 82], strip),
      model: continuous({ movementVar: 4 }),
    },
    {
      name: "track, 17 taps",
      grid: boxGrid([73, 82], strip),
      model: continuous({ movementVar: 1 }),
    },
    {
      name: "track, 33 taps, 2 states",
      grid: boxGrid([73, 82], strip),
      model: contFrag({ movementVar: 4 }),
    },
    {
      name: "box 73 x 73, 19 taps, 2 states",
      grid: boxGrid([73, 73]),
      model: contFrag({ movementVar: 1.4 }),
    },
    {
      name: "line of 91 bins, 19 taps",
      grid: boxGrid([91]),
      model: continuous({ movementVar: 1.4 }),
    },
  ].map((problem) => ({ ...problem, rows }));
}

/** The twin multiplies matrices: it checks the first rows alone. */
export const CHECKED_ROWS = 3;

/** Rows of two states for the kernels between products with a matrix: a track's and a full box's. */
export const ROW_CASES = [[993, 1], [993, 64], [5329, 1], [5329, 16]].map(([interior, lanes]) => ({
  lanes: lanes!,
  starts: [0, interior!, 2 * interior!],
  stateTable: Uint32Array.of(0, 0, interior!, 0, 2 * interior!, 0),
}));

interface RowCase {
  lanes: number;
  states: number;
  bins: number;
  stateTable: Uint32Array;
  /** Two rows of wide numbers a lane. */
  inputs: [Uint32Array, Uint32Array];
}

interface RowKernel extends Pick<BenchCase, "spec" | "constants" | "buffers"> {
  /** Operations an element, and how many times as many bytes as a row has are moved. */
  operations: number;
  passes: number;
  output: string;
  /** From natural logarithms to natural logarithms. */
  twin(first: Float64Array, second: Float64Array): Float64Array;
  /** Of the relative error. */
  tolerance: number;
}

/** A bench of a kernel that makes a row a lane of two others. */
export function rowBench(name: string, describe: (row: RowCase) => RowKernel): Bench {
  return {
    name,
    cases: () =>
      ROW_CASES.map(({ lanes, starts, stateTable }) => {
        const random = new Random(1);
        const states = starts.length - 1;
        const bins = starts[states]!;
        const randoms = () =>
          toWideRow(Float64Array.from({ length: lanes * bins }, () => 0.5 + random.uniform()));
        const inputs: RowCase["inputs"] = [randoms(), randoms()];
        const { spec, constants, buffers, output, twin, ...kernel } = describe(
          { lanes, states, bins, stateTable, inputs },
        );
        return {
          spec,
          constants,
          buffers,
          shape: `${bins} state bins, ${lanes} lanes`,
          rows: lanes,
          flops: kernel.operations * lanes * bins,
          bytes: kernel.passes * inputs[0].byteLength,
          workgroups: [lanes],
          outputs: [output],
          check(outputs) {
            const last = (values: Uint32Array) => values.subarray((lanes - 1) * bins);
            const wanted = twin(logsOf(last(inputs[0])), logsOf(last(inputs[1])));
            const got = last(asWide(outputs[output]!));
            checkWithin(name, largestError(got, wanted), kernel.tolerance);
          },
        };
      }),
  };
}
