/**
 * A stretch of the recording on a linear track, filter, smoother and a posterior of 16 bits on disk, beside
 * loops in Python over the same transition (cut at 8 standard deviations) and the same likelihoods: scipy
 * with a sparse matrix and numpy with a dense one, f64, one after the other on the same cores. Needs the
 * recording (`SLUICE_DATA`, or `../shared`) and a python3 with scipy.
 */

import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Gpu } from "../src/gpu/device.ts";
import { continuous, sortedSpikes } from "../src/hmm/decoder.ts";
import { rateTable } from "../src/hmm/sorted_spikes.ts";
import { binSpikes, timeGrid } from "../src/hmm/time_grid.ts";
import { transitionBlocks } from "../src/hmm/transition/transition_blocks.ts";
import { formatTable } from "../src/math/format.ts";
import { largestDifference } from "../test/support/hmm_problem.ts";
import { poissonLikelihood } from "../test/reference/poisson_likelihood.ts";
import { checkWithin } from "./harness.ts";
import { readLinearTrack } from "./linear_track.ts";
import type { ResultRow } from "./results.ts";

const STEP = 0.02;
const ROWS = 20_000;
/** Seconds after the first position. */
const START = 100;
// Debian's: it has scipy where another one on the path may not
const PYTHON = "/usr/bin/python3";

interface RowTime {
  /** A row. */
  seconds: number;
  /** Of all threads, which says more on a busy machine. */
  cpu: number;
}

export const linearTrackBench = {
  name: "linear_track",

  async run(
    gpu: Gpu,
    rows = ROWS,
    lanesToTry: readonly number[] = [1, 2, 4],
  ): Promise<ResultRow[]> {
    const { position, spikes } = await readLinearTrack();
    const model = continuous({ movementVar: 144 });
    const decoder = sortedSpikes({
      position,
      spikes,
      states: model,
      binSize: 6,
      positionStd: 12,
      minSpeed: 20,
    });
    const { grid } = decoder;
    const bins = grid.interiorIndex.length;
    const start = position.times[0]! + START;
    const time = { start, stop: start + rows * STEP, step: STEP };
    const folder = await mkdtemp(join(tmpdir(), "sluice-linear-track-"));
    try {
      const [[entries]] = transitionBlocks(grid, model) as [[
        (bin: number) => {
          bins: ArrayLike<number>;
          values: ArrayLike<number>;
        },
      ]];
      const starts = [0];
      const indices: number[] = [];
      const values: number[] = [];
      for (let bin = 0; bin < bins; bin++) {
        const row = entries(bin);
        indices.push(...Array.from(row.bins));
        values.push(...Array.from(row.values));
        starts.push(indices.length);
      }
      const likelihoods = poissonLikelihood(
        rateTable(decoder.encoding, STEP),
        bins,
        binSpikes(spikes, timeGrid(time)),
      );
      const write = (name: string, array: ArrayBufferView) =>
        writeFile(
          join(folder, name),
          new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
        );
      await write("starts", Int32Array.from(starts));
      await write("indices", Int32Array.from(indices));
      await write("values", Float64Array.from(values));
      await write("likelihoods", likelihoods);

      const out = join(folder, "decode.zarr");
      const decode = async (lanes: number) => {
        const started = performance.now();
        const used = process.cpuUsage();
        const result = await decoder.smooth(gpu, {
          time,
          out,
          dtype: "u16",
          lanes,
          overwrite: true,
        }).run();
        const seconds = (performance.now() - started) / 1000;
        const { user, system } = process.cpuUsage(used);
        return { result, seconds: seconds / rows, cpu: (user + system) / 1e6 / rows };
      };
      await (await decode(1)).result.close();
      const cases = [];
      for (const lanes of lanesToTry) cases.push({ lanes, ...await decode(lanes) });

      const script = "bench/peers/linear_track.py";
      const peers = JSON.parse(
        execFileSync(PYTHON, [script, folder, String(bins)], { encoding: "utf8" }),
      ) as Record<"sparse" | "dense", RowTime> & { last: number[] };
      // the others lay where this one lies
      const { result } = cases.at(-1)!;
      const last = await result.posterior.read(0, 1) as Float32Array;
      // what 16 bits keep of a row
      checkWithin("the posterior's first row", largestDifference(last, peers.last), 1e-4);

      const table = [["", "ms a row", "of scipy's", "processor ms", "of scipy's"]];
      const add = (name: string, { seconds, cpu }: RowTime) =>
        table.push([
          name,
          (1000 * seconds).toFixed(3),
          (seconds / peers.sparse.seconds).toFixed(2),
          (1000 * cpu).toFixed(3),
          (cpu / peers.sparse.cpu).toFixed(2),
        ]);
      for (const own of cases) add(`sluice, lanes ${own.lanes}, u16 on disk`, own);
      add("scipy, sparse f64", peers.sparse);
      add("numpy, dense f64", peers.dense);
      console.log(
        `\nlinear track, ${rows} rows x ${bins} bins, filter and smoother, ${gpu.adapter.name}\n` +
          `${formatTable(table)}\n`,
      );
      for (const { result } of cases) await result.close();
      return cases.map(({ lanes, seconds, cpu }) => ({
        bench: "linear_track",
        case: `${rows} rows x ${bins} bins, lanes ${lanes}`,
        secondsPerRow: seconds,
        cpuSecondsPerRow: cpu,
        scipySecondsPerRow: peers.sparse.seconds,
        scipyCpuSecondsPerRow: peers.sparse.cpu,
        numpySecondsPerRow: peers.dense.seconds,
      }));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};
