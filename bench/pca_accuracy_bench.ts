/**
 * How far principal components are from those of numpy in f64, where data are not kind: the tables of
 * docs/accuracy.md. It wants Python with numpy and scikit-learn: `npm run bench -- pca_accuracy`.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { ChunkedArray } from "../src/array/array.ts";
import { fromTypedArray, openArray, readAll } from "../src/array/array.ts";
import { encodeNpy } from "../src/array/npy.ts";
import { patches } from "../src/array/patches.ts";
import { IncrementalPCA } from "../src/decompose/incremental_pca.ts";
import type { PcaResult } from "../src/decompose/pca.ts";
import { PCA } from "../src/decompose/pca.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { symmetricEigen } from "../src/math/eigen.ts";
import { formatTable } from "../src/math/format.ts";
import { Random } from "../src/math/random.ts";
import type { NumericArray } from "../src/types.ts";
import type { ResultRow } from "./results.ts";

const [ROWS, FEATURES, COMPONENTS, BATCH] = [400, 8, 6, 48];
/** Fainter ones are not promised. */
const FAINTEST = 1e-4;
// Debian's: it has the libraries where another one on the path may not
const PYTHON = ["/usr/bin/python3", "python3"];

/** Numbers of a type, far from 0 and of a size: both in the type's own units. */
interface Case {
  dtype: string;
  type: new (length: number) => NumericArray;
  /** Of the first component. */
  deviation: number;
  offset: number;
}

interface Answer {
  mean: number[];
  sigma: number[];
  vectors: number[][];
  sklearn?: { angles: number[]; sigma: number[] };
}

const CASES: Case[] = [
  ...[0, 1e3, 1e6, 1e9].flatMap((offset) =>
    [1e-30, 1, 1e30].map((deviation) => ({
      dtype: "f64",
      type: Float64Array,
      deviation,
      offset: offset * deviation,
    }))
  ),
  ...[0, 1e3, 1e6].flatMap((offset) =>
    [1e-30, 1, 1e30].map((deviation) => ({
      dtype: "f32",
      type: Float32Array,
      deviation,
      offset: offset * deviation,
    }))
  ),
  ...[0, 1e6, 1e9].map((offset) => ({ dtype: "i32", type: Int32Array, deviation: 3e4, offset })),
  { dtype: "i16", type: Int16Array, deviation: 3e3, offset: 1e4 },
  { dtype: "u8", type: Uint8Array, deviation: 30, offset: 128 },
];

/** Deviations from 1 to 1e-4 along directions that lie askew, and 1e-6 along the last ones. */
function rowsOf({ type: Type, deviation, offset }: Case): NumericArray {
  const random = new Random(11);
  const directions = Array.from(
    { length: FEATURES },
    () => Float64Array.from({ length: FEATURES }, () => random.normal()),
  );
  directions.forEach((own, i) => {
    for (const other of directions.slice(0, i)) {
      const along = own.reduce((sum, x, d) => sum + x * other[d]!, 0);
      own.forEach((_, d) => own[d]! -= along * other[d]!);
    }
    const length = Math.hypot(...own);
    own.forEach((x, d) => own[d] = x / length);
  });
  const values = new Type(ROWS * FEATURES);
  for (let row = 0; row < ROWS; row++) {
    const own = new Float64Array(FEATURES);
    directions.forEach((direction, i) => {
      const size = i < COMPONENTS ? FAINTEST ** (i / (COMPONENTS - 1)) : 1e-6;
      const score = size * random.normal();
      direction.forEach((x, d) => own[d]! += score * x);
    });
    own.forEach((x, d) => values[row * FEATURES + d] = offset + deviation * x);
  }
  return values;
}

/** Largest angle of leading subspaces, radians, where components beside each other are not nearly as large. */
function largestAngle(result: PcaResult, { vectors, sigma }: Answer): number {
  const features = vectors[0]!.length;
  let most = 0;
  for (let count = 1; count <= vectors.length; count++) {
    if (sigma[count - 1]! < FAINTEST / 2 * sigma[0]!) break;
    if (sigma[count]! > 0.9 * sigma[count - 1]!) continue;
    const rests = Array.from({ length: count }, (_, i) => {
      const rest = result.components.slice(i * features, (i + 1) * features);
      for (const wanted of vectors.slice(0, count)) {
        const along = wanted.reduce((sum, x, d) => sum + x * rest[d]!, 0);
        wanted.forEach((x, d) => rest[d]! -= along * x);
      }
      return rest;
    });
    const products = rests.flatMap((a) =>
      rests.map((b) => a.reduce((sum, x, d) => sum + x * b[d]!, 0))
    );
    const sine = Math.sqrt(symmetricEigen(Float64Array.from(products), count).values[0]!);
    most = Math.max(most, Math.asin(Math.min(1, sine)));
  }
  return most;
}

/** Largest error of a variance, relative to itself, of those that are promised. */
function varianceError(sigma: ArrayLike<number>, answer: Answer): number {
  return answer.sigma.slice(0, sigma.length).reduce((most, wanted, i) => {
    if (wanted < FAINTEST / 2 * answer.sigma[0]!) return most;
    return Math.max(most, Math.abs((sigma[i]! / wanted) ** 2 - 1));
  }, 0);
}

