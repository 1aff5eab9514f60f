/**
 * What a net has: parameters, values, uploads and the names of its buffers, each declared once.
 *
 * @module
 */

import { DETECTED, STARTS } from "./attend.ts";
import type { Frame } from "./layer.ts";
import { LOSS_PARTS } from "./loss.ts";
import type { Axis, Parameter, Value } from "./value.ts";
import {
  gradientOf,
  packParameters,
  parametersStride,
  rowStride,
  unpackParameters,
} from "./value.ts";

export interface NetOptions {
  /** Nets side by side. */
  nets: number;
  /**
   * Most rows of a batch; left out where there are samples alone. Decides, as `samples` does, how sums are cut:
   * never take them from a budget.
   */
  rows?: number;
  /** Most samples of a batch. */
  samples: number;
  /** Of dropout, by net, u32: a net with a seed is the same whatever is beside it. */
  seeds?: readonly number[];
  /** What the names of its buffers begin with. Default `net`. */
  name?: string;
  /** A net whose parameters and gradient it has, too: it takes parts of the other's batches. */
  of?: DeclaredNet;
}

/** A buffer of a tile that whoever runs the net uploads. */
export interface TileInput {
  name: string;
  axis: Axis;
  /** Bytes of a row or sample of the tile; `starts` has an element more than there are samples. */
  bytes: number;
  dtype: "float32" | "uint32";
}

export abstract class DeclaredNet {
  readonly nets: number;
  /** What the names of its buffers begin with. */
  readonly name: string;
  /** In the order of their declaration. */
  readonly parameters: Parameter[];
  /** What has to be uploaded with every tile. */
  readonly tileInputs: TileInput[] = [];
  /**
   * Losses that a tile gives, a buffer to be downloaded: `[slots, nets, 3]` f32, the weighted sum, the sum of
   * weights, and what regularising adds (after the backward pass).
   */
  readonly losses: { name: string; slotBytes: number };
  protected readonly capacity: Record<Axis, number>;
  protected readonly seeds: readonly number[] | undefined;
  protected readonly frame: Frame;
  /** Bytes of buffers that hold what tiles make, by their names. */
  protected readonly buffers = new Map<string, number>();
  /** Buffers that are filled once. */
  protected readonly filled = new Map<string, Float32Array>();
  readonly #taken = new Set<string>();
  readonly #owner: DeclaredNet;
  #stride = 0;

  constructor({ nets, rows = 0, samples, seeds, name = "net", of }: NetOptions) {
    for (
      const [what, size, least] of [["nets", nets, 1], ["rows", rows, 0], [
        "samples",
        samples,
        1,
      ]] as const
    ) {
      if (!Number.isInteger(size) || size < least) {
        throw new RangeError(
          `Cannot make a net: ${what} is ${size}, wanted a whole number from ${least}`,
        );
      }
    }
    // the dimensions of a dispatch
    for (const [what, size] of [["nets", nets], ["samples", rows > 0 ? samples : 0]] as const) {
      if (size > 65535) {
        throw new RangeError(`Cannot make a net: ${size} ${what}, at most 65535 are possible`);
      }
    }
    if (seeds && seeds.length !== nets) {
      throw new RangeError(`Cannot make a net: ${seeds.length} seeds for ${nets} nets`);
    }
    this.nets = nets;
    this.name = name;
    this.#owner = of ?? this;
    this.parameters = of?.parameters ?? [];
    this.capacity = { rows, samples };
    this.seeds = seeds;
    const own = (part: string) => `${name} ${part}`;
    this.losses = { name: own("losses"), slotBytes: 4 * nets * LOSS_PARTS };
    this.frame = {
      nets,
      capacity: (axis) => this.capacity[axis],
      parameterQuads: () => this.stride / 4,
      parameter: (wanted) => this.parameterOf(wanted),
      scratch: (part, bytes) => {
        // parts of values have the value's name already
        const whole = part.startsWith(own("")) ? part : own(part);
        this.buffers.set(whole, bytes);
        return whole;
      },
      filled: (part, contents) => {
        this.filled.set(part, contents);
        return part;
      },
      names: {
        parameters: own("parameters"),
        gradient: own("gradient"),
        seeds: own("seeds"),
        progress: own("progress"),
        losses: own("losses"),
        unused: own("unused"),
        spare: own("spare"),
        ...of && {
          parameters: of.names.parameters,
          gradient: of.names.gradient,
          seeds: of.names.seeds,
        },
      },
    };
  }

  /** Elements of one net in buffers of parameters, gradients and moments: those of net k begin at k times this. */
  get stride(): number {
    return this.#owner.#stride;
  }

