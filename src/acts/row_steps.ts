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

  /** What could not be done. */
  readonly action: string;

  constructor(position: number, reason: string, action = "cast activations") {
    super(reason);
    this.position = position;
    this.action = action;
  }
}

/**
 * Rows `[rows, layers, hidden]` after steps, as f32.
 *
 * @param isScored Whether all rows count, so that their layers are numbers, or a maximum of infinities.
 * @throws {LostValueError} If a finite value becomes infinite, or layers that are no numbers are pooled.
 */
export function takeSteps(
  values: StoredValues,
  dtype: ActsType,
  steps: readonly RowStep[],
  { layers, hidden }: { layers: number; hidden: number },
  isScored = false,
): Float32Array {
  let rows = checkedFloat32(values, dtype);
  let width = layers;
  for (const step of steps) {
    if (step.kind === "cast") {
      rows = toFloat32(roundTo(rows, step.dtype, unpooled(width, layers, hidden)), step.dtype);
    } else {
      rows = poolLayers(rows, width, hidden, step.how, isScored);
      width = 1;
    }
  }
  return rows;
}

/** Of a position in rows that have so many layers by now, the one in those that were given: of the first layer. */
export function unpooled(width: number, layers: number, hidden: number) {
  return (position: number): number =>
    width === layers
      ? position
      : Math.floor(position / hidden) * layers * hidden + position % hidden;
}

function checkedFloat32(values: StoredValues, dtype: ActsType): Float32Array {
  const rows = toFloat32(values, dtype);
  if (dtype === "float64") refuseLost(values as Float64Array, rows, "float32");
  return rows;
}

/** @throws {LostValueError} If a finite value becomes infinite. */
export function roundTo(
  values: Float32Array,
  dtype: CastType,
  positionOf?: (position: number) => number,
): StoredValues {
  const rounded = fromFloat32(values, dtype);
  if (dtype === "float32") return rounded;
  const at = findUnsound(rounded, dtype, { infinite: true });
  if (at >= 0) refuseLost(values, toFloat32(rounded, dtype), dtype, positionOf);
  return rounded;
}

function refuseLost(
  before: Float32Array | Float64Array,
  after: Float32Array,
  dtype: ActsType,
  positionOf = (position: number) => position,
): void {
  for (let i = 0; i < after.length; i++) {
    if (!Number.isFinite(after[i]) && Number.isFinite(before[i])) {
      throw new LostValueError(positionOf(i), `${before[i]}, which ${dtype} does not hold`);
    }
  }
}

/** Of rows `[rows, layers, hidden]`, each `[hidden]`; sums in f64. */
function poolLayers(
  rows: Float32Array,
  layers: number,
  hidden: number,
  how: PoolKind,
  isScored: boolean,
): Float32Array {
  const pooled = new Float32Array(rows.length / layers);
  for (let at = 0; at < pooled.length; at++) {
    const first = Math.floor(at / hidden) * layers * hidden + at % hidden;
    let value = rows[first]!;
    let isFinite = Number.isFinite(value);
    for (let layer = 1; layer < layers; layer++) {
      const own = rows[first + layer * hidden]!;
      value = how === "max" ? Math.max(value, own) : value + own;
      isFinite &&= Number.isFinite(own);
    }
    if (how === "mean") value /= layers;
    pooled[at] = value;
    const isLost = isFinite
      ? !Number.isFinite(pooled[at])
      : isScored && (how !== "max" || Number.isNaN(value));
    if (!isLost) continue;
    throw new LostValueError(
      first,
      isFinite
        ? `${value} as the ${how} over layers, which float32 does not hold`
        : `${value} as the ${how} over layers, wanted finite numbers`,
      "pool layers",
    );
  }
  return pooled;
}
