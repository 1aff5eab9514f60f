/**
 * Log-likelihoods of rows for states that differ in what they expect, from the definition.
 */

export interface StateRow {
  /** [bases][bins] natural logarithms. */
  spatial: readonly (readonly number[])[];
  /** [biases][bins] natural logarithms, -Infinity for a bin that is ruled out. */
  biases: readonly (readonly number[])[];
  /** Natural logarithms of states of one bin. */
  own: readonly number[];
}

/** Kinds one after the other, then states of one bin: natural logarithms. */
export function stateRow(
  { spatial, biases, own }: StateRow,
  kinds: readonly { base: number; bias?: number }[],
): number[] {
  return [
    ...kinds.flatMap(({ base, bias }) =>
      spatial[base]!.map((log, bin) => log + (bias === undefined ? 0 : biases[bias]![bin]!))
    ),
    ...own,
  ];
}
