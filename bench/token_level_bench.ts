/**
 * Probes of the detected tokens of many texts: an MLP that gets them from a store under a small GPU budget, whose fit
 * keeps them on the host where they fit; the same under a host budget that holds half of them; one that is given them all in memory; torch's, where a python3 has it; and a
 * step of the attention probe of the same texts beside torch's. SLUICE_TOKEN_SAMPLES makes it larger.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { collect } from "../src/acts/collect.ts";
import { load } from "../src/acts/load.ts";
import { fromTypedArray, readAll } from "../src/array/array.ts";
import { encodeNpy } from "../src/array/npy.ts";
import { peakResidentBytes } from "../src/cli/resident.ts";
import type { RaggedArray } from "../src/feed/ragged.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { openGpu } from "../src/gpu/device.ts";
import { formatBytes, formatTable } from "../src/math/format.ts";
import { AttentionProbe } from "../src/probes/attention.ts";
import { MlpProbe } from "../src/probes/mlp.ts";
import { seeded } from "../test/support/random.ts";
import { askPython } from "./python.ts";
import type { ResultRow } from "./results.ts";

const SAMPLES = Number(process.env.SLUICE_TOKEN_SAMPLES ?? 200);
const [SHORTEST, LONGEST, HIDDEN] = [16, 112, 256];
const MLP = { hidden: 64, epochs: 2, batchSize: 256 };
const ATTENTION_EPOCHS = 3;
/** Chunks, tiles and checkpoints of such a fit. */
const HOST_BYTES = 6 * 2 ** 20;
/** Half of the tokens as f32, so that they do not fit; but what batches want at least. */
const budgetOf = (tokens: number) => Math.max(10 * 2 ** 20, 2 * tokens * HIDDEN);

interface Way {
  logits: Float32Array;
  bytesRead: number;
}

