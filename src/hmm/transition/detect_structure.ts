/**
 * Finds in a matrix that somebody else made what it was made from: which blocks are uniform, stay in
 * their bin or walk at random, so that they cost what those cost.
 *
 * @module
 */

import { formatCount } from "../../math/format.ts";
import type { Grid } from "../grid.ts";
import type { ContinuousTransition, StateModel } from "../states.ts";
import { blockRows } from "./transition_blocks.ts";

/** What a block turned out to be. */
export interface FoundBlock {
  /** `empty`: never entered. `matrix`: nothing that is cheaper than its entries. */
  kind: "empty" | "uniform" | "identity" | "randomWalk" | "matrix";
  /** Entries that are not zero, and the largest distance of one from the diagonal. */
  nonZeros: number;
  bandwidth: number;
  /** Whether all rows are equal, as where a state is entered at places of its own. */
  rankOne: boolean;
}

/** A matrix as the parts of a state model. */
export interface MatrixStructure {
  /** [S, S] how likely each block is, rows sum to 1. */
  discreteTransition: number[][];
  /** [from][to], `matrix` where nothing simpler is equal. */
  transitions: ContinuousTransition[][];
  /** [from][to] */
  found: FoundBlock[][];
  /** One line a block, for people. */
  report: string;
}

/**
 * What rounding in f32 leaves of equal numbers that were multiplied, summed and divided on different
 * ways; relative to the largest entry of a row.
 */
const EQUAL = 2 ** -21;

/** How far rows of one block may differ in their sums. */
const SUM_TOLERANCE = 1e-5;

/**
 * Takes a transition matrix apart into discrete states and blocks, `T[i, j] = D[a, b] C[i, j]`.
 *
 * @param matrix [S n, S n] in C order, state by state, n interior bins each; rows sum to 1.
 * @throws {RangeError} If the size is not a whole number of states, if an entry is not a probability,
 * or if the rows of a block sum to different numbers, so that no single D[a, b] describes them.
 */
export function detectStructure(
  grid: Grid,
  matrix: ArrayLike<number>,
  states: number,
): MatrixStructure {
  const interior = grid.interiorIndex.length;
  const size = states * interior;
  if (matrix.length !== size * size) {
    throw new RangeError(
      `Cannot take a transition matrix apart: it has ${matrix.length} entries, wanted ${size} x ` +
        `${size} for ${states} states of ${interior} interior bins`,
    );
  }
  const wrong = Array.prototype.findIndex.call(
    matrix,
    (value: number) => !(value >= 0 && Number.isFinite(value)),
  );
  if (wrong >= 0) {
    throw new RangeError(
      `Cannot take a transition matrix apart: entry [${Math.floor(wrong / size)}, ` +
        `${wrong % size}] is ${matrix[wrong]}, wanted probabilities from 0`,
    );
  }
  const each = <T>(value: (from: number, to: number) => T) =>
    Array.from(
      { length: states },
      (_, from) => Array.from({ length: states }, (_, to) => value(from, to)),
    );
  const weights = each((from, to) => blockWeight(matrix, size, interior, from, to));
  const discreteTransition = weights.map((row) => {
    const sum = row.reduce((total, weight) => total + weight, 0);
    return row.map((weight) => weight / sum);
  });
  const blocks = each((from, to) =>
    foundBlock(grid, (bin) => {
      const at = (from * interior + bin) * size + to * interior;
      const row = Float64Array.from({ length: interior }, (_, i) => matrix[at + i]!);
      const sum = row.reduce((total, value) => total + value, 0);
      return sum > 0 ? row.map((value) => value / sum) : row;
    })
  );
  const found = blocks.map((row) => row.map((block) => block.found));
  const lines = found.flatMap((row, from) =>
    row.map((block, to) => `${from} -> ${to}: ${describeBlock(block, interior)}`)
  );
  return {
    discreteTransition,
    transitions: blocks.map((row) => row.map(({ block }) => block)),
    found,
    report: lines.join("\n"),
  };
}

/**
 * Puts in place of a model's matrices what they are equal to, where that is anything simpler.
 *
 * @returns The model, and one line for each of its matrices.
 * @throws {RangeError} If a matrix is not [interior, interior].
 */
export function simplifiedModel(
  grid: Grid,
  model: StateModel,
): { model: StateModel; report: string } {
  const lines: string[] = [];
  const transitions = model.transitions.map((row, from) =>
    row.map((block, to) => {
      if (block.kind !== "matrix") return block;
      const rows = blockRows(grid, block);
      const simpler = foundBlock(grid, (bin) => {
        const { bins, values } = rows(bin);
        const full = new Float64Array(grid.interiorIndex.length);
        for (let i = 0; i < bins.length; i++) full[bins[i]!] = values[i]!;
        return full;
      });
      const what = describeBlock(simpler.found, grid.interiorIndex.length);
      lines.push(`${model.names[from]} -> ${model.names[to]}: ${what}`);
      return simpler.found.kind === "matrix" ? block : simpler.block;
    })
  );
  return { model: { ...model, transitions }, report: lines.join("\n") };
}

