/**
 * What is to be done with activations, in one normal form however it was said: what is chosen of the
 * source, what is made of rows, what is made of the tokens of a sample, and what of that.
 *
 * @module
 */

import type { TokenPool } from "../kernels/pool_tokens.ts";
import type { ActsSource } from "./source.ts";
import type { ActsType, CastType, Dims } from "./types.ts";
import { isExact } from "./types.ts";

/** What becomes of an axis. */
export type PoolKind = "mean" | "max" | "sum";

/** One step of a chain, as it was said. */
export type ActsOp =
  | { kind: "selectLayers"; layers: number | readonly number[] }
  | { kind: "sliceBatch"; samples: readonly number[] }
  | { kind: "poolTokens"; pool: SamplePool; says: string }
  | { kind: "selectToken"; index: number }
  | { kind: "extractTokens" }
  | { kind: "poolLayers"; how: PoolKind }
  | { kind: "flatten" }
  | { kind: "cast"; dtype: CastType };

/** What becomes of the tokens of a sample, on the device. */
export type SamplePool = TokenPool | { kind: "mean" };

/** What is made of a row, or of a pooled one. */
export type RowStep = { kind: "cast"; dtype: CastType } | { kind: "layers"; how: PoolKind };

/** What is made of the tokens of a sample. */
export type TokenStep =
  | { kind: "pool"; pool: SamplePool }
  | { kind: "pick"; index: number | "last" }
  | { kind: "extract" };

export interface ActsGraph {
  /** Samples of the source, in the order that is wanted. */
  readonly samples: Uint32Array;
  /** Planes of the source. */
  readonly planes: readonly number[];
  /** Whether layers are still an axis. */
  readonly hasLayers: boolean;
  readonly isFlat: boolean;
  readonly before: readonly RowStep[];
  readonly tokens: TokenStep | undefined;
  readonly after: readonly RowStep[];
  readonly dims: Dims;
  /** Of the result. */
  readonly dtype: ActsType;
  /** What was said, and what became of it. */
  readonly notes: readonly string[];
}

export function beginGraph(source: ActsSource): ActsGraph {
  return {
    samples: Uint32Array.from({ length: source.samples }, (_, i) => i),
    planes: source.planes.map((_, i) => i),
    hasLayers: source.layers !== undefined,
    isFlat: false,
    before: [],
    tokens: undefined,
    after: [],
    dims: source.dims,
    dtype: source.dtype,
    notes: [],
  };
}

/** Whether rows of all layers are needed at once. */
export function isWide({ isFlat, before, after }: ActsGraph): boolean {
  return isFlat || [...before, ...after].some(({ kind }) => kind === "layers");
}

/** Ids of the layers that the result has, in its order; `undefined` where layers are no axis. */
export function layersOf({ layers }: ActsSource, graph: ActsGraph): number[] | undefined {
  return graph.hasLayers ? graph.planes.map((plane) => layers![plane]!) : undefined;
}

/** Channels of the result. */
export function hiddenOf(source: ActsSource, { isFlat, planes }: ActsGraph): number {
  return source.hidden * (isFlat ? planes.length : 1);
}

/**
 * The graph with one more step.
 *
 * @throws {RangeError} If the step has nothing to work on; says what to do.
 */
