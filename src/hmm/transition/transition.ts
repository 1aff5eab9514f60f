/**
 * The transition of a decoder as an operator: never a matrix, always blocks of random walk, uniform
 * and identity over one grid.
 *
 * A random walk on a Euclidean grid is a Gaussian convolution along each axis, masked to the interior
 * and divided by each bin's own masked sum, so its rows sum to 1 exactly. Taps beyond 8 standard
 * deviations are left out: 6 already shows in the filter (3e-5), 8 does not (1e-8).
 *
 * Source of the model: Denovellis et al. 2021 (state space decoding); the operator form is ours.
 *
 * @module
 */

import type { HmmShape } from "../../kernels/hmm_transition.ts";
import {
  MAX_JOBS,
  MAX_STATES,
  MAX_TAPS_X,
  MAX_TAPS_Y,
  TRANSITION_LAYOUT,
  transitionSizes,
} from "../../kernels/hmm_transition.ts";
import type { Grid } from "../grid.ts";
import type { StateModel } from "../states.ts";

/** Where the Gaussian is cut, in standard deviations. */
export const CUT_SIGMAS = 8;

/** Kinds of block that the operator is made of; others take a sparse or a dense one. */
const CONVOLUTION_KINDS = ["randomWalk", "uniform", "identity"];

/** The operator as the kernels take it, with the tables that lead from interior bins to cells. */
export interface TransitionOperator {
  shape: HmmShape;
  /** Interior bins of one discrete state. */
  interior: number;
  /** Struct `Transition` of the kernels. */
  uniform: ArrayBuffer;
  /** Padded index of every cell, then the groups of the two convolutions. */
  gridTable: Uint32Array;
  /** [jobs or 1, cells, 4] f32, 1 / masked row sum, 0 outside the interior. */
  rowScale: Float32Array;
  /** [states * interior] offset of each interior bin within a row of cells, in f32. */
  packTable: Uint32Array;
  /** Multiply-adds of one application, summed over the padded groups that are computed. */
  multiplyAdds: number;
  /** Places values [interior] of one state into cells [cells, 4], with `outside` elsewhere. */
  toCells(values: (bin: number) => number, outside: number): Float64Array;
}

interface Box {
  rows: number;
  columns: number;
  /** vec4 columns of a row. */
  wide: number;
  groupRows: 1 | 4;
}

/** Bins that a thread makes at a time: `groupRows` rows of a column of vec4. */
interface Group {
  group: number;
  column: number;
}

/** Groups that hold an interior bin, and those that the two convolutions make. */
interface ConvolutionGroups {
  sources: Group[];
  halfway: Group[];
  results: Group[];
}

/** Taps that are not left out, and how many rows each of them adds to 16 multiply-adds of. */
interface TapRange {
  first: number;
  end: number;
  rows: number;
}

interface Walk {
  /** Taps at distances 0, 1, ... along x and y. */
  tapsX: Float64Array;
  tapsY: Float64Array;
}

interface Job {
  walk: Walk;
  /** Weight of each source state, and of each target state. */
  into: number[];
  outOf: number[];
}

/**
 * Builds the operator of `model` on `grid`.
 *
 * @throws {RangeError} If a block is not made of random walk, uniform or identity, or if there are more
 * states, distinct random walks or taps than the kernels hold.
 */
