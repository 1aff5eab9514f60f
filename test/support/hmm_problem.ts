/** Small, seeded decoding problems, with everything a kernel or its twin needs. */

import type { Grid } from "../../src/hmm/grid.ts";
import type { StateModel } from "../../src/hmm/states.ts";
import { contFrag, continuous, stateModel } from "../../src/hmm/states.ts";
import { FILTER_SUMS_HEAD, hmmFilter, hmmFilterParams } from "../../src/kernels/hmm_filter.ts";
import { hmmSmooth, hmmSmoothParams } from "../../src/kernels/hmm_smooth.ts";
import { fieldBytes, hmmConstants } from "../../src/kernels/hmm_transition.ts";
import { transitionOperator } from "../../src/hmm/transition.ts";
import { seeded } from "./random.ts";

/** A grid with unit bins whose interior is what `inside` says. */
export function boxGrid(
  shape: readonly [number] | readonly [number, number],
  inside: (x: number, y: number) => boolean = () => true,
): Grid {
  const edges = shape.map((bins) => Float64Array.from({ length: bins + 1 }, (_, i) => i));
  const columns = shape[shape.length - 1]!;
  const interior = Uint8Array.from(
    { length: shape.reduce((product, bins) => product * bins, 1) },
    (_, bin) => inside(Math.floor(bin / columns), bin % columns) ? 1 : 0,
  );
  return {
    dimensions: shape.length as 1 | 2,
    binSize: 1,
    shape,
    edges,
    centers: edges.map((edge) => edge.slice(1).map((value) => value - 0.5)),
    interior,
    interiorIndex: Uint32Array.from(
      Array.from(interior.keys()).filter((bin) => interior[bin] === 1),
    ),
  };
}

/** Three states whose blocks use every kind of transition, with two different random walks. */
export function mixedStates(): StateModel {
  return stateModel({
    names: ["slow", "fast", "still"],
    initial: [0.5, 0.3, 0.2],
    discreteTransition: [[0.9, 0.06, 0.04], [0.1, 0.85, 0.05], [0.2, 0.1, 0.7]],
    transitions: [
      [
        { kind: "randomWalk", movementVar: 0.8 },
        { kind: "randomWalk", movementVar: 3 },
        { kind: "uniform" },
      ],
      [{ kind: "randomWalk", movementVar: 0.8 }, { kind: "randomWalk", movementVar: 3 }, {
        kind: "uniform",
      }],
      [{ kind: "uniform" }, { kind: "uniform" }, { kind: "identity" }],
    ],
  });
}

export interface HmmProblem {
  name: string;
  grid: Grid;
  model: StateModel;
  rows: number;
}

/** Odd sizes, one row, one bin, holes, both dimensions, every kind of block. */
export function hmmProblems(): HmmProblem[] {
  const ring = (x: number, y: number) => (x - 5) ** 2 + (y - 6) ** 2 > 6;
  return [
    {
      name: "one bin, one row",
      grid: boxGrid([1]),
      model: continuous({ movementVar: 1 }),
      rows: 1,
    },
    {
      name: "91 bins of a track",
      grid: boxGrid([91]),
      model: continuous({ movementVar: 6 }),
      rows: 5,
    },
    {
      name: "a track with two states",
      grid: boxGrid([37]),
      model: contFrag({ movementVar: 2 }),
      rows: 7,
    },
    {
      name: "a track with gaps and three states",
      grid: boxGrid([23], (_, y) => y % 5 !== 3),
      model: mixedStates(),
      rows: 4,
    },
    { name: "a box", grid: boxGrid([9, 13]), model: continuous({ movementVar: 1.5 }), rows: 6 },
    {
      name: "a ring with two states",
      grid: boxGrid([11, 13], ring),
      model: contFrag({ movementVar: 4 }),
      rows: 5,
    },
    {
      name: "a ring with three states",
      grid: boxGrid([11, 13], ring),
      model: mixedStates(),
      rows: 3,
    },
    {
      name: "a walk wider than the box",
      grid: boxGrid([5, 6]),
      model: continuous({ movementVar: 400 }),
      rows: 3,
    },
    {
      name: "more cells than threads",
      grid: boxGrid([17, 18]),
      model: contFrag({ movementVar: 2 }),
      rows: 3,
    },
  ];
}

/** Likelihoods in (0, 1] with 1 in some bin of every row, shared by all states. */
export function randomLogLikelihoods(rows: number, bins: number, seed: number): Float64Array {
  const random = seeded(seed);
  const values = Float64Array.from({ length: rows * bins }, () => -8 * random());
  for (let row = 0; row < rows; row++) values[row * bins + Math.floor(random() * bins)] = 0;
  return values;
}

