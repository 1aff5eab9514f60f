/** Activations of texts that were never written: in half of them a few tokens point somewhere, more so in later layers. */

export const LAYERS = [0, 4, 8, 12];
export const HIDDEN = 64;

/** Texts of 10 to 60 tokens. */
export function simulateTexts(count: number, seed: number) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const labels = Uint8Array.from({ length: count }, () => uniform() < 0.5 ? 1 : 0);
  const offsets = new Float64Array(count + 1);
  labels.forEach((_, text) => offsets[text + 1] = offsets[text]! + 10 + Math.floor(51 * uniform()));
  const tokens = offsets[count]!;
  const layers = Object.fromEntries(
    LAYERS.map((layer) => [layer, Float32Array.from({ length: tokens * HIDDEN }, normal)]),
  );
  /** `[tokens]`: the tokens that point. */
  const pointing = new Uint8Array(tokens);
  labels.forEach((label, text) => {
    if (!label) return;
    for (let i = 0; i < 3; i++) {
      const length = offsets[text + 1]! - offsets[text]!;
      const token = offsets[text]! + Math.floor(length * uniform());
      pointing[token] = 1;
      for (const layer of LAYERS) {
        for (let d = 0; d < 4; d++) layers[layer]![token * HIDDEN + d]! += layer / 9;
      }
    }
  });
  return { labels, offsets, layers, pointing };
}
