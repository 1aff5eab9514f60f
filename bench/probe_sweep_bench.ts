/**
 * Sweeps of probes over pooled activations in a cache, layers x kinds x penalties: ProbeSweep, which has one layer open
 * at a time and learns all penalties at once; the same probes one after the other, all layers in memory; and
 * scikit-learn, numpy and torch where a python3 has them. SLUICE_PROBE_SAMPLES makes it larger.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Acts } from "../src/acts/acts.ts";
import { collect } from "../src/acts/collect.ts";
import { load } from "../src/acts/load.ts";
import { fromTypedArray, readAll } from "../src/array/array.ts";
import { encodeNpy } from "../src/array/npy.ts";
import { peakResidentBytes } from "../src/cli/resident.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { auroc } from "../src/math/classification.ts";
import { formatBytes, formatTable } from "../src/math/format.ts";
import { MlpProbe } from "../src/probes/mlp.ts";
import { LogisticProbe, MassMeanProbe } from "../src/probes/probes.ts";
import { ProbeSweep } from "../src/probes/sweep.ts";
import { probeRows } from "../test/support/probe_rows.ts";
import { checkWithin } from "./harness.ts";
import { askPython } from "./python.ts";
import type { ResultRow } from "./results.ts";

const SAMPLES = Number(process.env.SLUICE_PROBE_SAMPLES ?? 1000);
const [LAYERS, HIDDEN] = [4, 256];
const PENALTIES = [0.01, 0.1, 1, 10];
const MLP = { hidden: 64, epochs: 5, batchSize: 64 };
/** AUROCs of one optimum that two solvers came near, and of logits that f32 rounds. */
const APART = 2e-3;

/** By layer, kind and penalty. */
type Aurocs = Map<string, number>;

interface Way {
  aurocs: Aurocs;
  bytesRead: number;
}

