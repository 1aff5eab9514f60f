/**
 * What a small transformer knows: trained to guess the next symbol of the Mess3 process, does it hold the belief that
 * Bayes' rule gives? Its hidden states are collected from the model that runs, probes are fitted to every layer, and
 * the same is done with the weights drawn anew.
 *
 *   node mess3.mjs FOLDER [OUT]
 *
 * FOLDER holds model.onnx (input_ids -> hidden_states.0 to .3), tokens.npy and belief.npy; OUT gets mess3.svg and the
 * activations.
 *
 * @module
 */

import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import * as ort from "onnxruntime-web";
import {
  collectLive,
  fromTypedArray,
  hiddenStates,
  LogisticProbe,
  metrics,
  openArray,
  openGpu,
  readAll,
  view,
} from "sluice";
import { beliefsOf } from "./process.mjs";
import { regress } from "./regression.mjs";
import { redraw } from "./weights.mjs";

const [folder, out = "."] = process.argv.slice(2);
if (!folder) {
  console.error("Usage: node mess3.mjs FOLDER [OUT]");
  process.exit(2);
}
const LENGTH = 16;
const HIDDEN = 48;
const LAYERS = [-1, 0, 1, 2];
const TRAIN = 2000;

const tokens = await openArray(path.join(folder, "tokens.npy"));
const [texts, width] = tokens.shape;
const symbols = Array.from(await readAll(tokens));
const inputOf = (text) => symbols.slice(text * width, text * width + LENGTH);

// Bayes' rule, and what the file says of it
const beliefs = new Float64Array(texts * LENGTH * 3);
for (let text = 0; text < texts; text++) {
  beliefs.set(beliefsOf(inputOf(text)), text * LENGTH * 3);
}
const told = await readAll(await openArray(path.join(folder, "belief.npy")));
const difference = told.reduce(
  (most, value, i) => Math.max(most, Math.abs(value - beliefs[i])),
  0,
);
console.log(
  `belief by Bayes' rule: within ${difference.toExponential(1)} of belief.npy`,
);

const last = new Float64Array(texts * 3);
for (let text = 0; text < texts; text++) {
  last.set(
    beliefs.subarray((text * LENGTH + LENGTH - 1) * 3, (text + 1) * LENGTH * 3),
    3 * text,
  );
}
const labels = Array.from({ length: texts }, (_, text) => {
  const [first, ...others] = last.subarray(3 * text, 3 * text + 3);
  return others.every((other) => first > other);
});

/** Texts in batches, as the model takes them. */
function* batches(size = 500) {
  for (let from = 0; from < texts; from += size) {
    const count = Math.min(size, texts - from);
    const ids = Array.from({ length: count }, (_, i) => `text ${from + i}`);
    const values = ids.flatMap((_, i) => inputOf(from + i)).map(BigInt);
    const input_ids = new ort.Tensor("int64", BigInt64Array.from(values), [
      count,
      LENGTH,
    ]);
    yield {
      ids,
      inputs: { input_ids },
      attentionMask: new Uint8Array(count * LENGTH).fill(1),
    };
  }
}

const gpu = await openGpu({ budget: "256 MiB" });
const columns = [];

/** Fits a probe to every layer of a model; tells how well it does on the texts it has not seen. */
async function probe(name, model) {
  const session = await ort.InferenceSession.create(model);
  const collected = await collectLive(hiddenStates(session, batches()), {
    layers: LAYERS,
    hidden: HIDDEN,
    producer: `mess3, ${name}`,
    hookPoint: "resid_post",
  }).lastPool().save(gpu, path.join(out, `${name}.acts`), { overwrite: true });
  const found = [];
  for (const { layer, acts } of collected.iterLayers()) {
    const { values } = await acts.realize(gpu);
    const rows = (from, to) =>
      fromTypedArray(values.slice(from * HIDDEN, to * HIDDEN), [
        to - from,
        HIDDEN,
      ]);
    const logistic = new LogisticProbe({ c: 1 });
    await logistic.fit(gpu, rows(0, TRAIN), labels.slice(0, TRAIN)).run();
    const { logits } = await logistic.predict(gpu, rows(TRAIN, texts)).run();
    const auroc = metrics.auroc(labels.slice(TRAIN), logits);
    const { predicted, r2 } = regress(values, HIDDEN, last, 3, TRAIN);
    console.log(
      `${name}, layer ${layer}: AUROC ${auroc.toFixed(4)}, R^2 of belief ${r2.toFixed(4)}`,
    );
    found.push({ layer, auroc, r2, predicted });
  }
  await collected.close();
  columns.push({ name, found });
}

/** Draws from the standard normal distribution by a seed. */
function normals(seed) {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

const model = new Uint8Array(await readFile(path.join(folder, "model.onnx")));
await probe("trained", model);
await probe("drawn anew", redraw(model, normals(7)));

/** Beliefs as points of a triangle, by the state that is likeliest. */
function triangle(title, values) {
  const points = [0, 1, 2].map(() => ({ x: [], y: [] }));
  for (let text = TRAIN; text < texts; text++) {
    const [, q, r] = values.subarray(3 * text, 3 * text + 3);
    const truth = last.subarray(3 * text, 3 * text + 3);
    const likeliest = truth.indexOf(Math.max(...truth));
    points[likeliest].x.push(q + r / 2);
    points[likeliest].y.push(r * Math.sqrt(3) / 2);
  }
  return {
    title,
    x: { label: "P(state 1) + P(state 2) / 2", low: -0.1, high: 1.1 },
    y: { label: "√3 / 2 P(state 2)", low: -0.1, high: 1 },
    height: 300,
    marks: points.map((own, state) =>
      view.dots({
        ...own,
        name: `state ${state} is likeliest`,
        color: state + 1,
        radius: 2,
        opacity: 0.5,
      })
    ),
  };
}

const at = ({ found }) => found.at(-1);
const [trained, anew] = columns;
const drawing = view.drawCharts([
  triangle("Belief by Bayes' rule", last),
  triangle(
    `Layer 2, trained: R² ${at(trained).r2.toFixed(3)}`,
    at(trained).predicted,
  ),
  triangle(
    `Layer 2, weights drawn anew: R² ${at(anew).r2.toFixed(3)}`,
    at(anew).predicted,
  ),
], 380);
await writeFile(path.join(out, "mess3.svg"), view.svgFile(drawing));
console.log(
  `${path.join(out, "mess3.svg")}: what the last layer holds, beside what there is to know`,
);
gpu.close();
