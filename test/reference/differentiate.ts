/**
 * Matrices in f64 that remember what they were made of, so that any of them can be differentiated, and the derivative
 * again: for twins whose gradients are not written by hand.
 */

export class Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
  readonly parents: readonly Matrix[];
  /** From the derivative by this one to those by its parents. */
  readonly pull: (gradient: Matrix) => readonly Matrix[];

  constructor(
    rows: number,
    columns: number,
    data: ArrayLike<number>,
    parents: readonly Matrix[] = [],
    pull: Matrix["pull"] = () => [],
  ) {
    if (data.length !== rows * columns) {
      throw new RangeError(`${data.length} numbers for ${rows} x ${columns}`);
    }
    this.rows = rows;
    this.columns = columns;
    this.data = Float64Array.from(data);
    this.parents = parents;
    this.pull = pull;
  }

  add(other: Matrix): Matrix {
    const [a, b] = alike(this, other);
    return new Matrix(
      a.rows,
      a.columns,
      a.data.map((value, i) => value + b.data[i]!),
      [a, b],
      (slope) => [slope, slope],
    );
  }

  subtract(other: Matrix): Matrix {
    return this.add(other.times(-1));
  }

  multiply(other: Matrix): Matrix {
    const [a, b] = alike(this, other);
    return new Matrix(
      a.rows,
      a.columns,
      a.data.map((value, i) => value * b.data[i]!),
      [a, b],
      (slope) => [slope.multiply(b), slope.multiply(a)],
    );
  }

  times(factor: number): Matrix {
    return this.multiply(constant(1, 1, [factor]));
  }

  /** Matrix product. */
  product(other: Matrix): Matrix {
    const data = new Float64Array(this.rows * other.columns);
    for (let row = 0; row < this.rows; row++) {
      for (let inner = 0; inner < this.columns; inner++) {
        const own = this.data[row * this.columns + inner]!;
        for (let column = 0; column < other.columns; column++) {
          data[row * other.columns + column]! += own * other.data[inner * other.columns + column]!;
        }
      }
    }
    return new Matrix(
      this.rows,
      other.columns,
      data,
      [this, other],
      (slope) => [slope.product(other.transposed()), this.transposed().product(slope)],
    );
  }

  transposed(): Matrix {
    const { rows, columns, data } = this;
    const turned = data.map((_, i) => data[i % rows * columns + Math.floor(i / rows)]!);
    return new Matrix(columns, rows, turned, [this], (slope) => [slope.transposed()]);
  }

  /** One row or column, or both, again and again. */
  spread(rows: number, columns: number): Matrix {
    if (rows === this.rows && columns === this.columns) return this;
    const data = Float64Array.from(
      { length: rows * columns },
      (_, i) =>
        this.data[
          (this.rows === 1 ? 0 : Math.floor(i / columns)) * this.columns +
          (this.columns === 1 ? 0 : i % columns)
        ]!,
    );
    const { rows: ownRows, columns: ownColumns } = this;
    return new Matrix(rows, columns, data, [this], (slope) => [slope.sumTo(ownRows, ownColumns)]);
  }

  /** Sums over rows, over columns, or over both: where 1 is wanted. */
  sumTo(rows: number, columns: number): Matrix {
    if (rows === this.rows && columns === this.columns) return this;
    const data = new Float64Array(rows * columns);
    this.data.forEach((value, i) => {
      const row = rows === 1 ? 0 : Math.floor(i / this.columns);
      data[row * columns + (columns === 1 ? 0 : i % this.columns)]! += value;
    });
    return new Matrix(rows, columns, data, [this], (slope) => [
      slope.spread(this.rows, this.columns),
    ]);
  }

  sum(): Matrix {
    return this.sumTo(1, 1);
  }

  /** A function of every element, and its derivative. */
  map(of: (value: number) => number, slopeOf: (self: Matrix, own: Matrix) => Matrix): Matrix {
    const made: Matrix = new Matrix(
      this.rows,
      this.columns,
      this.data.map(of),
      [this],
      (slope) => [slope.multiply(slopeOf(this, made))],
    );
    return made;
  }

  exp(): Matrix {
    return this.map(Math.exp, (_, own) => own);
  }

  log(): Matrix {
    return this.map(Math.log, (self) => self.power(-1));
  }

  power(exponent: number): Matrix {
    return this.map(
      (value) => value ** exponent,
      (self) => self.power(exponent - 1).times(exponent),
    );
  }

  sigmoid(): Matrix {
    return this.times(-1).exp().add(constant(1, 1, [1])).power(-1);
  }

  relu(): Matrix {
    return this.multiply(constant(this.rows, this.columns, this.data.map((x) => Number(x > 0))));
  }

  /** Of every row. */
  logSoftmax(): Matrix {
    const largest = Array.from(
      { length: this.rows },
      (_, row) => Math.max(...this.data.subarray(row * this.columns, (row + 1) * this.columns)),
    );
    const shifted = this.subtract(constant(this.rows, 1, largest));
    return shifted.subtract(shifted.exp().sumTo(this.rows, 1).log());
  }
}

export function constant(rows: number, columns: number, data: ArrayLike<number>): Matrix {
  return new Matrix(rows, columns, data);
}

/** [rows, columns], 1 where a row's column is chosen. */
export function oneHot(codes: ArrayLike<number>, columns: number): Matrix {
  const data = new Float64Array(codes.length * columns);
  for (let row = 0; row < codes.length; row++) data[row * columns + codes[row]!] = 1;
  return constant(codes.length, columns, data);
}

function alike(a: Matrix, b: Matrix): [Matrix, Matrix] {
  const rows = Math.max(a.rows, b.rows);
  const columns = Math.max(a.columns, b.columns);
  return [a.spread(rows, columns), b.spread(rows, columns)];
}

/** Derivatives of a number by matrices that it was made of, which can be differentiated again. */
export function derivatives(of: Matrix, by: readonly Matrix[]): Matrix[] {
  const order: Matrix[] = [];
  const seen = new Set<Matrix>();
  const visit = (one: Matrix) => {
    if (seen.has(one)) return;
    seen.add(one);
    one.parents.forEach(visit);
    order.push(one);
  };
  visit(of);
  const found = new Map<Matrix, Matrix>([[of, constant(1, 1, [1])]]);
  for (const one of order.toReversed()) {
    const own = found.get(one);
    if (!own) continue;
    one.pull(own).forEach((slope, i) => {
      const parent = one.parents[i]!;
      const before = found.get(parent);
      found.set(parent, before ? before.add(slope) : slope);
    });
  }
  return by.map((one) =>
    found.get(one) ?? constant(one.rows, one.columns, new Float64Array(one.data.length))
  );
}
