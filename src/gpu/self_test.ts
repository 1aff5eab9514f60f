/**
 * Asks an adapter a few questions with known answers before anything else is asked of it.
 *
 * @module
 */

import code from "../../shaders/self_test.wgsl?raw" with { type: "text" };
import { AdapterError } from "../errors.ts";
import type { KernelDevice, KernelSpec } from "./kernel.ts";
import { Ledger } from "./ledger.ts";
import { BufferUsage, MapMode } from "./usage.ts";

/** The kernel of the self-test. */
export const selfTestSpec: KernelSpec = {
  name: "self_test",
  code,
  bindings: { seed: "read", answers: "read_write" },
};

const LANES = 64;
const ANSWERS = 2 + 2 * LANES;
// WGSL allows exp an error of 3 + 2 |x| units in the last place: 19 at x = -8, so 2.3e-6
const TOLERANCE = 4e-6;

const passed = new Set<string>();

/** Seeds the test asks about. */
export function selfTestSeed(): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: LANES }, (_, lane) => 1 + lane * 2654435761 % 2 ** 32);
}

/** What a right adapter answers, in f64. */
export function selfTestAnswers(seed: Uint32Array): Float64Array {
  const answers = new Float64Array(ANSWERS);
  for (let lane = 0; lane < LANES; lane++) {
    answers[lane] = Math.exp(-lane / 8);
    answers[LANES]! += answers[lane]!;
    let hash = Math.imul(seed[lane]!, 0x9e3779b9) >>> 0;
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) >>> 0;
    answers[LANES + 2 + lane] = (hash ^ (hash >>> 13)) & 0xffff;
  }
  answers[LANES + 1] = 1 / 3;
  return answers;
}

/**
 * Runs the self-test, once per adapter and process.
 *
 * @throws {AdapterError} If an answer is wrong; the message names the question.
 */
export async function runSelfTest(gpu: KernelDevice): Promise<void> {
  const key = `${gpu.adapter.runtime} ${gpu.adapter.name}`;
  if (passed.has(key)) return;
  const seed = selfTestSeed();
  const bytes = 4 * ANSWERS;
  const projected = { gpu: seed.byteLength + 2 * bytes, host: 0, disk: 0 };
  // before the caller's budget counts: a budget may be smaller than the question
  const unbounded = { gpu: Infinity, host: Infinity };
  const ledger = new Ledger(() => gpu.device, unbounded, () => gpu.throwIfFailed());
  const account = ledger.open("self_test", projected);
  try {
    const kernel = await gpu.kernel(selfTestSpec, {});
    const [seedBuffer, answers, staging] = await account.createBuffers([
      {
        label: "seed",
        bytes: seed.byteLength,
        usage: BufferUsage.STORAGE | BufferUsage.COPY_DST,
      },
      { label: "answers", bytes, usage: BufferUsage.STORAGE | BufferUsage.COPY_SRC },
      { label: "staging", bytes, usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST },
    ]);
    gpu.device.queue.writeBuffer(seedBuffer!, 0, seed);
    const group = kernel.bind({ seed: seedBuffer!, answers: answers! });
    await gpu.submit("self_test", (encoder) => {
      const pass = encoder.beginComputePass({ label: "self_test" });
      kernel.encode(pass, group, [1]);
      pass.end();
      encoder.copyBufferToBuffer(answers!, 0, staging!, 0, bytes);
    });
    await staging!.mapAsync(MapMode.READ);
    const got = new Float32Array(staging!.getMappedRange().slice(0));
    staging!.unmap();
    const wanted = selfTestAnswers(seed);
    for (let i = 0; i < ANSWERS; i++) {
      const scale = i < LANES + 2 ? wanted[i]! : 0;
      if (!(Math.abs(got[i]! - wanted[i]!) <= TOLERANCE * scale)) {
        const question = i < LANES
          ? `exp(-${i}/8)`
          : i === LANES
          ? "a workgroup sum"
          : i === LANES + 1
          ? "1 / 3"
          : `integer hash ${i - LANES - 2}`;
        throw new AdapterError(
          `Cannot use the adapter "${gpu.adapter.name}": ${question} came out as ${got[i]}, ` +
            `wanted ${wanted[i]}`,
        );
      }
    }
    for (const buffer of [seedBuffer!, answers!, staging!]) account.destroyBuffer(buffer);
    account.close();
    passed.add(key);
  } catch (error) {
    account.abandon();
    throw error;
  }
}
