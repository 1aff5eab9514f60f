/**
 * A Poisson GLM over natural cubic splines from its definition: cardinal splines by the second derivatives in their
 * knots, products of them, an intercept beside columns that are orthogonal to their mean, and Newton's method on the
 * dense design. Plain loops in f64.
 */

export interface GlmProblem {
  /** [samples][dimensions] */
  positions: readonly (readonly number[])[];
  /** [samples] seconds and spikes. */
  exposure: readonly number[];
  events: readonly number[];
  /** [dimensions] ascending. */
  knots: readonly (readonly number[])[];
  penalty: number;
}

/** Solves A x = b by elimination, largest pivots first. */
export function solve(matrix: readonly (readonly number[])[], b: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, b[i]!]);
  const size = b.length;
  for (let k = 0; k < size; k++) {
    let pivot = k;
    for (let i = k; i < size; i++) {
      if (Math.abs(rows[i]![k]!) > Math.abs(rows[pivot]![k]!)) pivot = i;
    }
    [rows[k], rows[pivot]] = [rows[pivot]!, rows[k]!];
    for (let i = k + 1; i < size; i++) {
      const share = rows[i]![k]! / rows[k]![k]!;
      for (let j = k; j <= size; j++) rows[i]![j]! -= share * rows[k]![j]!;
    }
  }
  const x = new Array<number>(size).fill(0);
  for (let i = size - 1; i >= 0; i--) {
    let sum = rows[i]![size]!;
    for (let j = i + 1; j < size; j++) sum -= rows[i]![j]! * x[j]!;
    x[i] = sum / rows[i]![i]!;
  }
  return x;
}

/** Values at x of the splines that are 1 in one knot and 0 in the others. */
export function cardinalSplines(knots: readonly number[], x: number): number[] {
  const last = knots.length - 1;
  return knots.map((_, own) => {
    const y = knots.map((_, knot) => knot === own ? 1 : 0);
    // second derivatives: none at the ends, and slopes meet in every inner knot
    const system = knots.map((_, i) =>
      knots.map((_, j) => {
        if (i === 0 || i === last) return i === j ? 1 : 0;
        const [before, after] = [knots[i]! - knots[i - 1]!, knots[i + 1]! - knots[i]!];
        if (j === i - 1) return before / 6;
        if (j === i) return (before + after) / 3;
        return j === i + 1 ? after / 6 : 0;
      })
    );
    const bend = solve(
      system,
      knots.map((_, i) =>
        i === 0 || i === last ? 0 : (y[i + 1]! - y[i]!) / (knots[i + 1]! - knots[i]!) -
          (y[i]! - y[i - 1]!) / (knots[i]! - knots[i - 1]!)
      ),
    );
    let i = 0;
    while (i < last - 1 && x >= knots[i + 1]!) i++;
    const width = knots[i + 1]! - knots[i]!;
    const slope = (y[i + 1]! - y[i]!) / width;
    if (x < knots[0]!) return y[0]! + (x - knots[0]!) * (slope - width * bend[1]! / 6);
    if (x > knots[last]!) {
      return y[last]! + (x - knots[last]!) * (slope + width * bend[last - 1]! / 6);
    }
    const [left, right] = [knots[i + 1]! - x, x - knots[i]!];
    return (bend[i]! * left ** 3 + bend[i + 1]! * right ** 3) / (6 * width) +
      (y[i]! / width - bend[i]! * width / 6) * left +
      (y[i + 1]! / width - bend[i + 1]! * width / 6) * right;
  });
}

const productAt = (knots: GlmProblem["knots"], place: readonly number[]) =>
  knots.reduce<number[]>((product, along, d) => {
    if (along.length === 0) return product;
    const own = cardinalSplines(along, place[d]!);
    return product.flatMap((value) => own.map((one) => value * one));
  }, [1]);

/** Unit vectors orthogonal to one and to each other, by Gram and Schmidt, twice. */
function orthogonalTo(vector: readonly number[]): number[][] {
  const found = [vector.map((value) => value / Math.hypot(...vector))];
  for (let axis = 0; found.length < vector.length; axis++) {
    let own = vector.map((_, i) => Number(i === axis));
    for (const _ of [1, 2]) {
      for (const other of found) {
        const along = own.reduce((sum, value, i) => sum + value * other[i]!, 0);
        own = own.map((value, i) => value - along * other[i]!);
      }
    }
    const length = Math.hypot(...own);
    if (length > 1e-6) found.push(own.map((value) => value / length));
  }
  return found.slice(1);
}

/** @returns Spikes a second at places. */
export function glm(
  { positions, exposure, events, knots, penalty }: GlmProblem,
  places: readonly (readonly number[])[],
): number[] {
  const products = positions.map((place) => productAt(knots, place));
  const mean = products[0]!.map((_, i) =>
    products.reduce((sum, row) => sum + row[i]!, 0) / products.length
  );
  const basis = orthogonalTo(mean);
  const rowOf = (product: readonly number[]) => [
    1,
    ...basis.map((vector) => vector.reduce((sum, value, i) => sum + value * product[i]!, 0)),
  ];
  const design = products.map(rowOf);
  const seconds = exposure.reduce((sum, own) => sum + own, 0);
  const logAt = (row: readonly number[], c: readonly number[]) =>
    row.reduce((sum, value, i) => sum + value * c[i]!, 0);
  const cost = (c: readonly number[]) =>
    design.reduce(
        (sum, row, t) => sum + exposure[t]! * Math.exp(logAt(row, c)) - events[t]! * logAt(row, c),
        0,
      ) / seconds + penalty * c.slice(1).reduce((sum, value) => sum + value * value, 0);
  let c = design[0]!.map((_, i) =>
    i === 0 ? Math.log(events.reduce((sum, own) => sum + own, 0) / seconds) : 0
  );
  for (let step = 0; step < 12; step++) {
    const gradient = c.map((value, i) => i === 0 ? 0 : 2 * penalty * value);
    const curvature = c.map((_, i) => c.map((_, j) => i === j && i > 0 ? 2 * penalty : 0));
    design.forEach((row, t) => {
      const rate = exposure[t]! * Math.exp(logAt(row, c)) / seconds;
      row.forEach((value, i) => {
        gradient[i]! += value * (rate - events[t]! / seconds);
        row.forEach((other, j) => curvature[i]![j]! += rate * value * other);
      });
    });
    const direction = solve(curvature, gradient);
    const moved = (length: number) => c.map((value, i) => value - length * direction[i]!);
    let length = 1;
    while (length > 1e-9 && !(cost(moved(length)) <= cost(c))) length /= 2;
    c = moved(length);
  }
  return places.map((place) => Math.exp(logAt(rowOf(productAt(knots, place)), c)));
}
