/** Recordings that went wrong: each read or refused as it should be, then its kind with data of our own. */

import { describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import type { DecodeOptions, SortedSpikesOptions } from "../../src/hmm/decoder.ts";
import { continuous, sortedSpikes } from "../../src/hmm/decoder.ts";
import type { SortedSpikesDecoder } from "../../src/hmm/decoder.ts";
import { rateTable } from "../../src/hmm/sorted_spikes.ts";
import type { Interval, TimeGridOptions } from "../../src/hmm/time_grid.ts";
import { binSpikes, missingRows, timeGrid } from "../../src/hmm/time_grid.ts";
import { logSpace } from "../reference/log_space.ts";
import { poissonLikelihood } from "../reference/poisson_likelihood.ts";
import { referenceTransition } from "../reference/transition.ts";
import { useGpu } from "../support/gpu.ts";
import { largestDifference } from "../support/hmm_problem.ts";
import { smallRecording } from "../support/recordings.ts";
import { sharedDataMissing, sharedFile } from "../support/shared_data.ts";

const gpu = useGpu();

interface Input extends Pick<SortedSpikesOptions, "position"> {
  spikes: { times: ArrayLike<number>; units: ArrayLike<number> };
}

/** Arrays of a case as they are stored: numbers in 32 bits stay so. */
async function read(name: string): Promise<Input> {
  const arrays = await Promise.all(
    ["st", "su", "pt", "pos"].map(async (file) => {
      const array = await openArray(await sharedFile(`cases/decoder/${name}/${file}.npy`));
      const values = await readAll(array);
      return {
        shape: array.shape,
        values: values instanceof Float32Array
          ? values
          : Float64Array.from(values as ArrayLike<number>, Number),
      };
    }),
  );
  const [spikeTimes, units, times, position] = arrays as [typeof arrays[0], ...typeof arrays];
  return {
    position: { times: times!.values, values: position!.values, shape: position!.shape },
    spikes: { times: spikeTimes.values, units: units!.values },
  };
}

const decoderOf = (input: Input, options: Partial<SortedSpikesOptions> = {}) =>
  sortedSpikes({
    ...input,
    states: continuous({ movementVar: 25 }),
    binSize: 5,
    positionStd: 6,
    ...options,
  });

let places = 0;
const smooth = (decoder: SortedSpikesDecoder, options: Partial<DecodeOptions> = {}) =>
  decoder.smooth(gpu(), {
    time: { step: 0.1 },
    out: `memory:cases-test-${places++}`,
    causal: true,
    ...options,
  });

/** What a filter in logarithms says of the same rows, in f64. */
function reference(
  decoder: SortedSpikesDecoder,
  { spikes }: Input,
  time: TimeGridOptions,
  spans: readonly Interval[] = [],
) {
  const grid = timeGrid(time);
  const missing = missingRows(grid, spans);
  const bins = decoder.grid.interiorIndex.length;
  const units = Uint32Array.from(spikes.units, (id) => decoder.unitIds.indexOf(id));
  const order = Array.from(units.keys()).sort((a, b) =>
    spikes.times[a]! - spikes.times[b]! || a - b
  );
  const step = referenceTransition(decoder.grid, decoder.states, 8);
  const logTransition = new Float64Array(bins * bins);
  for (let bin = 0; bin < bins; bin++) {
    const unit = Float64Array.from({ length: bins }, (_, i) => i === bin ? 1 : 0);
    logTransition.set(step.apply(unit).map(Math.log), bin * bins);
  }
  return logSpace({
    logInitial: new Float64Array(bins).fill(-Math.log(bins)),
    logTransition,
    ...(missing && { missing }),
    logLikelihoods: poissonLikelihood(
      rateTable(decoder.encoding, 1 / grid.rate),
      bins,
      binSpikes({
        times: order.map((i) => spikes.times[i]!),
        units: order.map((i) => units[i]!),
      }, grid),
    ),
  });
}

const total = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0);

