/**
 * A widget for notebooks in Python, by the protocol of anywidget: decodes arrays of Python on the GPU of whoever looks at
 * the notebook, wherever its kernel runs. `examples/python/sluice_widget.py` is its other side.
 *
 * Of the model it reads `position_times`, `position`, `spike_times` and `spike_units` (f64, little-endian; position
 * `[samples, dimensions]`), `dimensions` and `options`. It writes `status`, `progress`, `error`, and at the end `facts`,
 * `_time` and `_mean` (f64), `_state_probabilities` and, where it is asked for, `_posterior` (f32).
 *
 * @module
 */

import { readAll } from "./array/array.ts";
import type { ChunkedArray } from "./chunked_array.ts";
import { openGpu } from "./gpu/device.ts";
import type { DecodeResult } from "./hmm/decoder.ts";
import { contFrag, continuous, posteriorMean, sortedSpikes } from "./hmm/decoder.ts";
import { formatBytes } from "./math/format.ts";
import { declare, flag, number, oneOf, text } from "./options.ts";
import { plot } from "./plot/plot.ts";
import type { LiveRun } from "./stream/live_run.ts";
import { live } from "./stream/live_run.ts";

/** What anywidget gives of the Python side. */
export interface WidgetModel {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(event: string, listen: () => void): void;
  off(event: string, listen: () => void): void;
}

const widgetOptions = declare("decode in a notebook", {
  binSize: number({ required: true, above: 0, says: "edge of a position bin" }),
  rate: number({ default: 500, above: 0, says: "rows a second" }),
  states: oneOf(["contFrag", "continuous"], { default: "contFrag", says: "how position moves" }),
  movementVar: number({ default: 6, above: 0, says: "variance of a step" }),
  positionStd: number({ default: 6, above: 0, says: "standard deviation of a place field" }),
  unit: text({ otherwise: "none", says: "unit of positions, as cm" }),
  budget: text({ default: "256 MiB", says: "GPU memory allowed" }),
  /** Sends all of the posterior back, too: up to 256 MiB. */
  posterior: flag({ default: false, says: "send the posterior back" }),
});

/** Results lie in the page's memory until they are sent; kernels take messages of no more. */
const [MOST_STORED, MOST_SENT] = [2 ** 30, 2 ** 28];
let decodes = 0;

/** Shows a button, then how far it is, then the picture; returns what ends it. */
export function render({ model, el }: { model: WidgetModel; el: HTMLElement }): () => void {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Decode on this machine's GPU";
  const words = document.createElement("p");
  words.setAttribute("role", "status");
  const [shown, picture] = [document.createElement("div"), document.createElement("div")];
  // styles of the notebook stay outside
  picture.attachShadow({ mode: "open" });
  el.append(button, words, shown, picture);
  let run: LiveRun<DecodeResult> | undefined;
  const tell = (changes: Record<string, unknown>) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  };
  const start = async () => {
    if (button.disabled) return;
    button.disabled = true;
    words.textContent = "";
    tell({ status: "running", progress: 0, error: "" });
    try {
      await decode(model, tell, (own) => {
        run = own;
        shown.replaceChildren(own.element);
      }, (svg) => picture.shadowRoot!.innerHTML = svg);
      tell({ status: "done", progress: 1 });
    } catch (error) {
      const { message } = error as Error;
      words.textContent = `${message}.`;
      tell({ status: "failed", error: message });
    } finally {
      button.disabled = false;
    }
  };
  button.addEventListener("click", start);
  // Python may ask for it, too
  model.on("change:asked", start);
  return () => {
    model.off("change:asked", start);
    run?.cancel();
  };
}

async function decode(
  model: WidgetModel,
  tell: (changes: Record<string, unknown>) => void,
  show: (run: LiveRun<DecodeResult>) => void,
  draw: (svg: string) => void,
): Promise<void> {
  const options = widgetOptions.check(model.get("options") as Record<string, never>);
  const { binSize, rate, movementVar, positionStd, unit, budget } = options;
  const [times, values, spikeTimes, units] = [
    ...["position_times", "position", "spike_times", "spike_units"],
  ].map((name) => numbersOf(model, name)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const position = { times, values, shape: [times.length, model.get("dimensions") as number] };
  const spikes = { times: spikeTimes, units };
  const states = options.states === "continuous"
    ? continuous({ movementVar })
    : contFrag({ movementVar });
  const gpu = await openGpu({ budget });
  const out = `memory:widget/decode ${decodes++}`;
  try {
    const plan = sortedSpikes({ position, spikes, states, binSize, positionStd })
      .smooth(gpu, { time: { rate }, out });
    if (plan.projected.disk > MOST_STORED) {
      throw new RangeError(
        `Cannot decode in this notebook: the result takes ${
          formatBytes(plan.projected.disk)
        }, wanted at ` +
          `most ${formatBytes(MOST_STORED)}: give larger bins or fewer rows a second`,
      );
    }
    let percent = -1;
    const run = live(plan, {
      onProgress: ({ fraction }) => {
        // a message for each percent, not for each tile
        if (Math.floor(100 * fraction) === percent) return;
        percent = Math.floor(100 * fraction);
        tell({ progress: fraction });
      },
    });
    show(run);
    const result = await run.result;
    try {
      tell(await sent(result, options.posterior));
      const picture = await plot(out, { position, spikes, ...unit !== undefined && { unit } });
      draw(picture.toSVG());
    } finally {
      await result.close();
    }
  } finally {
    gpu.close();
  }
}

/** What Python gets. */
async function sent(result: DecodeResult, all: boolean): Promise<Record<string, unknown>> {
  const { posterior, marginalLogLikelihood, droppedSpikes, peakBytes, projectedBytes } = result;
  const [rows, bins] = posterior.shape as [number, number];
  if (all && 4 * rows * bins > MOST_SENT) {
    throw new RangeError(
      `Cannot send the posterior: its shape [${rows}, ${bins}] takes ${
        formatBytes(4 * rows * bins)
      }, ` +
        `wanted at most ${formatBytes(MOST_SENT)}`,
    );
  }
  const means = await posteriorMean(result);
  const mean = new Float64Array(rows * means.length);
  means.forEach((own, axis) =>
    own.forEach((value, row) => mean[row * means.length + axis] = value)
  );
  return {
    facts: {
      ...{ rows, bins, states: result.states.shape[1], dimensions: means.length },
      ...{ marginalLogLikelihood, droppedSpikes, peakBytes, projectedBytes },
    },
    _time: await bytesOf(result.time),
    _mean: viewOf(mean),
    _state_probabilities: await bytesOf(result.states),
    ...all && { _posterior: await bytesOf(posterior) },
  };
}

const viewOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new DataView(buffer, byteOffset, byteLength);

const bytesOf = async (array: ChunkedArray) => viewOf(await readAll(array) as ArrayBufferView);

/** Bytes of Python, as anywidget gives them. */
function numbersOf(model: WidgetModel, name: string): Float64Array {
  const bytes = model.get(name);
  if (!(bytes instanceof DataView) || bytes.byteLength % 8 !== 0) {
    const is = bytes instanceof DataView ? `${bytes.byteLength} bytes` : typeof bytes;
    throw new TypeError(`Cannot decode: ${name} is ${is}, wanted bytes of float64`);
  }
  return Float64Array.from(
    { length: bytes.byteLength / 8 },
    (_, i) => bytes.getFloat64(8 * i, true),
  );
}

export default { render };