export async function runProbeSweep(gpu: Gpu): Promise<ResultRow[]> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-probe-sweep-bench-"));
  try {
    const place = join(folder, "pooled.zarr");
    const labels = await makeCache(gpu, place);
    const sweepOf = (acts: Acts) =>
      new ProbeSweep(gpu, {
        layers: acts.layers!.map((layer) => ({
          layer,
          features: acts.selectLayers(layer).features(),
        })),
        labels,
        probes: [
          { kind: "logistic", options: { c: PENALTIES } },
          { kind: "mass_mean" },
          { kind: "mlp", options: MLP },
        ],
      });
    // compiles kernels
    const warm = await load(place);
    await sweepOf(warm.selectLayers([0])).run();
    await warm.close();
    let test = new Uint32Array(0);
    // the eager one last: what a process once held stays its peak
    const ways: Record<string, () => Promise<Way>> = {
      async "ProbeSweep"() {
        const acts = await load(place);
        const swept = await sweepOf(acts).run();
        await acts.close();
        test = swept.test as Uint32Array<ArrayBuffer>;
        const entries = swept.rows.map(({ layer, kind, options: { c }, auroc }) =>
          [kind === "logistic" ? `${layer} ${kind} ${c}` : `${layer} ${kind}`, auroc!] as const
        );
        return { aurocs: new Map(entries), bytesRead: acts.bytesRead };
      },
      "one after the other": () => runEagerly(gpu, place, labels, test),
    };
    const needed = 4 * LAYERS * SAMPLES * HIDDEN;
    const table = [["sweep", "seconds", "ratio", "process grew by", "bytes read", "of all"]];
    const rows: ResultRow[] = [];
    const seconds: number[] = [];
    const found: Aurocs[] = [];
    const before = process.memoryUsage().rss;
    const name = `${LAYERS} x ${SAMPLES} x ${HIDDEN}, ${PENALTIES.length + 2} probes each`;
    const tell = (what: string, spent: number, grew: number, bytesRead: number) => {
      seconds.push(spent);
      table.push([
        what,
        spent.toFixed(2),
        (spent / seconds[0]!).toFixed(2),
        formatBytes(grew),
        formatBytes(bytesRead),
        (bytesRead / needed).toFixed(2),
      ]);
      rows.push({
        ...{ bench: "probe_sweep", case: `${what}, ${name}`, seconds: spent },
        ...{ ratio: spent / seconds[0]!, grewBytes: grew, bytesRead, neededBytes: needed },
      });
    };
    for (const [what, run] of Object.entries(ways)) {
      const began = performance.now();
      const { aurocs, bytesRead } = await run();
      const spent = (performance.now() - began) / 1000;
      found.push(aurocs);
      tell(what, spent, Math.max(0, peakResidentBytes() - before), bytesRead);
    }
    const [own, eager] = found as [Aurocs, Aurocs];
    checkAurocs("one after the other", own, eager, 1e-6);
    const files = await filesOf(place, labels, test);
    for (const library of ["scikit-learn and numpy", "torch"]) {
      const told = askPython("probe_sweep.py", [library, ...MLP_ARGUMENTS], files);
      if (!told) continue;
      const { aurocs, seconds: spent, grew, read } = told as unknown as {
        aurocs: Record<string, number>;
        seconds: Record<string, number>;
        grew: number;
        read: number;
      };
      // nets begin with other parameters there
      const same = Object.entries(aurocs).filter(([key]) => !key.includes("mlp"));
      checkAurocs(library, own, new Map(same), APART);
      for (const [part, value] of Object.entries(spent)) {
        tell(`${library}: ${part}`, value, grew, read);
      }
    }
    console.log(
      `probe_sweep: ${name} (${PENALTIES.length} penalties of logistic, mass-mean, MLP of ` +
        `${MLP.hidden}, ${MLP.epochs} epochs), f32, on ${gpu.adapter.name}\n${
          formatTable(table)
        }\n`,
    );
    return rows;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const MLP_ARGUMENTS = [PENALTIES.join(), String(MLP.hidden), String(MLP.epochs)]
  .concat(String(MLP.batchSize));

/** Layers that tell more and more of the same labels. */
async function makeCache(gpu: Gpu, place: string): Promise<Uint8Array> {
  const { values, labels } = probeRows(SAMPLES, HIDDEN, { rank: 48, noise: 0.2, seed: 7 });
  const layers = Object.fromEntries(Array.from({ length: LAYERS }, (_, layer) => {
    // the same rows, with ever less of what two features in turn tell
    const own = Float32Array.from(values, (value, i) =>
      value * (1 + (i % HIDDEN * 7 + layer) % 5) +
      (LAYERS - layer) * Math.sin(i * 12.9898 + layer * 78.233));
    return [layer, own];
  }));
  const acts = collect(layers, { dims: "blh", shape: [SAMPLES, HIDDEN] });
  await (await acts.save(gpu, place)).close();
  return labels;
}

/** As a loop over all of it does. */
async function runEagerly(
  gpu: Gpu,
  place: string,
  labels: Uint8Array,
  test: Uint32Array,
): Promise<Way> {
  const acts = await load(place);
  const all: Float32Array[] = [];
  for (const layer of acts.layers!) {
    all.push(await readAll(acts.selectLayers(layer).features()) as Float32Array);
  }
  await acts.close();
  const isTest = new Set(test);
  const train = Uint32Array.from(labels.keys()).filter((sample) => !isTest.has(sample));
  const part = (values: Float32Array, samples: Uint32Array) => {
    const own = new Float32Array(samples.length * HIDDEN);
    samples.forEach((sample, i) =>
      own.set(values.subarray(sample * HIDDEN, (sample + 1) * HIDDEN), i * HIDDEN)
    );
    return fromTypedArray(own, [samples.length, HIDDEN]);
  };
  const labelsOf = (samples: Uint32Array) => Uint8Array.from(samples, (sample) => labels[sample]!);
  const aurocs: Aurocs = new Map();
  for (const [layer, values] of all.entries()) {
    const probes: [string, LogisticProbe | MassMeanProbe | MlpProbe][] = [
      ...PENALTIES.map((c) =>
        [`logistic ${c}`, new LogisticProbe({ c })] as [string, LogisticProbe]
      ),
      ["mass_mean", new MassMeanProbe()],
      ["mlp", new MlpProbe(MLP)],
    ];
    for (const [name, probe] of probes) {
      await probe.fit(gpu, part(values, train), labelsOf(train)).run();
      const { logits } = await probe.predict(gpu, part(values, test)).run();
      aurocs.set(`${layer} ${name}`, auroc(labelsOf(test), logits as Float32Array)!);
    }
  }
  return { aurocs, bytesRead: acts.bytesRead };
}

async function filesOf(place: string, labels: Uint8Array, test: Uint32Array) {
  const acts = await load(place);
  const rows = new Float32Array(LAYERS * SAMPLES * HIDDEN);
  for (const layer of acts.layers!) {
    const own = await readAll(acts.selectLayers(layer).features()) as Float32Array;
    rows.set(own, layer * SAMPLES * HIDDEN);
  }
  await acts.close();
  return {
    rows: encodeNpy(rows, [LAYERS, SAMPLES, HIDDEN]),
    labels: encodeNpy(labels, [SAMPLES]),
    test: encodeNpy(Int32Array.from(test), [test.length]),
  };
}

function checkAurocs(what: string, own: Aurocs, others: Aurocs, tolerance: number): void {
  for (const [name, value] of others) {
    checkWithin(`AUROC of ${name}, ${what}`, Math.abs(own.get(name)! - value), tolerance);
  }
}
