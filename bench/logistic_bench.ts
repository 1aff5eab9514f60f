/**
 * Logistic probes: passes over the rows by strength of the penalty, sixteen at once beside one after the other, and
 * beside scikit-learn's newton-cholesky where a python3 has it: `npm run bench -- logistic`.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fromTypedArray } from "../src/array/array.ts";
import { encodeNpy } from "../src/array/npy.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { LogisticProbe } from "../src/probes/probes.ts";
import { probeRows } from "../test/support/probe_rows.ts";
import { checkWithin } from "./harness.ts";
import type { ResultRow } from "./results.ts";

const [ROWS, FEATURES, PROBES] = [4000, 512, 16];
/** What a fit promises of itself, and what other libraries are asked for beside. */
const [PROMISED, APART] = [1e-5, 1e-4];

export async function runLogisticBench(gpu: Gpu): Promise<ResultRow[]> {
  const { values, labels } = probeRows(ROWS, FEATURES, { rank: 100, noise: 0.1, seed: 5 });
  const rows = Float32Array.from(values);
  const points = fromTypedArray(rows, [ROWS, FEATURES]);
  const shape = `${ROWS} x ${FEATURES}`;
  const seconds = async (run: () => Promise<unknown>) => {
    const began = performance.now();
    await run();
    return (performance.now() - began) / 1000;
  };
  const results: ResultRow[] = [];
  // compiles kernels
  await new LogisticProbe({ maxPasses: 8 }).fit(gpu, points, labels).run();
  for (const c of [0.01, 1, 100]) {
    let passes = 0;
    const spent = await seconds(async () => {
      const fit = await new LogisticProbe({ c }).fit(gpu, points, labels).run();
      checkWithin(`c ${c}`, fit.probes[0]!.distance, PROMISED);
      passes = fit.passes;
    });
    console.log(`${shape}, c ${c}: ${passes} passes, ${spent.toFixed(2)} s`);
    results.push({ bench: "logistic", case: `${shape}, c ${c}`, passes, seconds: spent });
  }
  // harder and harder to tell
  const columns = Object.fromEntries(Array.from({ length: PROBES }, (_, k) => [
    `labels ${k}`,
    labels.map((label, row) => (row * 7919 + k) % 100 < 2 * k ? 1 - label : label),
  ]));
  const weights = new Float64Array(PROBES * FEATURES);
  const together = await seconds(async () => {
    const fit = await new LogisticProbe().fit(gpu, points, columns).run();
    fit.probes.forEach((probe, k) => {
      checkWithin(`probe ${k} of ${PROBES}`, probe!.distance, PROMISED);
      weights.set(probe!.weights, k * FEATURES);
    });
  });
  const apart = await seconds(async () => {
    for (const own of Object.values(columns)) {
      await new LogisticProbe().fit(gpu, points, own).run();
    }
  });
  const ratio = apart / together;
  console.log(
    `${PROBES} probes, ${shape}: ${together.toFixed(2)} s at once, ${
      apart.toFixed(2)
    } s one after the ` +
      `other, ${ratio.toFixed(1)} times as long`,
  );
  const name = `${PROBES} probes, ${shape}`;
  const row: ResultRow = { bench: "logistic", case: name, together, apart, ratio };
  const folder = mkdtempSync(path.join(tmpdir(), "sluice-logistic-bench-"));
  try {
    const file = (name: string) => path.join(folder, name);
    const all = Uint8Array.from(Object.values(columns).flatMap((own) => [...own]));
    writeFileSync(file("rows.npy"), encodeNpy(rows, [ROWS, FEATURES]));
    writeFileSync(file("labels.npy"), encodeNpy(all, [PROBES, ROWS]));
    writeFileSync(file("weights.npy"), encodeNpy(weights, [PROBES, FEATURES]));
    const script = path.resolve("bench/logistic.py");
    const text = execFileSync("/usr/bin/python3", [script, folder], { encoding: "utf8" });
    const [, ...probes] = text.trim().split("\n").map((line) => JSON.parse(line));
    const sklearn = probes.reduce((sum, probe) => sum + probe.seconds, 0);
    const off = Math.max(...probes.map((probe) => probe.apart));
    checkWithin("weights beside scikit-learn's", off, APART);
    console.log(
      `scikit-learn's newton-cholesky: ${sklearn.toFixed(2)} s, ${
        (sklearn / together).toFixed(1)
      } ` +
        `times as long; weights differ by ${off.toExponential(1)} of their length`,
    );
    Object.assign(row, { sklearn, sklearnRatio: sklearn / together, off });
  } catch (error) {
    console.log(`scikit-learn was not asked: ${(error as Error).message.split("\n")[0]}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
  return [...results, row];
}