export function extendGraph(source: ActsSource, graph: ActsGraph, op: ActsOp): ActsGraph {
  const { dims, dtype } = graph;
  const hasTokens = dims.includes("s");
  const note = (text: string) => [...graph.notes, text];
  const refuse = (action: string, is: string, wanted: string): never => {
    throw new RangeError(`Cannot ${action}: ${is}, ${wanted}`);
  };
  const needLayers = (action: string) => {
    if (graph.hasLayers) return;
    const why = graph.isFlat
      ? 'flatten() or a pool over "l" took the layer axis'
      : `dims are ${dims}, there is no layer axis`;
    refuse(action, why, source.layers ? `wanted it earlier in the chain` : "wanted blh or blsh");
  };
  const needTokens = (action: string) => {
    if (hasTokens) return;
    const gone = source.dims.includes("s");
    refuse(
      action,
      `dims are ${dims}, ${gone ? "the token axis is gone by now" : "there is no token axis"}`,
      gone ? "wanted one pool, select or extractTokens of it" : "wanted bsh or blsh",
    );
  };
  /** With a step that rows, or pooled rows, go through. */
  const withStep = (step: RowStep, changed: Partial<ActsGraph>, text: string): ActsGraph => {
    const stage = graph.tokens ? "after" : "before";
    return { ...graph, [stage]: [...graph[stage], step], ...changed, notes: note(text) };
  };
  switch (op.kind) {
    case "selectLayers": {
      needLayers("select layers");
      const { layers } = op;
      const wanted = typeof layers === "number" ? [layers] : [...layers];
      const there = layersOf(source, graph)!;
      const missing = wanted.find((layer) => !there.includes(layer));
      if (missing !== undefined || wanted.length === 0) {
        refuse(
          "select layers",
          missing === undefined ? "none is named" : `there is no layer ${missing}`,
          `wanted some of ${there.join(", ")} (outputs of blocks; -1 is the embeddings)`,
        );
      }
      const twice = wanted.find((layer, i) => wanted.indexOf(layer) !== i);
      if (twice !== undefined) {
        refuse("select layers", `layer ${twice} is named twice`, "wanted each once");
      }
      return {
        ...graph,
        planes: wanted.map((layer) => graph.planes[there.indexOf(layer)]!),
        hasLayers: typeof layers !== "number",
        dims: (typeof layers === "number" ? dims.replace("l", "") : dims) as Dims,
        notes: note(`layers ${wanted.join(", ")}: only these are asked of the source`),
      };
    }
    case "sliceBatch": {
      if (graph.tokens?.kind === "extract") {
        refuse("slice samples", "rows are tokens by now", "wanted it before extractTokens()");
      }
      if (source.live) {
        refuse(
          "slice samples",
          "a model brings them one by one",
          "wanted save() or realize() first",
        );
      }
      const { samples } = graph;
      const stray = op.samples.find((sample) =>
        !Number.isInteger(sample) || sample < 0 || sample >= samples.length
      );
      if (stray !== undefined) {
        refuse(
          "slice samples",
          `there is no sample ${stray}`,
          `wanted some of 0 to ${samples.length - 1}`,
        );
      }
      if (new Set(op.samples).size !== op.samples.length) {
        refuse("slice samples", "one is named twice", "wanted each once");
      }
      return {
        ...graph,
        samples: Uint32Array.from(op.samples, (sample) => samples[sample]!),
        notes: note(`${op.samples.length} samples: only these are asked of the source`),
      };
    }
    case "poolTokens": {
      needTokens(op.says);
      return {
        ...graph,
        tokens: { kind: "pool", pool: op.pool },
        dims: dims.replace("s", "") as Dims,
        // sums of halves want more digits than halves have
        dtype: "float32",
        notes: note(
          `${op.says}: on the device as tokens are read, f32, samples alone; other tokens than ` +
            "from the first detected to the last are not read" +
            (op.pool.kind === "rolling" ? ", but for windows that end later" : ""),
        ),
      };
    }
    case "selectToken": {
      needTokens("select a token");
      if (!Number.isInteger(op.index)) {
        refuse("select a token", `its position is ${op.index}`, "wanted a whole number");
      }
      const index = op.index === -1 ? "last" : op.index;
      const which = index === "last" ? "the last detected token" : `token ${index}`;
      return {
        ...graph,
        tokens: { kind: "pick", index },
        dims: dims.replace("s", "") as Dims,
        notes: note(`${which} of each sample: no other row is asked of the source`),
      };
    }
    case "extractTokens":
      needTokens("extract tokens");
      return {
        ...graph,
        tokens: { kind: "extract" },
        dims: dims.replace("s", "") as Dims,
        notes: note("detected tokens: no other row is asked of the source"),
      };
    case "poolLayers":
      needLayers(`take the ${op.how} over layers`);
      return withStep(
        { kind: "layers", how: op.how },
        { hasLayers: false, dims: dims.replace("l", "") as Dims, dtype: "float32" },
        `${op.how} over ${graph.planes.length} layers: on the host, all layers of ` +
          `${graph.tokens ? "a pooled row" : "a token"} at once`,
      );
    case "flatten":
      needLayers("flatten layers");
      return {
        ...graph,
        hasLayers: false,
        isFlat: true,
        dims: dims.replace("l", "") as Dims,
        notes: note(`flatten: ${graph.planes.length} layers side by side, in the order chosen`),
      };
    case "cast": {
      if (op.dtype === dtype) return graph;
      if (isExact(dtype, op.dtype)) {
        return { ...graph, dtype: op.dtype, notes: note(`cast to ${op.dtype}: exact`) };
      }
      return withStep(
        { kind: "cast", dtype: op.dtype },
        { dtype: op.dtype },
        `cast to ${op.dtype}: rounds ${
          graph.tokens ? "what is pooled" : "tokens, before they are pooled"
        }`,
      );
    }
  }
}