  /** Names of its buffers: parameters, gradient, progress and others. */
  get names(): Frame["names"] {
    return this.frame.names;
  }

  /**
   * Values that are uploaded with the tile, in a buffer of that name: `[tile rows | samples, width]` where all
   * nets share them, or `[tile rows | samples, nets, width]`; rows are padded with 0 to `rowStride(width)`.
   */
  input(
    name: string,
    { axis, width, shared = true }: { axis: Axis; width: number; shared?: boolean },
  ): Value {
    this.claim(name, "an input");
    if (!Number.isInteger(width) || width < 1) {
      throw new RangeError(
        `Cannot add the input "${name}": its width is ${width}, wanted 1 or more`,
      );
    }
    if (this.capacity[axis] === 0) {
      throw new RangeError(`Cannot add the input "${name}": the net has no ${axis}`);
    }
    const bytes = 4 * rowStride(width) * (shared ? 1 : this.nets);
    this.upload({ name, axis, bytes, dtype: "float32" });
    if (axis === "rows") {
      this.upload({ name: STARTS, axis: "samples", bytes: 4, dtype: "uint32" });
      this.upload({ name: DETECTED, axis: "rows", bytes: 4, dtype: "uint32" });
    }
    return { name, axis, width, isInput: true, shared };
  }

  /** What others compute into a buffer of that name, `[nets, rows | samples, width]` padded as values are; it has no gradient. */
  given(name: string, { axis, width }: { axis: Axis; width: number }): Value {
    this.claim(name, "a value");
    return { name, axis, width, isInput: false, shared: false, isFixed: true };
  }

  /** What others put into a buffer of that name, as {@link given}; its gradient is theirs to go on with. */
  taken(name: string, { axis, width }: { axis: Axis; width: number }): Value {
    return this.value(name, axis, width);
  }

  /** A parameter that no layer has: its gradient is somebody else's to make. */
  parameter(name: string, shape: readonly number[], group = 0): Parameter {
    return this.declare(name, shape, group);
  }

  /** One net's parameters, padded, from values as torch has them, one parameter after the other. */
  pack(values: ArrayLike<number>): Float32Array<ArrayBuffer> {
    return packParameters(this.parameters, values);
  }

  /** The reverse. */
  unpack(padded: ArrayLike<number>): Float32Array<ArrayBuffer> {
    return unpackParameters(this.parameters, padded);
  }

  protected upload(input: TileInput): void {
    if (!this.tileInputs.some(({ name }) => name === input.name)) this.tileInputs.push(input);
  }

  /** A value with its gradient. */
  protected value(name: string, axis: Axis, width: number): Value {
    const whole = `${this.name} ${name}`;
    this.claim(whole, "a value");
    const bytes = 4 * this.nets * this.capacity[axis] * rowStride(width);
    const value: Value = { name: whole, axis, width, isInput: false, shared: false };
    this.buffers.set(whole, bytes);
    this.buffers.set(gradientOf(value), bytes);
    return value;
  }

  protected declare(
    name: string,
    shape: readonly number[],
    group: number,
    isTurned = false,
  ): Parameter {
    if (this.#owner !== this) return this.#owner.declare(name, shape, group, isTurned);
    this.claim(`parameter ${name}`, "a parameter");
    const parameter = { name, shape, offset: this.#stride, group, isTurned };
    this.parameters.push(parameter);
    this.#stride = parametersStride(this.parameters);
    return parameter;
  }

  protected parameterOf(name: string): Parameter {
    const found = this.parameters.find((parameter) => parameter.name === name);
    if (!found) throw new TypeError(`Cannot find the parameter "${name}" of a net`);
    return found;
  }

  protected hasParameter(name: string): boolean {
    return this.#taken.has(`parameter ${name}`);
  }

  protected claim(name: string, what: string): void {
    if (this.#taken.has(name)) {
      throw new TypeError(`Cannot add ${what}: "${name}" is there already`);
    }
    this.#taken.add(name);
  }

  protected computed(action: string, { name, isInput }: Value): void {
    if (isInput) {
      throw new TypeError(`Cannot ${action}: "${name}" is an input, wanted what a layer gives`);
    }
  }

  protected alike(action: string, a: Value, b: Value): void {
    this.computed(action, a);
    this.computed(action, b);
    if (a.axis !== b.axis || a.width !== b.width) {
      throw new RangeError(
        `Cannot ${action}: ${a.width} columns of ${a.axis} and ${b.width} of ${b.axis}, wanted the same`,
      );
    }
  }
}
