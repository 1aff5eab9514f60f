/**
 * Rows as the kernels of clustering and projection read them: in panels of 64, feature by feature,
 * so that neighbouring threads load neighbouring rows.
 *
 * @module
 */

/** Rows of a panel. */
export const PANEL_ROWS = 64;

/** Elements of so many rows in panels. */
export function panelElements(rows: number, features: number): number {
  return Math.ceil(rows / PANEL_ROWS) * PANEL_ROWS * features;
}

/** Where an element of a row lies. */
export function panelIndex(row: number, feature: number, features: number): number {
  const panel = Math.floor(row / PANEL_ROWS);
  return (panel * features + feature) * PANEL_ROWS + row % PANEL_ROWS;
}

/** `[rows, features]` values in panels, f32; 0 past the last row. */
export function toPanels(values: ArrayLike<number>, features: number): Float32Array {
  const rows = values.length / features;
  const panels = new Float32Array(panelElements(rows, features));
  for (let row = 0; row < rows; row++) {
    let at = panelIndex(row, 0, features);
    for (let i = row * features; i < (row + 1) * features; i++, at += PANEL_ROWS) {
      panels[at] = values[i]!;
    }
  }
  return panels;
}

/** `[rows, features]` values in panels, as f32 and, so many features further, what that leaves over. */
export function toTwoParts(values: ArrayLike<number>, features: number): Float32Array {
  return toPanels(twoParts(values, features), 2 * features);
}

/** `[rows, 2 * features]`: of every row f32, and then what that leaves over. */
export function twoParts(values: ArrayLike<number>, features: number): Float64Array {
  const parts = new Float64Array(2 * values.length);
  for (let i = 0; i < values.length; i++) {
    const at = i + Math.floor(i / features) * features;
    parts[at] = Math.fround(values[i]!);
    parts[at + features] = values[i]! - parts[at]!;
  }
  return parts;
}
