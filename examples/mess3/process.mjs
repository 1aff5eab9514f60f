/**
 * The Mess3 process: three hidden states, three symbols, and what can be known of the state from the symbols.
 *
 * @module
 */

const [a, b, x, y] = [0.85, 0.075, 0.05, 0.9];

/** P(symbol, next state | state): `TRANSITIONS[symbol][state][next]`. */
export const TRANSITIONS = [
  [[a * y, b * x, b * x], [a * x, b * y, b * x], [a * x, b * x, b * y]],
  [[b * y, a * x, b * x], [b * x, a * y, b * x], [b * x, a * x, b * y]],
  [[b * y, b * x, a * x], [b * x, b * y, a * x], [b * x, b * x, a * y]],
];

/** The belief after every symbol, `[symbols, 3]` f64, from a uniform start: Bayes' rule, symbol by symbol. */
export function beliefsOf(symbols) {
  const beliefs = new Float64Array(3 * symbols.length);
  let belief = [1 / 3, 1 / 3, 1 / 3];
  symbols.forEach((symbol, t) => {
    const joint = [0, 1, 2].map((next) =>
      belief.reduce(
        (sum, p, state) => sum + p * TRANSITIONS[symbol][state][next],
        0,
      )
    );
    const total = joint.reduce((sum, p) => sum + p);
    belief = joint.map((p) => p / total);
    beliefs.set(belief, 3 * t);
  });
  return beliefs;
}