/** Largest error of a mean, in deviations of the first component. */
function meanError(result: PcaResult, answer: Answer, rows: number): number {
  const deviation = answer.sigma[0]! / Math.sqrt(rows - 1);
  return answer.mean.reduce(
    (most, mean, d) => Math.max(most, Math.abs(result.mean[d]! - mean) / deviation),
    0,
  );
}

const short = (value: number) => value === 0 ? "0" : value.toExponential(0);

function python(folder: string, ...args: string[]): void {
  const script = path.join(process.cwd(), "bench/pca_accuracy.py");
  let failure: unknown;
  for (const name of PYTHON) {
    try {
      execFileSync(name, [script, folder, ...args], { stdio: "pipe" });
      return;
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

/** Fits every case by both and prints how far they are off. */
export async function runPcaAccuracy(gpu: Gpu): Promise<ResultRow[]> {
  const folder = mkdtempSync(path.join(tmpdir(), "sluice-accuracy-"));
  try {
    return [...await unkind(gpu, folder), ...await photograph(gpu, folder)];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function unkind(gpu: Gpu, folder: string): Promise<ResultRow[]> {
  const name = (i: number) => path.join(folder, `case${i}.${COMPONENTS}`);
  CASES.forEach((test, i) =>
    writeFileSync(`${name(i)}.npy`, encodeNpy(rowsOf(test), [ROWS, FEATURES]))
  );
  python(folder);
  const rows: ResultRow[] = [];
  const table = [[
    "dtype",
    "deviation",
    "offset",
    "PCA: angle",
    "variance",
    "mean",
    "IncrementalPCA: angle",
    "variance",
    "mean",
  ]];
  for (const [i, test] of CASES.entries()) {
    const points = fromTypedArray(rowsOf(test), [ROWS, FEATURES]);
    const answer: Answer = JSON.parse(readFileSync(`${name(i)}.json`, "utf8"));
    const fits = [
      await new PCA({ components: COMPONENTS }).fit(gpu, points).run(),
      await new IncrementalPCA({ components: COMPONENTS }).fit(gpu, points, { batchRows: BATCH })
        .run(),
    ];
    const errors = fits.map((fit) => ({
      angle: largestAngle(fit, answer),
      variance: varianceError(fit.singularValues, answer),
      mean: meanError(fit, answer, ROWS),
    }));
    table.push([
      test.dtype,
      short(test.deviation),
      short(test.offset),
      ...errors.flatMap(({ angle, variance, mean }) => [angle, variance, mean].map(short)),
    ]);
    rows.push({
      bench: "pca_accuracy",
      case: `${test.dtype}, deviation ${short(test.deviation)}, offset ${short(test.offset)}`,
      pca: errors[0],
      incremental: errors[1],
    });
  }
  console.log(
    `${ROWS} rows x ${FEATURES} features, ${COMPONENTS} components with deviations from 1 to ` +
      `${FAINTEST} of the first; batches of ${BATCH} rows\n${formatTable(table)}\n`,
  );
  return rows;
}

/** The eighth component of every second patch of a photograph, by what is kept between batches. */
async function photograph(gpu: Gpu, folder: string): Promise<ResultRow[]> {
  python(folder, "photo");
  const image = await openArray(path.join(folder, "photo.npy"));
  const points = patches(image, { size: 8, stride: 2 });
  const [count, features] = points.shape as [number, number];
  const batch = 5 * features;
  const file = path.join(folder, `patches.8.${batch}`);
  writeFileSync(`${file}.npy`, encodeNpy(await readAll(points) as Uint8Array, [count, features]));
  python(folder);
  const answer: Answer = JSON.parse(readFileSync(`${file}.json`, "utf8"));
  const table = [["by", "angle of 8", "eighth variance", "seconds"]];
  const rows: ResultRow[] = [];
  const add = (by: string, angle: number, sigma: ArrayLike<number>, seconds?: number) => {
    const variance = (sigma[7]! / answer.sigma[7]!) ** 2 - 1;
    table.push([
      by,
      angle.toExponential(1),
      `${(100 * variance).toFixed(2)} %`,
      seconds === undefined ? "" : seconds.toFixed(1),
    ]);
    rows.push({ bench: "pca_accuracy", case: `photograph, ${by}`, angle, variance, seconds });
  };
  const angleOf = (fit: PcaResult) => largestAngle(fit, { ...answer, sigma: spread(answer.sigma) });
  add("scikit-learn's IncrementalPCA", answer.sklearn!.angles[7]!, answer.sklearn!.sigma);
  for (const keep of ["components", 16, 24, 40, 64] as const) {
    const fit = await new IncrementalPCA({ components: 8, keep })
      .fit(gpu, points as ChunkedArray, { batchRows: batch }).run();
    const by = `IncrementalPCA, keep: ${keep === "components" ? `"${keep}"` : keep}`;
    add(by, angleOf(fit), fit.singularValues, fit.seconds.total);
  }
  const fit = await new PCA({ components: 8 }).fit(gpu, points).run();
  add("PCA", angleOf(fit), fit.singularValues, fit.seconds.total);
  await image.close();
  console.log(
    `8 components of ${count} patches of 8 x 8 pixels, ${features} features, batches of ${batch} ` +
      `rows\n${formatTable(table)}\n`,
  );
  return rows;
}

/** Such that only the subspace of all counts. */
function spread(sigma: readonly number[]): number[] {
  return sigma.map((own, i) => i === 8 ? 0 : own > 0 ? sigma[0]! : 0);
}