export function transitionOperator(grid: Grid, model: StateModel): TransitionOperator {
  const states = model.names.length;
  if (states > MAX_STATES) {
    throw new RangeError(
      `Cannot build a transition: ${states} discrete states, at most ${MAX_STATES} are supported`,
    );
  }
  const other = model.transitions.flat().find(({ kind }) => !CONVOLUTION_KINDS.includes(kind));
  if (other) {
    throw new RangeError(
      `Cannot build a transition of convolutions: a block is of kind "${other.kind}", wanted ` +
        CONVOLUTION_KINDS.join(", "),
    );
  }
  if (grid.environments) {
    throw new RangeError(
      `Cannot build a transition of convolutions: there are ${grid.environments.length} environments, wanted one`,
    );
  }
  if (grid.track && model.transitions.flat().some(({ kind }) => kind === "randomWalk")) {
    throw new RangeError(
      "Cannot build a transition of convolutions: bins lie along a track, where walks branch, wanted a box",
    );
  }
  const single = model.names.find((_, state) => model.oneBin?.[state]);
  if (single !== undefined) {
    throw new RangeError(
      `Cannot build a transition of convolutions: state "${single}" has a single bin, wanted the ` +
        "grid's in every state",
    );
  }
  const flat = grid.dimensions === 1;
  const rows = flat ? 1 : grid.shape[0]!;
  const columns = grid.shape[flat ? 0 : 1]!;
  const box: Box = {
    rows,
    columns,
    wide: Math.ceil(columns / 4),
    groupRows: flat ? 1 : 4,
  };
  const jobs = collectJobs(grid, model);
  if (jobs.length > MAX_JOBS) {
    throw new RangeError(
      `Cannot build a transition: it takes ${jobs.length} convolutions a step, at most ${MAX_JOBS} ` +
        "are supported; give random walks the same movementVar where they may share it",
    );
  }
  const reachY = Math.max(0, ...jobs.map(({ walk }) => Math.ceil((walk.tapsY.length - 1) / 4)));
  const reachX = Math.max(0, ...jobs.map(({ walk }) => walk.tapsX.length - 1));
  const stride = box.wide + 2 * reachY;
  const paddedRows = Math.ceil(rows / box.groupRows) * box.groupRows + 2 * reachX;
  const at = (row: number, wide: number) => (reachX + row) * stride + reachY + wide;

  const cellOf = new Map<number, number>();
  const cells: number[] = [];
  const packOffsets = new Uint32Array(grid.interiorIndex.length);
  grid.interiorIndex.forEach((flatIndex, bin) => {
    const row = Math.floor(flatIndex / columns);
    const column = flatIndex % columns;
    const place = at(row, column >> 2);
    let cell = cellOf.get(place);
    if (cell === undefined) {
      cell = cells.length;
      cellOf.set(place, cell);
      cells.push(place);
    }
    packOffsets[bin] = 4 * cell + (column & 3);
  });

  const groups = convolutionGroups(box, grid, reachX, reachY);
  const { halfway, results } = groups;
  const ranges = jobs.flatMap(({ walk }) => tapRanges(box.groupRows, groups, walk));
  const interior = grid.interiorIndex.length;
  const packTable = new Uint32Array(states * interior);
  for (let state = 0; state < states; state++) {
    for (let bin = 0; bin < interior; bin++) {
      packTable[state * interior + bin] = state * 4 * cells.length + packOffsets[bin]!;
    }
  }
  const toCells = (values: (bin: number) => number, outside: number) => {
    const placed = new Float64Array(4 * cells.length).fill(outside);
    for (let bin = 0; bin < interior; bin++) placed[packOffsets[bin]!] = values(bin);
    return placed;
  };
  const rowScale = new Float32Array(4 * cells.length * Math.max(1, jobs.length));
  // without a random walk the table still says which lanes are interior
  if (jobs.length === 0) rowScale.set(toCells(() => 1, 0));
  jobs.forEach(({ walk }, job) => {
    const sums = maskedRowSums(box, grid.interior, walk);
    const scale = toCells((bin) => 1 / sums[grid.interiorIndex[bin]!]!, 0);
    rowScale.set(scale, job * 4 * cells.length);
  });
  const shape: HmmShape = {
    states,
    cells: cells.length,
    jobs: jobs.length,
    padded: paddedRows * stride,
    stride,
    groupRows: box.groupRows,
    stays: model.transitions.flat().some(({ kind }) => kind === "identity"),
    halfwayGroups: halfway.length,
    resultGroups: results.length,
  };
  const inside = toCells(() => 1, 0);
  const insideBits = (cell: number) =>
    [28, 29, 30, 31].reduce((sum, bit, i) => sum + inside[4 * cell + i]! * 2 ** bit, 0);
  const multiplyAdds = ranges.reduce(
    (sum, { first, end, rows }) => sum + 16 * rows * (end - first),
    0,
  );
  return {
    shape,
    interior,
    uniform: packTransition(shape, jobs, model, interior),
    gridTable: Uint32Array.from([
      ...cells.map((place, cell) => place + insideBits(cell)),
      ...[...halfway, ...results].map(({ group, column }) => at(group * box.groupRows, column)),
      ...ranges.map(({ first, end }) => first + (end << 16)),
    ]),
    rowScale,
    packTable,
    multiplyAdds,
    toCells,
  };
}

/**
 * Gaussian taps at distances 0, 1, ... bins, cut at {@link CUT_SIGMAS} or the grid's end. Rounded to
 * f32 here, so that rows are normalised with the very taps the kernels use: a bias of 1e-7 a row would
 * add up to nats in the log-likelihood of a long recording.
 */
export function gaussianTaps(variance: number, spacing: number, bins: number): Float64Array {
  const radius = Math.min(Math.floor(CUT_SIGMAS * Math.sqrt(variance) / spacing), bins - 1);
  return Float64Array.from(
    { length: radius + 1 },
    (_, distance) => Math.fround(Math.exp(-0.5 * (distance * spacing) ** 2 / variance)),
  );
}