/** Repeats per-bin values over states: [rows, states * bins]. */
export function overStates(values: Float64Array, bins: number, states: number): Float64Array {
  const rows = values.length / bins;
  return Float64Array.from(
    { length: rows * states * bins },
    (_, i) => values[Math.floor(i / (states * bins)) * bins + i % bins]!,
  );
}

/** Lays out host arrays as the HMM kernels read them, and reads their rows back. */
export function hmmLayout({ grid, model }: Pick<HmmProblem, "grid" | "model">) {
  const operator = transitionOperator(grid, model);
  const { cells, states } = operator.shape;
  const bins = operator.interior;
  const rowLength = states * cells * 4;
  return {
    operator,
    bins,
    width: states * bins,
    rowLength,
    initial: Float64Array.from(
      { length: states * bins },
      (_, i) => model.initial[Math.floor(i / bins)]! / bins,
    ),
    /** [rows, bins] to [rows, cells, 4]. */
    perBin(values: Float64Array): Float32Array {
      const rows = values.length / bins;
      const placed = new Float32Array(rows * cells * 4);
      for (let row = 0; row < rows; row++) {
        placed.set(operator.toCells((bin) => values[row * bins + bin]!, 0), row * cells * 4);
      }
      return placed;
    },
    /** [rows, states * bins] to [rows, states, cells, 4]. */
    perState(values: Float64Array): Float32Array {
      const rows = values.length / (states * bins);
      const placed = new Float32Array(rows * rowLength);
      for (let i = 0; i < rows * states; i++) {
        placed.set(operator.toCells((bin) => values[i * bins + bin]!, 0), i * cells * 4);
      }
      return placed;
    },
    /** [rows, states, cells, 4] to [rows, states * bins]. */
    unplace(placed: Float32Array): Float32Array {
      const rows = placed.length / rowLength;
      const table = operator.packTable;
      return Float32Array.from(
        { length: rows * table.length },
        (_, i) => placed[Math.floor(i / table.length) * rowLength + table[i % table.length]!]!,
      );
    },
  };
}

type HmmLayout = ReturnType<typeof hmmLayout>;

const operatorBuffers = ({ operator }: HmmLayout, lanes: number) => ({
  transition: new Uint8Array(operator.uniform),
  grid_table: operator.gridTable,
  row_scale: operator.rowScale,
  field: lanes * fieldBytes(operator.shape),
});

/** `hmm_filter` from the initial distribution over rows of log-likelihoods [lanes, rows, bins]. */
export function filterCase(layout: HmmLayout, logLikelihoods: Float64Array, lanes = 1) {
  const { operator, bins, rowLength } = layout;
  const rows = logLikelihoods.length / bins / lanes;
  const predicted = new Float32Array(lanes * (rows + 1) * rowLength);
  for (let lane = 0; lane < lanes; lane++) {
    predicted.set(layout.perState(layout.initial), lane * (rows + 1) * rowLength);
  }
  return {
    spec: hmmFilter,
    constants: hmmConstants(operator.shape),
    buffers: {
      ...operatorBuffers(layout, lanes),
      params: hmmFilterParams(0, rows, rows, {
        rowStride: rowLength / 4,
        laneStride: (rows + 1) * rowLength / 4,
      }),
      likelihood: layout.perBin(logLikelihoods.map(Math.exp)),
      predicted,
      filtered: 4 * lanes * rows * rowLength,
      filter_sums: 4 * lanes * rows * (FILTER_SUMS_HEAD + operator.shape.states),
    },
    workgroups: [lanes],
    outputs: ["predicted", "filtered", "filter_sums"],
  };
}

/** `hmm_smooth` over rows as the filter leaves them, the last of which, of each lane, is its start. */
export function smoothCase(
  layout: HmmLayout,
  filtered: Float32Array,
  predicted: Float32Array,
  lanes = 1,
) {
  const { operator, rowLength } = layout;
  const rows = filtered.length / rowLength / lanes;
  return {
    spec: hmmSmooth,
    constants: hmmConstants(operator.shape),
    buffers: {
      ...operatorBuffers(layout, lanes),
      params: hmmSmoothParams(0, rows, rows, {
        firstEnd: rows - 1,
        laneLength: rows,
        burnInEnd: lanes > 1 ? rows - 1 : undefined,
      }),
      predicted,
      filtered,
      smoothed_carry: 4 * lanes * rowLength,
      smooth_sums: 4 * lanes * rows * operator.shape.states,
    },
    workgroups: [lanes],
    outputs: ["filtered", "smoothed_carry", "smooth_sums"],
  };
}

/** Largest absolute difference. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new RangeError(`lengths differ: ${a.length} and ${b.length}`);
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}
