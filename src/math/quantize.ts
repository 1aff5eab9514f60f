/**
 * Probabilities in 16 bits. Each function here is undone by the one beside it.
 *
 * @module
 */

/** What 16 bits can count to. */
const MOST = 65535;

/**
 * Probabilities [n] as u16, linear: 65535 p, the nearest whole number; what is below 0 or above 1 is clipped. A row
 * of thousands of small probabilities loses up to 2.5 % of its mass: prefer the root-scaled form.
 */
export function toUint16(values: ArrayLike<number>): Uint16Array {
  return Uint16Array.from(
    { length: values.length },
    (_, i) => Math.floor(MOST * Math.min(1, Math.max(0, values[i]!)) + 0.5),
  );
}

/** Undoes {@link toUint16}: [n] f32. */
export function fromUint16(stored: Uint16Array): Float32Array {
  return Float32Array.from(stored, (value) => value / MOST);
}

/** Rows of probabilities as u16 of their roots, with a scale for each row. */
export interface RootScaledRows {
  /** [rows, width] u16. */
  stored: Uint16Array;
  /** [rows] f32: p = stored^2 scale. */
  scales: Float32Array;
}

/**
 * Rows of probabilities [rows, width] as q = 65535 sqrt(p / row maximum), rounded. What is not the
 * maximum is at most 65534, so that the largest element of a row stays the largest; rows sum to 1
 * again by construction.
 */
export function toRootScaled(values: Float32Array, width: number): RootScaledRows {
  const stored = new Uint16Array(values.length);
  for (let start = 0; start < values.length; start += width) {
    const row = values.subarray(start, start + width);
    const peak = row.reduce((most, value) => Math.max(most, value), 0);
    row.forEach((value, i) => {
      const root = peak === 0 ? 0 : Math.floor(MOST * Math.sqrt(value / peak) + 0.5);
      stored[start + i] = value === peak ? Math.min(root, MOST) : Math.min(root, MOST - 1);
    });
  }
  return { stored, scales: rootScales(stored, width) };
}

/** The scale of every row of stored roots [rows, width]: 1 / the sum of their squares, f32. */
export function rootScales(stored: Uint16Array, width: number): Float32Array {
  const rows = stored.length / width;
  const scales = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let i = row * width; i < (row + 1) * width; i++) sum += stored[i]! * stored[i]!;
    scales[row] = sum === 0 ? 0 : 1 / sum;
  }
  return scales;
}

/** Undoes {@link toRootScaled}: [rows, width] f32. */
export function fromRootScaled({ stored, scales }: RootScaledRows): Float32Array {
  const width = stored.length / scales.length;
  const values = new Float32Array(stored.length);
  for (let row = 0; row < scales.length; row++) {
    const scale = scales[row]!;
    for (let i = row * width; i < (row + 1) * width; i++) {
      values[i] = stored[i]! * stored[i]! * scale;
    }
  }
  return values;
}