/** One convolution for every set of random-walk blocks that are multiples of each other. */
function collectJobs(grid: Grid, model: StateModel): Job[] {
  const spacing = grid.edges.map((edges, i) => (edges.at(-1)! - edges[0]!) / grid.shape[i]!);
  const variances = new Set<number>();
  for (const row of model.transitions) {
    for (const block of row) {
      if (block.kind === "randomWalk") variances.add(block.movementVar);
    }
  }
  return [...variances].flatMap((variance) => {
    const weights = model.transitions.map((row, from) =>
      row.map((block, to) =>
        block.kind === "randomWalk" && block.movementVar === variance
          ? model.discreteTransition[from]![to]!
          : 0
      )
    );
    const transposed = weights.map((_, to) => weights.map((row) => row[to]!));
    const byRow = mergeRows(weights);
    const byColumn = mergeRows(transposed);
    const factors = byRow.length <= byColumn.length
      ? byRow.map(({ scale, row }) => ({ into: scale, outOf: row }))
      : byColumn.map(({ scale, row }) => ({ into: row, outOf: scale }));
    const flat = grid.dimensions === 1;
    const walk: Walk = {
      tapsX: flat ? Float64Array.of(1) : gaussianTaps(variance, spacing[0]!, grid.shape[0]!),
      tapsY: gaussianTaps(variance, spacing[flat ? 0 : 1]!, grid.shape[flat ? 0 : 1]!),
    };
    return factors.map(({ into, outOf }) => ({ walk, into, outOf }));
  });
}

/** Writes a matrix as a sum of outer products: rows that are multiples of each other share one. */
function mergeRows(matrix: readonly number[][]): { scale: number[]; row: number[] }[] {
  const merged: { scale: number[]; row: number[] }[] = [];
  matrix.forEach((row, index) => {
    if (row.every((value) => value === 0)) return;
    const pivot = row.findIndex((value) => value !== 0);
    const same = merged.find((other) =>
      other.row[pivot] !== 0 &&
      row.every((value, j) => value * other.row[pivot]! === other.row[j]! * row[pivot]!)
    );
    const scale = same?.scale ?? matrix.map(() => 0);
    scale[index] = same ? row[pivot]! / same.row[pivot]! : 1;
    if (!same) merged.push({ scale, row: [...row] });
  });
  return merged;
}

/** Sum of the taps that fall on interior bins, for every bin of the box. */
function maskedRowSums(box: Box, interior: Uint8Array, { tapsX, tapsY }: Walk): Float64Array {
  const { rows, columns } = box;
  const along = new Float64Array(rows * columns);
  const sums = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const end = Math.min(columns, column + tapsY.length);
      for (let other = Math.max(0, column - tapsY.length + 1); other < end; other++) {
        if (!interior[row * columns + other]) continue;
        along[row * columns + column]! += tapsY[Math.abs(other - column)]!;
      }
    }
  }
  for (let row = 0; row < rows; row++) {
    const end = Math.min(rows, row + tapsX.length);
    for (let other = Math.max(0, row - tapsX.length + 1); other < end; other++) {
      const tap = tapsX[Math.abs(other - row)]!;
      for (let column = 0; column < columns; column++) {
        sums[row * columns + column]! += tap * along[other * columns + column]!;
      }
    }
  }
  return sums;
}

/**
 * Which groups of the padded grid are worth computing: results where a bin is interior, half-way
 * values where something flows in and a result within reach is wanted.
 */
function convolutionGroups(
  { rows, wide, groupRows, columns }: Box,
  grid: Grid,
  reachX: number,
  reachY: number,
): ConvolutionGroups {
  const groups = Math.ceil(rows / groupRows);
  const occupied = new Uint8Array(groups * wide);
  for (const flat of grid.interiorIndex) {
    const group = Math.floor(Math.floor(flat / columns) / groupRows);
    occupied[group * wide + (flat % columns >> 2)] = 1;
  }
  const halfway: Group[] = [];
  const sources: Group[] = [];
  for (let group = 0; group < groups; group++) {
    for (let column = 0; column < wide; column++) {
      if (occupied[group * wide + column]) sources.push({ group, column });
      let flowsIn = false;
      for (
        let other = Math.max(0, column - reachY);
        other <= Math.min(wide - 1, column + reachY);
        other++
      ) {
        flowsIn ||= occupied[group * wide + other] === 1;
      }
      let wanted = false;
      const reachGroups = Math.ceil(reachX / groupRows);
      for (
        let other = Math.max(0, group - reachGroups);
        other <= Math.min(groups - 1, group + reachGroups);
        other++
      ) {
        wanted ||= occupied[other * wide + column] === 1;
      }
      if (flowsIn && wanted) halfway.push({ group, column });
    }
  }
  // along a line the first convolution gives the results
  return { sources, halfway, results: groupRows === 1 ? [] : sources };
}

