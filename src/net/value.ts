/**
 * Values and parameters of a net, as data: what they are called and where they lie.
 *
 * @module
 */

/** Whether there is one for every row (token) or for every sample. */
export type Axis = "rows" | "samples";

/** What a layer gives, for every net: `[nets, rows | samples, width]` f32. */
export interface Value {
  /** Of its buffer. */
  readonly name: string;
  readonly axis: Axis;
  readonly width: number;
  /** Whether it is uploaded and has no gradient. */
  readonly isInput: boolean;
  /** Whether others compute it, and it has no gradient. */
  readonly isFixed?: boolean;
  /** Of an input: whether all nets have the same. */
  readonly shared: boolean;
  /** Of a normalised input, which is never stored: the input and the name of the layer norm. */
  readonly normed?: { readonly input: Value; readonly name: string };
}

/** The buffer of a value's gradient. */
export function gradientOf({ name }: Pick<Value, "name">): string {
  return `${name} gradient`;
}

/** Elements from one row of values or parameters to the next: rows are padded with 0 to quads. */
export function rowStride(width: number): number {
  return 4 * quadsOf(width);
}

/** Quads of f32 that a row takes. */
export function quadsOf(width: number): number {
  return Math.ceil(width / 4);
}

/** A matrix or vector that is trained. */
export interface Parameter {
  readonly name: string;
  /** As torch has it: `[out, in]`, or `[width]`. */
  readonly shape: readonly number[];
  /** Element of a net's parameters at which it begins; its rows are {@link rowStride} apart. */
  readonly offset: number;
  /** Of the optimizer's settings, from 0. */
  readonly group: number;
  /** Whether it lies as `[in, out]`. */
  readonly isTurned?: boolean;
}

/** Rows and columns of a parameter; a vector has one row. */
export function parameterSize({ shape }: Pick<Parameter, "shape">): [number, number] {
  const columns = shape.at(-1)!;
  return [shape.slice(0, -1).reduce((product, size) => product * size, 1), columns];
}

/** Elements of a parameter in the padded layout. */
export function parameterElements(
  parameter: Pick<Parameter, "shape" | "isTurned">,
): number {
  const [rows, columns] = parameterSize(parameter);
  return parameter.isTurned ? columns * rowStride(rows) : rows * rowStride(columns);
}

/** Elements of parameters from the first to the end of the last. */
export function parametersStride(parameters: readonly Parameter[]): number {
  const last = parameters.at(-1);
  return last ? last.offset + parameterElements(last) : 0;
}

/** One net's parameters, padded, from values as torch has them, one parameter after the other. */
export function packParameters(
  parameters: readonly Parameter[],
  values: ArrayLike<number>,
): Float32Array<ArrayBuffer> {
  const padded = new Float32Array(parametersStride(parameters));
  const count = eachElement(parameters, (from, to) => padded[to] = values[from]!);
  if (count !== values.length) {
    throw new RangeError(`Cannot pack ${values.length} parameters: the net has ${count}`);
  }
  return padded;
}

/** The reverse. */
export function unpackParameters(
  parameters: readonly Parameter[],
  padded: ArrayLike<number>,
): Float32Array<ArrayBuffer> {
  const stride = parametersStride(parameters);
  if (padded.length !== stride) {
    throw new RangeError(`Cannot unpack ${padded.length} elements: a net has ${stride}`);
  }
  const values = new Float32Array(eachElement(parameters, () => {}));
  eachElement(parameters, (to, from) => values[to] = padded[from]!);
  return values;
}

/** Calls back with the place of every parameter's element, without padding and with it; gives how many there are. */
function eachElement(
  parameters: readonly Parameter[],
  take: (plain: number, padded: number) => void,
): number {
  let plain = 0;
  for (const parameter of parameters) {
    const [rows, columns] = parameterSize(parameter);
    const [down, along] = parameter.isTurned ? [1, rowStride(rows)] : [rowStride(columns), 1];
    for (let row = 0; row < rows; row++) {
      const at = parameter.offset + row * down;
      for (let column = 0; column < columns; column++) take(plain++, at + column * along);
    }
  }
  return plain;
}
