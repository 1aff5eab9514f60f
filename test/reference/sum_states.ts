/** Twin of `sum_states`: what each row has between `starts[state]` and the next start, f64. */
export function sumStates(packed: Float32Array, starts: readonly number[]): Float64Array {
  const [states, width] = [starts.length - 1, starts.at(-1)!];
  const sums = new Float64Array(packed.length / width * states);
  for (let row = 0; row * width < packed.length; row++) {
    for (let state = 0; state < states; state++) {
      for (let bin = starts[state]!; bin < starts[state + 1]!; bin++) {
        sums[row * states + state]! += packed[row * width + bin]!;
      }
    }
  }
  return sums;
}
