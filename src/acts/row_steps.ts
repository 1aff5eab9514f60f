/**
 * What is made of rows on the host: other types, and layers pooled.
 *
 * @module
 */

import type { PoolKind, RowStep } from "./graph.ts";
import type { ActsType, CastType, StoredValues } from "./types.ts";
import { findUnsound, fromFloat32, toFloat32 } from "./types.ts";

/** A value that a type cannot hold, where it lies. */
export class LostValueError extends RangeError {
  /** Of the values that were given. */
  readonly position: number;

  constructor(position: number, value: number, dtype: ActsType) {
    super(`${value}, which ${dtype} does not hold`);
    this.position = position;
  }
}

/**
 * Rows `[rows, layers, hidden]` after steps, as f32.
 *
 * @throws {LostValueError} If a finite value becomes infinite.
 */
export function takeSteps(
  values: StoredValues,
  dtype: ActsType,
  steps: readonly RowStep[],
  { layers, hidden }: { layers: number; hidden: number },
): Float32Array {
  let rows = checkedFloat32(values, dtype);
  let width = layers;
  for (const step of steps) {
    if (step.kind === "cast") rows = toFloat32(roundTo(rows, step.dtype), step.dtype);
    else {
      rows = poolLayers(rows, width, hidden, step.how);
      width = 1;
    }
  }
  return rows;
}

function checkedFloat32(values: StoredValues, dtype: ActsType): Float32Array {
  const rows = toFloat32(values, dtype);
  if (dtype === "float64") refuseLost(values as Float64Array, rows, "float32");
  return rows;
}

/** @throws {LostValueError} If a finite value becomes infinite. */
export function roundTo(values: Float32Array, dtype: CastType): StoredValues {
  const rounded = fromFloat32(values, dtype);
  if (dtype === "float32") return rounded;
  const at = findUnsound(rounded, dtype, { infinite: true });
  if (at >= 0) refuseLost(values, toFloat32(rounded, dtype), dtype);
  return rounded;
}

function refuseLost(
  before: Float32Array | Float64Array,
  after: Float32Array,
  dtype: ActsType,
): void {
  for (let i = 0; i < after.length; i++) {
    if (!Number.isFinite(after[i]) && Number.isFinite(before[i])) {
      throw new LostValueError(i, before[i]!, dtype);
    }
  }
}

/** Of rows `[rows, layers, hidden]`, each `[hidden]`; sums in f64. */
function poolLayers(
  rows: Float32Array,
  layers: number,
  hidden: number,
  how: PoolKind,
): Float32Array {
  const pooled = new Float32Array(rows.length / layers);
  for (let at = 0; at < pooled.length; at++) {
    const first = Math.floor(at / hidden) * layers * hidden + at % hidden;
    let value = rows[first]!;
    for (let layer = 1; layer < layers; layer++) {
      const own = rows[first + layer * hidden]!;
      value = how === "max" ? Math.max(value, own) : value + own;
    }
    pooled[at] = how === "mean" ? value / layers : value;
  }
  return pooled;
}
