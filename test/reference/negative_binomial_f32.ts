/**
 * `shaders/shared/negative_binomial.wgsl` line by line in f32 on the host, under the worst that WGSL allows:
 * quotients that are off by 2.5 units in the last place, and logarithms as coarse as its own.
 */

const f = Math.fround;

export interface Arithmetic {
  divide(a: number, b: number): number;
  /** Of a normal number. */
  logarithm(x: number): number;
}

export const exactArithmetic: Arithmetic = {
  divide: (a, b) => f(a / b),
  logarithm: (x) => f(Math.log(x)),
};

/** @param random Chooses the errors, each of them as large as it may be, or none. */
export function coarseArithmetic(random: () => number): Arithmetic {
  const sign = () => Math.floor(3 * random()) - 1;
  return {
    divide: (a, b) => f(a / b * (1 + sign() * 2.5 * 2 ** -23)),
    // WGSL: 2^-21 from 1/2 to 2, and 3 units in the last place elsewhere
    logarithm(x) {
      const exact = Math.log(x);
      const error = x >= 0.5 && x <= 2 ? 2 ** -21 : 3 * 2 ** -23 * Math.abs(exact);
      return f(exact + sign() * error);
    },
  };
}

export function negativeBinomialF32(
  { divide, logarithm }: Arithmetic,
  x: number,
  mu: number,
  logDispersion: number,
) {
  const times = (a: number, b: number) => f(a * b);
  const plus = (a: number, b: number) => f(a + b);
  const minus = (a: number, b: number) => f(a - b);
  const isNearOne = (a: number) => a > -0.29289 && a < 0.41421;
  const excess = (a: number) => {
    const s = divide(a, plus(2, a));
    const z = times(s, s);
    const w = times(z, z);
    const odd = times(z, plus(f(0.6666666269302368), times(w, f(0.28498786687850952))));
    const even = times(w, plus(f(0.40000972151756287), times(w, f(0.24279078841209412))));
    const half = times(times(0.5, a), a);
    return minus(times(s, plus(plus(half, odd), even)), half);
  };
  const series = (z: number) => {
    const inverse = divide(1, z);
    const square = times(inverse, inverse);
    const inner = minus(f(1 / 360), times(square, f(1 / 1260)));
    return times(inverse, minus(f(1 / 12), times(square, inner)));
  };
  const remainder = (z: number) => {
    if (z >= 8) return series(z);
    let [product, steps] = [z, 1];
    for (let k = 1; k < 8; k++) {
      const next = plus(z, steps);
      if (next < 8) [product, steps] = [times(product, next), steps + 1];
    }
    const shifted = plus(z, steps);
    const near = minus(
      minus(times(minus(shifted, 0.5), logarithm(shifted)), times(minus(z, 0.5), logarithm(z))),
      logarithm(product),
    );
    return plus(minus(near, steps), series(shifted));
  };
  const deviance = (count: number, mean: number, theta: number) => {
    const d = minus(mean, count);
    const share = divide(theta, plus(mean, theta));
    const b = divide(d, plus(theta, count));
    const safe = Math.max(count, f(1e-8));
    const a = times(share, divide(d, safe));
    if (count > 1e-8 && isNearOne(a) && isNearOne(b)) {
      const both = minus(times(count, excess(a)), times(theta, excess(b)));
      return minus(both, times(times(share, d), b));
    }
    const ratio = () => times(divide(mean, safe), divide(plus(count, theta), plus(mean, theta)));
    const first = isNearOne(a) ? plus(a, excess(a)) : logarithm(ratio());
    const second = isNearOne(b)
      ? plus(b, excess(b))
      : logarithm(divide(plus(mean, theta), plus(count, theta)));
    return minus(times(count, first), times(theta, second));
  };
  const byDispersion = (count: number, theta: number) => {
    const t = divide(minus(count, mu), plus(theta, mu));
    let [sum, shifted] = [0, theta];
    for (; shifted < 6; shifted = plus(shifted, 1)) {
      sum = plus(sum, divide(divide(count, shifted), plus(shifted, count)));
    }
    const ratio = () =>
      times(divide(plus(shifted, count), shifted), divide(theta, plus(theta, mu)));
    const logarithms = theta < 6 || !isNearOne(t) ? minus(logarithm(ratio()), t) : excess(t);
    const [start, end] = [divide(1, shifted), divide(1, plus(shifted, count))];
    const [square, squareEnd] = [times(start, start), times(end, end)];
    const [fourth, fourthEnd] = [times(square, square), times(squareEnd, squareEnd)];
    const first = times(times(times(0.5, count), start), end);
    const second = plus(first, times(minus(square, squareEnd), f(1 / 12)));
    const third = minus(second, times(minus(fourth, fourthEnd), f(1 / 120)));
    const sixth = minus(times(fourth, square), times(fourthEnd, squareEnd));
    const all = plus(third, times(sixth, f(1 / 252)));
    return times(theta, plus(plus(sum, logarithms), all));
  };
  const theta = f(Math.exp(logDispersion));
  const count = x <= 1e-8 ? 0 : x;
  const end = plus(count, theta);
  const constant = () => {
    const scale = logarithm(times(divide(theta, end), divide(f(1 / (2 * Math.PI)), count)));
    const remainders = minus(minus(remainder(end), remainder(theta)), remainder(count));
    return plus(remainders, times(0.5, scale));
  };
  const mean = count === 0 ? mu : plus(mu, f(1e-8));
  return {
    logLikelihood: plus(count === 0 ? 0 : constant(), deviance(count, mean, theta)),
    byLogMean: minus(
      times(theta, divide(minus(count, mu), plus(theta, mu))),
      times(count, divide(f(1e-8), plus(mu, f(1e-8)))),
    ),
    byLogDispersion: byDispersion(count, theta),
  };
}
