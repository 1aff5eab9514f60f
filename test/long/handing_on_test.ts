import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { inChromium } from "../support/in_chromium.ts";
import { onnxProduct } from "../support/onnx_product.ts";
import { install } from "../support/packed.ts";
import { runtime } from "../support/runtime.ts";

const PACKAGES = [
  "@tensorflow/tfjs-core@4.22.0",
  "@tensorflow/tfjs-backend-webgpu@4.22.0",
  "onnxruntime-web@1.30.0",
];
const [FRAMES, FEATURES, SIZE] = [700, 7, 5];

/** What the page of docs does with each library, around the blocks that it shows. */
function pageOf(docs: string): string {
  const blocks = [...docs.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code!);
  const [tensorflow] = blocks.filter((code) => code.includes("tf.tensor("));
  const [onnx] = blocks.filter((code) => code.includes("ort.Tensor"));
  const weights = Float32Array.from({ length: FEATURES }, (_, feature) => feature + 1);
  return `
    import { fromTypedArray, openGpu, windows } from "sluice";
    import * as tf from "@tensorflow/tfjs-core";
    import { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
    import * as ort from "onnxruntime-web/webgpu";
    const values = Float32Array.from({ length: ${FRAMES * FEATURES} }, (_, i) => i * 31 % 97);
    const labels = Float32Array.from({ length: ${FRAMES} }, (_, frame) => frame % 251);
    const model = Uint8Array.from(${JSON.stringify(onnxProduct(weights, 1))});
    const gpu = await openGpu();
    const frames = fromTypedArray(values, [${FRAMES}, ${FEATURES}]);
    const train = windows(frames, { size: ${SIZE}, labels });
    // whole numbers that f32 holds: how often each is there may not depend on the order, either
    const all = async (each) => {
      const found = [];
      await each((numbers) => found.push(...numbers));
      return found.sort((a, b) => a - b);
    };
    const wanted = (of) => all(async (take) => {
      for (let window = 0; window < train.shape[0]; window++) take([of(window)]);
    });
    const sumOf = (window) => {
      const first = train.startOf(window) * ${FEATURES};
      return values.subarray(first, first + ${
    SIZE * FEATURES
  }).reduce((sum, value) => sum + value, 0);
    };
    const same = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);
    const report = {};
    const sums = await all(async (take) => {
      const trainOn = (states, labels) => {
        const loss = tf.add(tf.sum(states, [1, 2]), tf.mul(labels, 4096));
        return { data: async () => take(await loss.data()) };
      };
      ${tensorflow}
    });
    report.backend = tf.getBackend();
    report.tensorflow = same(
      sums,
      await wanted((window) => sumOf(window) + 4096 * labels[window + ${SIZE - 1}]),
    );
    const products = await all(async (take) => {
      const use = ({ output }) => take(output.data);
      ${onnx}
    });
    const frameOf = (frame) => values.subarray(${FEATURES} * frame, ${FEATURES} * (frame + 1))
      .reduce((sum, value, feature) => sum + value * (feature + 1), 0);
    report.onnx = same(products, await all(async (take) => {
      for (let window = 0; window < train.shape[0]; window++) {
        for (let frame = 0; frame < ${SIZE}; frame++) take([frameOf(train.startOf(window) + frame)]);
      }
    }));
    globalThis.report = report;`;
}

describe("batches on the device", () => {
  it("are what TensorFlow.js and ONNX Runtime Web compute with, as docs/windows.md says", async (context) => {
    if (runtime !== "node") context.skip("Playwright is driven from Node");
    const folder = await mkdtemp(join(tmpdir(), "sluice-handing-on-"));
    try {
      try {
        await install(folder, PACKAGES);
      } catch (error) {
        const { message } = error as Error;
        context.skip(`${PACKAGES.join(", ")} cannot be installed: ${message.slice(0, 200)}`);
      }
      await writeFile(join(folder, "page.js"), pageOf(await readFile("docs/windows.md", "utf8")));
      await writeFile(join(folder, "index.html"), '<script type="module" src="/page.js"></script>');
      const { build } = await import("vite");
      await build({
        ...{ configFile: false, root: folder, logLevel: "error" },
        resolve: { alias: { sluice: resolve("src/mod.ts") } },
        build: { target: "esnext" },
      });
      const { servedFolder } = await import("../support/served_folder.ts");
      await using site = await servedFolder(join(folder, "dist"));
      const report = await inChromium(async (page) => {
        await page.goto(site.url);
        await page.waitForFunction("globalThis.report");
        return await page.evaluate("globalThis.report");
      });
      expect(report).toEqual({ backend: "webgpu", tensorflow: true, onnx: true });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
