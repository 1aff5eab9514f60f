/**
 * Assigning rows to codes, side by side with jax-js and tfjs on the same adapter in one process:
 *
 *   npm --prefix bench/peers install && node tools/run.mjs peers
 *
 * Their answers and ours are checked against each other; times are from call to the ids on the host,
 * for data that are on the device, in turns, median of 5.
 */

import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import type { Gpu } from "../../src/gpu/device.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { BufferUsage, MapMode } from "../../src/gpu/usage.ts";
import * as assign from "../../src/kernels/vq_assign.ts";
import { formatTable } from "../../src/math/format.ts";
import { toPanels } from "../../src/math/panels.ts";
import { Random } from "../../src/math/random.ts";
import { measureCeilings } from "../ceilings.ts";

const REPEATS = 5;

interface Problem {
  rows: number;
  codes: number;
  features: number;
  points: Float32Array;
  book: Float32Array;
}

/** One library: a call gives the ids. */
interface Contender {
  name: string;
  run(): Promise<ArrayLike<number>>;
  close(): void;
}

// what of the peers is used here; neither is a dependency of this package
interface JaxArray {
  readonly ref: JaxArray;
  mul(other: JaxArray | number): JaxArray;
  sub(other: JaxArray): JaxArray;
  js(): Promise<number[]>;
  data(): Promise<ArrayLike<number>>;
  blockUntilReady(): Promise<JaxArray>;
  dispose(): void;
}

const require = createRequire(
  path.join(process.cwd(), "bench/peers/package.json"),
);
const load = (name: string) => import(/* @vite-ignore */ pathToFileURL(require.resolve(name)).href);

async function ours(gpu: Gpu, problem: Problem): Promise<Contender> {
  const { rows, codes, features, points, book } = problem;
  const constants = assign.vqAssignConstants(features, codes, rows);
  const kernels = [
    await gpu.kernel(assign.vqAssign, constants),
    await gpu.kernel(assign.vqPick, constants),
  ];
  const { codebooks, norms } = assign.packCodebooks([book], features);
  const contents: Record<string, ArrayBufferView | number> = {
    params: assign.vqAssignParams(0, rows, 0),
    points: toPanels(points, features),
    codebooks,
    code_norms: norms,
    candidates: assign.candidateBytes(rows, codes, 1),
    ids: 4 * rows,
    nearness: 8 * rows,
  };
  const sizes = Object.entries(contents).map(([label, data]) => ({
    label,
    bytes: typeof data === "number" ? data : data.byteLength,
    usage: BufferUsage.COPY_DST | BufferUsage.COPY_SRC |
      (label === "params" ? BufferUsage.UNIFORM : BufferUsage.STORAGE),
  }));
  const staging = {
    label: "staging",
    bytes: 4 * rows,
    usage: BufferUsage.MAP_READ | 8,
  };
  const bytes = [...sizes, staging].reduce((sum, size) => sum + size.bytes, 0);
  const account = gpu.ledger.open("peers", { gpu: bytes, host: 0, disk: 0 });
  const made = await account.createBuffers([...sizes, staging]);
  const buffers = Object.fromEntries(
    sizes.map(({ label }, i) => [label, made[i]!]),
  );
  for (const [name, data] of Object.entries(contents)) {
    if (typeof data === "number") continue;
    gpu.device.queue.writeBuffer(
      buffers[name]!,
      0,
      data as Float32Array<ArrayBuffer>,
    );
  }
  const groups = kernels.map((kernel) => kernel.bind(buffers));
  const workgroups = [
    assign.vqAssignWorkgroups(rows, codes, 1),
    assign.vqPickWorkgroups(rows, 1),
  ];
  return {
    name: "sluice",
    async run() {
      await gpu.submit("assign", (encoder) => {
        for (const [i, kernel] of kernels.entries()) {
          const pass = encoder.beginComputePass();
          kernel.encode(pass, groups[i]!, workgroups[i]!);
          pass.end();
        }
        encoder.copyBufferToBuffer(buffers.ids!, 0, made.at(-1)!, 0, 4 * rows);
      });
      await made.at(-1)!.mapAsync(MapMode.READ);
      const ids = new Uint32Array(made.at(-1)!.getMappedRange().slice(0));
      made.at(-1)!.unmap();
      return ids;
    },
    close: () => account.abandon(),
  };
}