/** What the rows of a block sum to. */
function blockWeight(
  matrix: ArrayLike<number>,
  size: number,
  interior: number,
  from: number,
  to: number,
): number {
  const sums = Array.from({ length: interior }, (_, bin) => {
    const at = (from * interior + bin) * size + to * interior;
    let sum = 0;
    for (let i = 0; i < interior; i++) sum += matrix[at + i]!;
    return sum;
  });
  const mean = sums.reduce((total, sum) => total + sum, 0) / interior;
  sums.forEach((sum, bin) => {
    if (Math.abs(sum - mean) > SUM_TOLERANCE) {
      throw new RangeError(
        `Cannot take a transition matrix apart: from state ${from} to ${to}, row ${bin} sums to ` +
          `${sum}, the rows of the block to ${mean} on average, wanted equal sums`,
      );
    }
  });
  return mean;
}

function foundBlock(
  grid: Grid,
  rowOf: (bin: number) => Float64Array,
): { found: FoundBlock; block: ContinuousTransition } {
  const interior = grid.interiorIndex.length;
  const found: FoundBlock = { kind: "matrix", nonZeros: 0, bandwidth: 0, rankOne: true };
  const first = rowOf(0);
  for (let bin = 0; bin < interior; bin++) {
    const row = rowOf(bin);
    const tolerance = EQUAL * row.reduce((most, value) => Math.max(most, value), 0);
    row.forEach((value, other) => {
      found.rankOne &&= Math.abs(value - first[other]!) <= tolerance;
      if (value === 0) return;
      found.nonZeros++;
      found.bandwidth = Math.max(found.bandwidth, Math.abs(other - bin));
    });
  }
  const candidates: ContinuousTransition[] = [{ kind: "uniform" }, { kind: "identity" }];
  const variance = walkVariance(grid, rowOf);
  if (variance) {
    // as somebody would have written it, if that is equal too
    candidates.push({ kind: "randomWalk", movementVar: Number(variance.toPrecision(6)) });
    candidates.push({ kind: "randomWalk", movementVar: variance });
  }
  if (found.nonZeros === 0) {
    return { found: { ...found, kind: "empty" }, block: { kind: "uniform" } };
  }
  for (const block of candidates) {
    if (!hasRows(grid, block, rowOf)) continue;
    return { found: { ...found, kind: block.kind as FoundBlock["kind"] }, block };
  }
  const values = new Float64Array(interior * interior);
  for (let bin = 0; bin < interior; bin++) values.set(rowOf(bin), bin * interior);
  return { found, block: { kind: "matrix", values } };
}

/** Whether rows are those of a block, as far as f32 can tell. */
function hasRows(
  grid: Grid,
  block: ContinuousTransition,
  rowOf: (bin: number) => Float64Array,
): boolean {
  const wanted = blockRows(grid, block);
  for (let bin = 0; bin < grid.interiorIndex.length; bin++) {
    const difference = rowOf(bin);
    const largest = difference.reduce((most, value) => Math.max(most, value), 0);
    const { bins, values } = wanted(bin);
    for (let i = 0; i < bins.length; i++) difference[bins[i]!]! -= values[i]!;
    if (difference.some((value) => Math.abs(value) > EQUAL * largest)) return false;
  }
  return true;
}

/** Variance of the Gaussian that a row would be, from all entries large enough to tell. */
function walkVariance(
  grid: Grid,
  rowOf: (bin: number) => Float64Array,
): number | undefined {
  const bin = grid.interiorIndex.length >> 1;
  const row = rowOf(bin);
  const columns = grid.shape.at(-1)!;
  const flat = grid.dimensions === 1;
  const centre = (other: number) => {
    const place = grid.interiorIndex[other]!;
    const y = grid.centers.at(-1)![place % columns]!;
    return [flat ? 0 : grid.centers[0]![Math.floor(place / columns)]!, y];
  };
  const [x, y] = centre(bin);
  let squares = 0;
  let logs = 0;
  row.forEach((value, other) => {
    const share = value / row[bin]!;
    if (!(share > 0.01 && share < 0.99)) return;
    const [otherX, otherY] = centre(other);
    squares += (otherX! - x!) ** 2 + (otherY! - y!) ** 2;
    logs -= Math.log(share);
  });
  return logs > 0 && squares > 0 ? squares / (2 * logs) : undefined;
}

function describeBlock(found: FoundBlock, interior: number): string {
  const { kind, nonZeros, bandwidth, rankOne } = found;
  if (kind !== "matrix") return kind;
  const share = (100 * nonZeros / interior ** 2).toFixed(1);
  return `matrix, ${
    formatCount(nonZeros)
  } entries (${share} %), at most ${bandwidth} bins from the ` +
    `diagonal${rankOne ? ", all rows equal" : ""}`;
}