/** The taps of each half-way and of each result group that meet what may not be zero. */
function tapRanges(
  groupRows: number,
  { sources, halfway, results }: ConvolutionGroups,
  { tapsX, tapsY }: Walk,
): TapRange[] {
  const reach = Math.ceil((tapsY.length - 1) / 4);
  const radius = tapsX.length - 1;
  const key = (group: number, column: number) => group * 2 ** 20 + column;
  const holds = new Set(sources.map(({ group, column }) => key(group, column)));
  const alongY = halfway.map(({ group, column }) =>
    extent(2 * reach + 1, groupRows, (tap) => holds.has(key(group, column + tap - reach)))
  );
  const filled = new Set(
    halfway.filter((_, i) => alongY[i]!.end > 0).map(({ group, column }) => key(group, column)),
  );
  const alongX = results.map(({ group, column }) =>
    extent(
      2 * radius + 4,
      1,
      (tap) => filled.has(key(group + Math.floor((tap - radius) / groupRows), column)),
    )
  );
  return [...alongY, ...alongX];
}

/** From the first to the last tap that `meets` something; from 0 to 0 where none does. */
function extent(taps: number, rows: number, meets: (tap: number) => boolean): TapRange {
  let [first, end] = [0, 0];
  for (let tap = 0; tap < taps; tap++) {
    if (!meets(tap)) continue;
    if (end === 0) first = tap;
    end = tap + 1;
  }
  return { first, end, rows };
}

/** Fills struct `Transition` of shaders/shared/transition.wgsl. */
function packTransition(
  shape: HmmShape,
  jobs: readonly Job[],
  model: StateModel,
  interior: number,
): ArrayBuffer {
  const buffer = new ArrayBuffer(TRANSITION_LAYOUT.bytes);
  new Uint32Array(buffer, TRANSITION_LAYOUT.sizes).set(transitionSizes(shape));
  const jobTable = new Uint32Array(buffer, TRANSITION_LAYOUT.jobs, 4 * MAX_JOBS);
  const weights = new Float32Array(buffer, TRANSITION_LAYOUT.weights, 4 * MAX_STATES * MAX_STATES);
  const tapsX = new Float32Array(buffer, TRANSITION_LAYOUT.tapsX, 4 * MAX_TAPS_X);
  const tapsY = new Float32Array(buffer, TRANSITION_LAYOUT.tapsY, 16 * MAX_TAPS_Y);
  const placed = new Map<Walk, { x: number; y: number }>();
  let nextX = 0;
  let nextY = 0;
  jobs.forEach(({ walk, into, outOf }, job) => {
    const radiusX = walk.tapsX.length - 1;
    const radiusY = walk.tapsY.length - 1;
    const reachY = Math.ceil(radiusY / 4);
    let place = placed.get(walk);
    if (!place) {
      place = { x: nextX, y: nextY };
      placed.set(walk, place);
      nextX += 2 * radiusX + 4;
      nextY += 2 * reachY + 1;
      if (nextX > MAX_TAPS_X || nextY > MAX_TAPS_Y) {
        throw new RangeError(
          `Cannot build a transition: random walks reach ${radiusX} x ${radiusY} bins, which takes ` +
            `${nextX} and ${nextY} table entries, at most ${MAX_TAPS_X} and ${MAX_TAPS_Y} are ` +
            "supported; use larger bins or a smaller movementVar",
        );
      }
      for (let i = 0; i < 2 * radiusX + 4; i++) {
        for (let k = 0; k < 4; k++) {
          tapsX[4 * (place.x + i) + k] = walk.tapsX[Math.abs(i - k - radiusX)] ?? 0;
        }
      }
      for (let b = 0; b <= 2 * reachY; b++) {
        for (let column = 0; column < 4; column++) {
          for (let row = 0; row < 4; row++) {
            const distance = Math.abs(4 * (b - reachY) + column - row);
            tapsY[16 * (place.y + b) + 4 * column + row] = walk.tapsY[distance] ?? 0;
          }
        }
      }
    }
    jobTable.set([place.x, radiusX, place.y, reachY], 4 * job);
    model.names.forEach((_, state) => {
      weights[4 * (job * MAX_STATES + state)] = into[state]!;
      weights[4 * (job * MAX_STATES + state) + 1] = outOf[state]!;
    });
  });
  model.transitions.forEach((row, from) =>
    row.forEach((block, to) => {
      const probability = model.discreteTransition[from]![to]!;
      const entry = 4 * (from * MAX_STATES + to);
      if (block.kind === "uniform") weights[entry + 2] = probability / interior;
      if (block.kind === "identity") weights[entry + 3] = probability;
    })
  );
  return buffer;
}