/** Decodes, and holds filter and log-likelihood against the reference. */
async function expectRight(
  decoder: SortedSpikesDecoder,
  input: Input,
  time: TimeGridOptions,
  missing: readonly Interval[] = [],
) {
  const { kind: timeGrid, ...range } = time;
  const result = await smooth(decoder, { time: range, missing, ...(timeGrid && { timeGrid }) })
    .run();
  const wanted = reference(decoder, input, time, missing);
  const filtered = await readAll(result.causal!.posterior) as Float32Array;
  expect(largestDifference(filtered, wanted.filtered)).toBeLessThan(5e-6);
  const smoothed = await readAll(result.posterior) as Float32Array;
  const width = result.posterior.shape[1]!;
  for (let row = 0; row < smoothed.length / width; row++) {
    const sum = smoothed.subarray(row * width, (row + 1) * width).reduce((all, p) => all + p, 0);
    expect(Math.abs(sum - 1)).toBeLessThan(1e-5);
  }
  const evidence = total(wanted.logEvidence);
  expect(Math.abs(result.marginalLogLikelihood - evidence)).toBeLessThan(2e-3);
  await result.close();
  return evidence;
}

const rangeOf = ({ position: { times } }: Input) => ({
  start: times[0]!,
  stop: times[times.length - 1]!,
  step: 0.1,
});

/** A case that the shared recordings have; skipped where they are absent. */
function shared(name: string, test: (input: Input) => void | Promise<void>): void {
  it(`${name}, as it was found`, async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    await test(await read(name));
  });
}

/** A walk of our own that resembles the cases: 60 s at 30 Hz, 8 units on a line from 0 to 100. */
function line(): Input & { position: { times: Float64Array; values: Float64Array } } & {
  spikes: { times: Float64Array; units: Uint32Array };
} {
  const { position, spikes } = smallRecording({ seconds: 30, units: 8, seed: 11 });
  return { position: { ...position, values: position.values.map((x) => 2.5 * x) }, spikes };
}

describe("rates by exposure", () => {
  // by the median interval rates were 1.83 and 1.71 times what they should be, and the first gave
  // -2204.96; the undamaged recording has -1953.00
  for (const name of ["dropped_frames", "two_rates"]) {
    shared(name, async (input) => {
      const decoder = decoderOf(input);
      const stamps = await expectRight(decoder, input, {
        ...rangeOf(input),
        stop: 59.966666666666667,
        kind: "timestamps",
      });
      expect(Math.abs(stamps - -1953.0)).toBeLessThan(0.15);
      await expectRight(decoder, input, rangeOf(input));
    });
  }

  shared("slow1Hz", async (input) => {
    const decoder = decoderOf(input);
    expect(decoder.encoding.encodingSpikes).toBe(
      Array.from(input.spikes.times).filter((time) => time <= 59.5).length,
    );
    expect(decoder.encoding.intervals).toEqual([[-0.5, 59.5]]);
    expect(decoder.warnings).toEqual([]);
    await expectRight(decoder, input, rangeOf(input));
  });

  shared("burst4", async (input) => {
    // 4 spikes of a unit that training did not see, within a row: finite in logarithms
    const decoder = decoderOf(input, { train: [[0, 58], [62, 120]] });
    const { filtered, logEvidence } = reference(decoder, input, {
      kind: "timestamps",
      start: 50,
      stop: 70,
      step: 0.02,
    });
    expect(filtered.length / decoder.grid.interiorIndex.length).toBe(1001);
    // -1140.0005 with the floor of its day, 1e-15 a row instead of 1e-14 in 20 ms: four spikes' worth
    expect(Math.abs(total(logEvidence) - (-1140.0005 + 4 * Math.LN10))).toBeLessThan(0.2);
    await expectRight(decoder, input, { start: 50, stop: 70, step: 0.02 });
  });

  it("a recording without every other frame for a while decodes as the whole one", async () => {
    const whole = line();
    const kept = Array.from(whole.position.times.keys()).filter((i) => i < 700 || i % 3 === 0);
    const { times, values } = whole.position;
    const part: Input = {
      ...whole,
      position: { times: kept.map((i) => times[i]!), values: kept.map((i) => values[i]!) },
    };
    const evidence = await expectRight(decoderOf(whole), whole, rangeOf(whole));
    const ours = await expectRight(decoderOf(part), part, rangeOf(whole));
    expect(Math.abs(ours / evidence - 1)).toBeLessThan(2e-3);
  });
});