async function jax(
  { rows, codes, features, points, book }: Problem,
): Promise<Contender> {
  const jaxjs = await load("@jax-js/jax");
  await jaxjs.init("webgpu");
  jaxjs.defaultDevice("webgpu");
  const np = jaxjs.numpy;
  const x: JaxArray = np.array(points, {
    shape: [rows, features],
    dtype: np.float32,
  });
  const c: JaxArray = np.array(book, {
    shape: [codes, features],
    dtype: np.float32,
  });
  const nearest = jaxjs.jit((x: JaxArray, c: JaxArray) => {
    const norms = np.sum(c.ref.mul(c.ref), 1);
    return np.argmin(norms.sub(np.matmul(x, np.transpose(c)).mul(2)), 1);
  });
  return {
    name: "jax-js jit",
    run: async () => await (nearest(x.ref, c.ref) as JaxArray).data(),
    close: () => {},
  };
}

async function tfjs(
  { rows, codes, features, points, book }: Problem,
): Promise<Contender> {
  const tf = await load("@tensorflow/tfjs-core");
  await load("@tensorflow/tfjs-backend-webgpu");
  await tf.setBackend("webgpu");
  await tf.ready();
  const x = tf.tensor2d(points, [rows, features]);
  const c = tf.tensor2d(book, [codes, features]);
  return {
    name: "tfjs matmul + argMin",
    async run() {
      const ids = tf.tidy(() => {
        const norms = tf.sum(tf.mul(c, c), 1);
        return tf.argMin(
          tf.sub(norms, tf.mul(tf.matMul(x, c, false, true), 2)),
          1,
        );
      });
      const data = await ids.data();
      ids.dispose();
      return data;
    },
    close: () => {},
  };
}

async function sideBySide(
  gpu: Gpu,
  problem: Problem,
  ceiling: number,
): Promise<void> {
  const { rows, codes, features } = problem;
  const contenders: Contender[] = [await ours(gpu, problem)];
  for (const make of [jax, tfjs]) {
    try {
      contenders.push(await make(problem));
    } catch (error) {
      console.log(`left out: ${(error as Error).message.split("\n")[0]}`);
    }
  }
  const times = contenders.map((): number[] => []);
  let wanted: ArrayLike<number> | undefined;
  // the first round warms up
  for (let round = 0; round <= REPEATS; round++) {
    for (const [i, contender] of contenders.entries()) {
      const started = performance.now();
      const ids = await contender.run();
      if (round > 0) times[i]!.push(performance.now() - started);
      wanted ??= ids;
      let differ = 0;
      for (let row = 0; row < rows; row++) {
        if (ids[row] !== wanted[row]) differ++;
      }
      if (differ > rows / 1000) {
        throw new Error(
          `${contender.name} and sluice differ in ${differ} of ${rows} ids`,
        );
      }
    }
  }
  const table = [[
    "",
    "median ms",
    "GFLOP/s",
    "of the FMA rate",
    "sluice is faster by",
  ]];
  const medians = times.map((own) => own.sort((a, b) => a - b)[own.length >> 1]!);
  for (const [i, { name }] of contenders.entries()) {
    const gflops = 2 * rows * codes * features / medians[i]! / 1e6;
    table.push([
      name,
      medians[i]!.toFixed(1),
      gflops.toFixed(2),
      (gflops / ceiling).toFixed(2),
      (medians[i]! / medians[0]!).toFixed(2),
    ]);
    console.log(JSON.stringify({
      bench: "peers vq_assign",
      rows,
      codes,
      features,
      library: name,
      medianMs: medians[i],
      gflops,
      ofFma: gflops / ceiling,
      adapter: gpu.adapter.name,
    }));
  }
  console.log(
    `${rows} rows, ${codes} codes, ${features} features\n${formatTable(table)}\n`,
  );
  for (const contender of contenders) contender.close();
}

const gpu = await openGpu({ budget: "1 GiB" });
// openGpu() has found the driver; the peers look for `navigator.gpu`
const dawn = await import("webgpu");
Object.assign(globalThis, dawn.globals);
Object.defineProperty(globalThis, "navigator", {
  value: { gpu: dawn.create([]), userAgent: "node", hardwareConcurrency: 2 },
  configurable: true,
});
const ceilings = await measureCeilings(gpu);
const random = new Random(1);
for (const [rows, codes, features] of [[4096, 64, 512]] as const) {
  const some = (count: number) =>
    Float32Array.from(
      { length: count * features },
      () => random.uniform() - 0.5,
    );
  await sideBySide(gpu, {
    rows,
    codes,
    features,
    points: some(rows),
    book: some(codes),
  }, ceilings.gflops);
}
process.exit(0);
