/** Small, seeded decoding problems, with everything a kernel or its twin needs. */

import type { Grid } from "../../src/hmm/grid.ts";
import type { StateModel } from "../../src/hmm/states.ts";
import { contFrag, continuous, stateModel } from "../../src/hmm/decoder.ts";
import { FILTER_SUMS_HEAD, hmmFilter, hmmFilterParams } from "../../src/kernels/hmm_filter.ts";
import { hmmSmooth, hmmSmoothParams } from "../../src/kernels/hmm_smooth.ts";
import { fieldBytes, hmmConstants } from "../../src/kernels/hmm_transition.ts";
import { transitionOperator } from "../../src/hmm/transition/transition.ts";
import { toWide, wideLog2 } from "../../src/math/wide.ts";
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

/** The same grid with bins of other sizes along each dimension. */
function oblong(grid: Grid, sizes: readonly number[]): Grid {
  const stretch = (along: readonly Float64Array[]) =>
    along.map((values, d) => values.map((value) => value * sizes[d]!));
  return { ...grid, edges: stretch(grid.edges), centers: stretch(grid.centers) };
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
      name: "a box of oblong bins",
      grid: oblong(boxGrid([7, 10]), [3, 1]),
      model: contFrag({ movementVar: 9 }),
      rows: 3,
    },
    {
      name: "two rooms with nothing between them",
      grid: boxGrid([16, 8], (x, y) => (x < 4 && y < 4) || (x >= 12 && y >= 4)),
      model: continuous({ movementVar: 9 }),
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

/** Log-likelihoods from 0 to `-depth`, with 0 in some bin of every row, shared by all states. */
export function randomLogLikelihoods(
  rows: number,
  bins: number,
  seed: number,
  depth = 8,
): Float64Array {
  const random = seeded(seed);
  const values = Float64Array.from({ length: rows * bins }, () => -depth * random());
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
    /** Natural logarithms [rows, bins] to wide [rows, cells, 4]. */
    perBin(logs: Float64Array): Uint32Array {
      const rows = logs.length / bins;
      const placed = new Uint32Array(rows * cells * 4);
      for (let row = 0; row < rows; row++) {
        placed.set(
          operator.toCells((bin) => wideOf(logs[row * bins + bin]!), 0),
          row * cells * 4,
        );
      }
      return placed;
    },
    /** Natural logarithms [rows, states * bins] to wide [rows, states, cells, 4]. */
    perState(logs: Float64Array): Uint32Array {
      const rows = logs.length / (states * bins);
      const placed = new Uint32Array(rows * rowLength);
      for (let i = 0; i < rows * states; i++) {
        placed.set(operator.toCells((bin) => wideOf(logs[i * bins + bin]!), 0), i * cells * 4);
      }
      return placed;
    },
    /** Wide [rows, states, cells, 4], in whichever array, to natural logarithms [rows, states * bins]. */
    unplace(placed: Float32Array): Float64Array {
      const rows = placed.length / rowLength;
      const table = operator.packTable;
      const wide = wideBits(placed);
      return Float64Array.from(
        { length: rows * table.length },
        (_, i) => {
          const at = Math.floor(i / table.length) * rowLength + table[i % table.length]!;
          return wideLog2(wide[at]!) * Math.LN2;
        },
      );
    },
  };
}

/** The wide number nearest to e^`log`. */
export function wideOf(log: number): number {
  if (log === -Infinity) return 0;
  const power = Math.floor(log / Math.LN2);
  return toWide(Math.exp(log - power * Math.LN2), power);
}

/** What was read back, as what it is. */
export function wideBits({ buffer, byteOffset, length }: Float32Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, length);
}

type HmmLayout = ReturnType<typeof hmmLayout>;

const operatorBuffers = ({ operator }: HmmLayout, lanes: number) => ({
  transition: new Uint8Array(operator.uniform),
  grid_table: operator.gridTable,
  row_scale: operator.rowScale,
  field: lanes * fieldBytes(operator.shape),
});

/** `hmm_filter` from the initial distribution over rows of log-likelihoods [lanes, rows, kinds, bins]. */
export function filterCase(
  layout: HmmLayout,
  logLikelihoods: Float64Array,
  lanes = 1,
  likelihoodOf: readonly number[] = new Array(layout.operator.shape.states).fill(0),
) {
  const { operator, bins, rowLength } = layout;
  const kinds = Math.max(...likelihoodOf) + 1;
  const rows = logLikelihoods.length / bins / kinds / lanes;
  const predicted = new Uint32Array(lanes * (rows + 1) * rowLength);
  for (let lane = 0; lane < lanes; lane++) {
    predicted.set(layout.perState(layout.initial.map(Math.log)), lane * (rows + 1) * rowLength);
  }
  return {
    spec: hmmFilter,
    constants: hmmConstants(operator.shape),
    buffers: {
      ...operatorBuffers(layout, lanes),
      params: hmmFilterParams(0, rows, rows, {
        rowStride: rowLength / 4,
        laneStride: (rows + 1) * rowLength / 4,
      }, likelihoodOf),
      likelihood: layout.perBin(logLikelihoods),
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
  filtered: Uint32Array,
  predicted: Uint32Array,
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
      ratio: 4 * lanes * rowLength,
      smooth_sums: 4 * lanes * rows * operator.shape.states,
    },
    workgroups: [lanes],
    outputs: ["filtered", "smoothed_carry", "smooth_sums"],
  };
}

/** Largest absolute difference; equal infinities do not differ. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new RangeError(`lengths differ: ${a.length} and ${b.length}`);
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = a[i] === b[i] ? 0 : Math.abs(a[i]! - b[i]!);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}