describe("rows between edges", () => {
  shared("edges30k", async (input) => {
    const decoder = decoderOf(input);
    const time = timeGrid({ start: 0, stop: 20, step: 0.002 });
    const { rowStarts, dropped } = binSpikes(input.spikes, time);
    expect(rowStarts).toEqual(Uint32Array.from({ length: 10_001 }, (_, i) => i));
    expect(dropped).toBe(0);
    const plan = smooth(decoder, { time: { start: 0, stop: 0.2, step: 0.002 } });
    const result = await plan.run();
    expect(result.droppedSpikes).toBe(9_899);
    await result.close();
  });
});

describe("clocks that differ are refused:", () => {
  const refused = (input: Input, ...messages: RegExp[]) => {
    for (const message of messages) expect(() => decoderOf(input)).toThrow(message);
  };
  shared("samples", async (input) => {
    refused(
      input,
      /from 0 to 59\.96.*from 351 to 1796548/,
      /samples at 30000 Hz \(spikeRate: 30000/,
    );
    const decoder = decoderOf(input, { spikeRate: 30_000 });
    expect(decoder.warnings).toEqual([]);
    const times = Array.from(input.spikes.times, (time) => time / 30_000);
    const seconds = { ...input, spikes: { ...input.spikes, times } };
    await expectRight(decoder, seconds, { start: 0, stop: 59.9, step: 0.1 });
  });
  shared("offset_unix", (input) => {
    refused(input, /from 1600000000 to .*from 0\.01/, /timeOffset: 1600000000, --time-offset/);
    const plan = smooth(decoderOf(input, { timeOffset: 1.6e9 }));
    expect(plan.explain()).toMatch(/599 rows/);
  });
  shared("us_int", (input) => {
    refused(
      input,
      /from 0 to 59966667 s.*from 11703 to 59884920/,
      /timeRate: 1000000, --time-rate/,
    );
    expect(smooth(decoderOf(input, { timeRate: 1e6 })).explain()).toMatch(/599 rows/);
  });
  shared("unix_f32", (input) => {
    refused(input, /all 1600000000 s, and stored 128 s apart.*64 bits/);
  });

  it("rows that lie outside of the recording, or are far too many for it", () => {
    const decoder = decoderOf(line());
    const plan = (time: DecodeOptions["time"]) => () => smooth(decoder, { time: time! });
    expect(plan({ start: 1.6e9, stop: 1.6e9 + 60, step: 0.1 })).toThrow(
      /rows from 1600000000 to 1600000060 s lie outside of the recording, wanted some of 0 to 30/,
    );
    expect(plan({ step: 1e-6 })).toThrow(/rows of 0\.000001 s are 20000 for a sample of position/);
  });
});

describe("arrays as people have them:", () => {
  shared("t2N", (input) => {
    expect(() => decoderOf(input)).toThrow(/shape is \[2, 600\] for 600 times.*transpose it/);
  });
  shared("fortran", async (input) => {
    const decoder = decoderOf(input);
    expect(decoder.grid.dimensions).toBe(2);
    expect(decoder.grid.edges.map((edges) => [edges[1], edges.at(-2)])).toEqual([
      [0, 1].map((end) => extent(input, 0)[end]),
      [0, 1].map((end) => extent(input, 1)[end]),
    ]);
    await expectRight(decoder, input, { ...rangeOf(input), stop: 3 });
  });
  shared("units_big", async (input) => {
    const decoder = decoderOf(input);
    expect(decoder.unitIds).toEqual(Array.from({ length: 8 }, (_, i) => 950_911_932 + i));
    await expectRight(decoder, input, rangeOf(input));
  });
  shared("unsorted", async (input) => {
    const decoder = decoderOf(input);
    expect(decoder.warnings).toEqual(["spike times were not ascending, and were sorted"]);
    await expectRight(decoder, input, rangeOf(input));
  });

  it("spikes by unit, and ids of any size, decode as those in order from 0 do", async () => {
    const { position, spikes } = line();
    const order = Array.from(spikes.units.keys()).sort((a, b) =>
      spikes.units[a]! - spikes.units[b]!
    );
    const byUnit = decoderOf({
      position,
      spikes: {
        times: order.map((i) => spikes.times[i]!),
        units: order.map((i) => 7e11 + 1000 * spikes.units[i]!),
      },
    });
    const plain = decoderOf({ position, spikes });
    expect(byUnit.encoding).toEqual(plain.encoding);
    expect(byUnit.unitIds).toEqual(plain.unitIds.map((id) => 7e11 + 1000 * id));
    const results = [await smooth(plain).run(), await smooth(byUnit).run()];
    const [one, other] = await Promise.all(results.map(({ posterior }) => readAll(posterior)));
    expect(one).toEqual(other);
    for (const result of results) await result.close();
  });
});

function extent({ position }: Input, dimension: number): [number, number] {
  const own = Array.from(position.values).filter((_, i) => i % 2 === dimension);
  return [Math.min(...own), Math.max(...own)];
}

describe("a walk that cannot leave its bin", () => {
  const options = { binSize: 30, positionStd: 48, states: continuous({ movementVar: 6 }) };
  const message = /movement variance of 6 hardly leaves bins of 30: the smallest .* is 225/;
  shared("far_bins_default_mv", (input) => {
    const decoder = decoderOf(input, options);
    expect(decoder.warnings.join()).toMatch(message);
    expect(smooth(decoder).explain()).toMatch(message);
    expect(decoderOf(input, { ...options, states: continuous({ movementVar: 225 }) }).warnings)
      .toEqual([]);
  });
  it("is a warning, in the plan as well", () => {
    const decoder = decoderOf(line(), options);
    expect(decoder.warnings.join()).toMatch(message);
    expect(smooth(decoder).explain()).toMatch(/^warning: a movement variance of 6/m);
  });
});

describe("bins that are as wide as the place", () => {
  it("are a warning, in the plan as well", () => {
    const decoder = decoderOf(line(), { binSize: 1e4, states: continuous({ movementVar: 1e8 }) });
    expect(decoder.grid.interiorIndex.length).toBe(1);
    const message = /the grid has 1 bin of 10000, from \S+ to \S+: hardly a place/;
    expect(decoder.warnings).toEqual([expect.stringMatching(message)]);
    expect(smooth(decoder).explain()).toMatch(/^warning: the grid has 1 bin/m);
  });
});

describe("rows without evidence", () => {
  shared("pause", async (input) => {
    const decoder = decoderOf(input);
    expect(decoder.encoding.intervals.length).toBe(2);
    const [[, before], [after]] = decoder.encoding.intervals as [
      [number, number],
      [number, number],
    ];
    expect([before, after].map((time) => time.toFixed(3))).toEqual(["19.983", "39.983"]);
    const spikes = Array.from(input.spikes.times);
    expect(decoder.encoding.encodingSpikes).toBe(
      spikes.filter((time) => time <= before || time >= after).length,
    );
    const missingOf = async (missing: DecodeOptions["missing"]) => {
      const out = `memory:cases-test-${places++}`;
      const result = await smooth(decoder, { out, ...(missing && { missing }) }).run();
      await result.close();
      const rows = await readAll(await openArray(`${out}/is_missing`)) as Uint8Array;
      return [rows.indexOf(1), rows.lastIndexOf(1), rows.reduce((sum, own) => sum + own, 0)];
    };
    expect(await missingOf([[20, 40]])).toEqual([200, 399, 200]);
    // tracked to 19.983 s and from 39.983 s on
    expect(await missingOf(["untracked"])).toEqual([199, 399, 201]);
    await expectRight(decoder, input, rangeOf(input), [[20, 40]]);
  });

  it("say nothing, neither by their spikes nor by their silence, whichever they are", async () => {
    const input = line();
    const decoder = decoderOf(input);
    for (const missing of [[[0, 3]], [[10, 20], [20.05, 21]], [[29.9, 31]], [[-1, 99]]] as const) {
      await expectRight(decoder, input, rangeOf(input), missing);
    }
  });
});
