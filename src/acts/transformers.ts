/**
 * Models of `@huggingface/transformers`, onnxruntime, and whatever else runs a graph: by what they give, without
 * the package.
 *
 * @module
 */

import { decodeFloat16 } from "../math/half.ts";
import type { LiveBlock, LiveBlocks } from "./live_blocks.ts";
import type { Mask } from "./tokens.ts";
import { maskOf } from "./tokens.ts";
import { toFloat32 } from "./types.ts";

const ACTION = "collect activations of a model";

/** A tensor as such packages have it. */
export interface ModelTensor {
  readonly data: unknown;
  readonly dims: readonly (number | bigint)[];
  /** `float32`, `float16`. */
  readonly type?: string;
}

type Outputs = Readonly<Record<string, ModelTensor | unknown>>;

/** A model, or the session within it. */
export type RunnableModel =
  | ((inputs: never) => Promise<Outputs>)
  | { run(inputs: never): Promise<Outputs>; outputNames?: readonly string[] }
  | { session: { run(inputs: never): Promise<Outputs>; outputNames?: readonly string[] } };

/** Texts that a model gets at a time. */
export interface ModelBatch {
  /** A name for each of them. */
  ids: readonly string[];
  /** What the model takes, its `attention_mask` [texts, tokens] among it. */
  inputs: Readonly<Record<string, unknown>>;
  /** [texts, tokens], where `inputs` have no `attention_mask`: ones where there is no padding. */
  attentionMask?: Mask;
  /** [texts, tokens]: tokens that count; all when not given. */
  detectionMask?: Mask;
}

const STATE = /^hidden_states[._](\d+)$/;

/**
 * What a model says of each token, layer by layer: for `collectLive()`. Entry k of its hidden states is the output
 * of block k - 1, so that 0 are the embeddings, which are layer -1.
 *
 * @example
 * ```ts
 * const model = await AutoModel.from_pretrained("my-model");
 * const acts = collectLive(hiddenStates(model, batches), {
 *   ...{ layers: [3, 7], hidden: 768, producer: "my-model", hookPoint: "resid_post" },
 * });
 * await acts.meanPool().save(gpu, "pooled.acts");
 * ```
 *
 * Its last entry comes after the final norm in most models: name it in `afterFinalNorm` if you collect it.
 *
 * @throws {TypeError} If its graph has no hidden states: lists what it has, and how to export them.
 * @throws {RangeError} If tensors, masks and ids do not belong together.
 */
export function hiddenStates(
  model: RunnableModel,
  batches: AsyncIterable<ModelBatch> | Iterable<ModelBatch>,
): LiveBlocks {
  return async function* ({ done }) {
    for await (const batch of batches) {
      if (batch.ids.every((id) => done.has(id))) continue;
      yield* blocksOf(batch, await run(model, batch.inputs));
    }
  };
}

async function run(model: RunnableModel, inputs: ModelBatch["inputs"]): Promise<Outputs> {
  const session = "session" in model ? model.session : model;
  const named = "outputNames" in session ? session.outputNames : undefined;
  if (named && !named.some((name) => STATE.test(name))) throw withoutStates(named);
  // a model of transformers.js is a function, and has a session that knows less of inputs
  if (typeof model === "function") return await model(inputs as never);
  return await (session as { run(inputs: never): Promise<Outputs> }).run(inputs as never);
}

function withoutStates(names: readonly string[]): TypeError {
  return new TypeError(
    `Cannot ${ACTION}: its outputs are ${
      names.join(", ") || "none"
    }, wanted hidden_states.0, hidden_states.1, ... ` +
      '(export it with them: optimum\'s main_export(..., model_kwargs={"output_hidden_states": True}, ' +
      "custom_onnx_configs=...), or torch.onnx.export of a module that returns outputs.hidden_states under those names)",
  );
}

function* blocksOf(batch: ModelBatch, outputs: Outputs): Generator<LiveBlock> {
  const { ids, inputs, attentionMask, detectionMask } = batch;
  const states = Object.entries(outputs).map(([name, value]) => ({
    entry: STATE.exec(name)?.[1],
    value: value as ModelTensor,
  })).filter(({ entry }) => entry !== undefined);
  if (states.length === 0) throw withoutStates(Object.keys(outputs));
  const dims = states[0]!.value.dims.map(Number);
  const [texts, tokens, hidden] = dims as [number, number, number];
  if (dims.length !== 3 || texts !== ids.length) {
    throw new RangeError(
      `Cannot ${ACTION}: hidden states are [${dims.join(", ")}] of ${ids.length} texts, wanted ` +
        `[${ids.length}, tokens, hidden]`,
    );
  }
  const mask = attentionMask ?? (inputs.attention_mask as ModelTensor | undefined)?.data;
  if (!mask) {
    throw new TypeError(
      `Cannot ${ACTION}: nothing says which of the ${tokens} tokens of a text are padding, wanted ` +
        "attention_mask among the inputs, or attentionMask",
    );
  }
  const real = maskOf(mask as Mask, "attentionMask", [texts, tokens]);
  const scored = detectionMask && maskOf(detectionMask, "detectionMask", [texts, tokens]);
  const layers = states.map(({ entry, value }) => {
    if (value.dims.map(Number).join() !== dims.join()) {
      throw new RangeError(
        `Cannot ${ACTION}: hidden_states.${entry} is [${value.dims.join(", ")}], others are ` +
          `[${dims.join(", ")}], wanted the same`,
      );
    }
    return { layer: Number(entry) - 1, values: floatsOf(value, `hidden_states.${entry}`) };
  });
  for (const [text, id] of ids.entries()) {
    const kept = Array.from({ length: tokens }, (_, token) => text * tokens + token)
      .filter((row) => real[row] === 1);
    const own = ({ values }: { values: Float32Array }) => {
      const rows = new Float32Array(kept.length * hidden);
      kept.forEach((row, i) =>
        rows.set(values.subarray(row * hidden, (row + 1) * hidden), i * hidden)
      );
      return rows;
    };
    yield {
      id,
      layers: Object.fromEntries(layers.map((layer) => [layer.layer, own(layer)])),
      ...(scored && { detected: kept.map((row) => scored[row]!) }),
    };
  }
}

function floatsOf({ data, type }: ModelTensor, name: string): Float32Array {
  if (data instanceof Float32Array) return data;
  if (data instanceof Float64Array) return toFloat32(data, "float64");
  if (type === "float16" && data instanceof Uint16Array) return decodeFloat16(data);
  if (type === "float16" && ArrayBuffer.isView(data)) {
    return Float32Array.from(data as unknown as ArrayLike<number>);
  }
  throw new TypeError(
    `Cannot ${ACTION}: ${name} is ${type ?? "of no known type"}, wanted float32 or float16`,
  );
}