export async function runTokenLevel(gpu: Gpu): Promise<ResultRow[]> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-token-level-bench-"));
  const random = seeded(11);
  const offsets = Float64Array.of(0, ...Array(SAMPLES).fill(0));
  for (let i = 0; i < SAMPLES; i++) {
    offsets[i + 1] = offsets[i]! + SHORTEST + Math.floor(random() * (LONGEST - SHORTEST));
  }
  const tokens = offsets[SAMPLES]!;
  const labels = Uint8Array.from({ length: SAMPLES }, (_, sample) => sample % 2);
  // the first two of every text do not count
  const detected = new Uint8Array(tokens).fill(1);
  for (const offset of offsets.subarray(0, SAMPLES)) detected.fill(0, offset, offset + 2);
  const budgetBytes = budgetOf(tokens);
  const small = await openGpu({ budget: { gpu: budgetBytes } });
  // what a fit has on the host beside its samples, and half of those
  const hostBytes = HOST_BYTES + 2 * tokens * HIDDEN;
  const smallest = await openGpu({ budget: { gpu: budgetBytes, host: hostBytes } });
  try {
    const place = join(folder, "tokens.zarr");
    const values = new Float32Array(tokens * HIDDEN);
    for (let sample = 0; sample < SAMPLES; sample++) {
      for (let token = offsets[sample]!; token < offsets[sample + 1]!; token++) {
        const shift = labels[sample] ? 0.25 : -0.25;
        for (let channel = 0; channel < HIDDEN; channel++) {
          values[token * HIDDEN + channel] = 2 * random() - 1 + (channel < 8 ? shift : 0);
        }
      }
    }
    await (await collect(values, {
      ...{ dims: "bsh", shape: [tokens, HIDDEN], detectionMask: detected },
      offsets,
    }).save(gpu, place)).close();
    const learn = async (device: Gpu, data: RaggedArray) => {
      const probe = new MlpProbe(MLP);
      await probe.fit(device, data, labels).run();
      const { logits } = await probe.predictTokens(device, data).run();
      return logits as Float32Array;
    };
    // compiles kernels
    const few = fromTypedArray(values.subarray(0, 40 * HIDDEN), [40, HIDDEN]);
    for (const device of [small, smallest, gpu]) {
      const probe = new MlpProbe({ ...MLP, epochs: 1 });
      await probe.fit(device, few, labels.subarray(0, 40)).run();
    }
    // the eager one last: what a process once held stays its peak
    const ways: Record<string, () => Promise<Way>> = {
      async "from the store, small GPU budget"() {
        const acts = await load(place);
        const logits = await learn(small, acts.tokens());
        await acts.close();
        return { logits, bytesRead: acts.bytesRead };
      },
      async "from the store, small GPU and host budget"() {
        const acts = await load(place);
        const logits = await learn(smallest, acts.tokens());
        await acts.close();
        return { logits, bytesRead: acts.bytesRead };
      },
      async "all in memory"() {
        const acts = await load(place);
        const data = acts.tokens();
        const all = await readAll(data.rows) as Float32Array;
        await acts.close();
        const logits = await learn(gpu, { ...data, rows: fromTypedArray(all, [tokens, HIDDEN]) });
        return { logits, bytesRead: acts.bytesRead };
      },
    };
    const needed = 4 * tokens * HIDDEN;
    const name = `${SAMPLES} texts, ${tokens} tokens x ${HIDDEN}`;
    const table = [[
      "MLP of tokens",
      "seconds",
      "ratio",
      "process grew by",
      "bytes read",
      "of all",
    ]];
    const rows: ResultRow[] = [];
    const seconds: number[] = [];
    const tell = (what: string, spent: number, grew: number, bytesRead: number) => {
      seconds.push(spent);
      const ratio = spent / seconds[0]!;
      table.push([
        ...[what, spent.toFixed(2), ratio.toFixed(2), formatBytes(grew), formatBytes(bytesRead)],
        (bytesRead / needed).toFixed(2),
      ]);
      rows.push({
        ...{ bench: "token_level", case: `${what}, ${name}`, seconds: spent, ratio },
        ...{ grewBytes: grew, bytesRead, neededBytes: needed, budgetBytes },
      });
    };
    const before = process.memoryUsage().rss;
    const found: Float32Array[] = [];
    for (const [what, run] of Object.entries(ways)) {
      const began = performance.now();
      const { logits, bytesRead } = await run();
      const spent = (performance.now() - began) / 1000;
      found.push(logits);
      tell(what, spent, Math.max(0, peakResidentBytes() - before), bytesRead);
    }
    const eager = found.at(-1)!;
    for (const streamed of found) {
      const stray = streamed.findIndex((logit, token) => logit !== eager[token]);
      if (stray < 0) continue;
      throw new Error(
        `token ${stray} has logit ${streamed[stray]} streamed, ${eager[stray]} from memory`,
      );
    }
    const data = { rows: fromTypedArray(values, [tokens, HIDDEN]), offsets, detected };
    const attend = async (epochs: number) => {
      const began = performance.now();
      await new AttentionProbe({ epochs, patience: epochs }).fit(gpu, data, labels).run();
      return (performance.now() - began) / 1000;
    };
    await attend(1);
    // what begins and ends a fit is in both
    const [one, more] = [await attend(1), await attend(1 + ATTENTION_EPOCHS)];
    const batches = Math.ceil((SAMPLES - Math.floor(SAMPLES / 5)) / 32);
    const step = (more - one) / ATTENTION_EPOCHS / batches;
    const told = askPython(
      "token_level.py",
      ["torch", `${MLP.hidden}`, `${MLP.epochs}`, `${MLP.batchSize}`, `${ATTENTION_EPOCHS}`],
      {
        rows: encodeNpy(values, [tokens, HIDDEN]),
        offsets: encodeNpy(offsets, [SAMPLES + 1]),
        detected: encodeNpy(detected, [tokens]),
        labels: encodeNpy(labels, [SAMPLES]),
      },
    ) as { mlp: number; epoch: number; grew: number; read: number } | undefined;
    if (told) tell("torch, all in memory", told.mlp, told.grew, told.read);
    console.log(
      `token_level: ${name} f32, MLP of ${MLP.hidden}, ${MLP.epochs} epochs and predictions, budget ` +
        `${formatBytes(budgetBytes)} of the GPU, and ${
          formatBytes(hostBytes)
        } of the host, on ${gpu.adapter.name}\n${formatTable(table)}`,
    );
    const torchStep = told && told.epoch / batches;
    console.log(
      `attention probe, a step of 32 texts with its share of validation: ${
        (1000 * step).toFixed(0)
      } ms` + (torchStep
        ? `, torch ${(1000 * torchStep).toFixed(0)} ms: ratio ${(step / torchStep).toFixed(2)}\n`
        : "\n"),
    );
    rows.push({
      ...{ bench: "token_level", case: `attention step, ${name}`, seconds: step },
      ...(torchStep && { torch: torchStep, ratio: step / torchStep }),
    });
    return rows;
  } finally {
    small.close();
    smallest.close();
    await rm(folder, { recursive: true, force: true });
  }
}
