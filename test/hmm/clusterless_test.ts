import { describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import type { ClusterlessOptions, DecodeOptions } from "../../src/hmm/decoder.ts";
import { clusterless, contFrag, continuous } from "../../src/hmm/decoder.ts";
import { binCenter } from "../../src/hmm/state_bins.ts";
import * as reference from "../reference/clusterless.ts";
import { logInitialOf, logSpace, logTransitionOf } from "../reference/log_space.ts";
import { useGpu } from "../support/gpu.ts";
import { largestDifference } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { recordNumbers } from "../support/record.ts";
import { sharedDataMissing, sharedFile } from "../support/shared_data.ts";
import { LEFT_OUT, quick } from "../support/tier.ts";

const gpu = useGpu();

let places = 0;
const place = () => `memory:clusterless-test-${places++}`;

/** An animal that goes around, and electrodes whose spikes have features that differ by place. */
function recording(
  { dimensions = 1, features = 3, electrodes = 3, samples = 300, seed = 1, spread = 30 } = {},
) {
  const random = seeded(seed);
  const rate = 50;
  const times = Float64Array.from({ length: samples }, (_, i) => i / rate);
  const positions = Array.from(
    times,
    (time) =>
      Array.from({ length: dimensions }, (_, d) => 20 + 18 * Math.sin(time * (1 + 0.7 * d) + d)),
  );
  const spikes: { time: number; electrode: number; features: number[] }[] = [];
  for (let i = 0; i < samples; i++) {
    // the last electrode has none
    for (let electrode = 0; electrode < electrodes - 1; electrode++) {
      if (random() > 0.25) continue;
      spikes.push({
        time: (i + random() - 0.5) / rate,
        electrode,
        features: Array.from(
          { length: features },
          (_, f) => 100 + spread * (positions[i]![0]! / 20 * (f % 2) + 2 * random()),
        ),
      });
    }
  }
  spikes.sort((a, b) => a.time - b.time);
  return {
    times,
    positions,
    spikes: {
      times: Float64Array.from(spikes, ({ time }) => time),
      electrodes: Uint32Array.from(spikes, ({ electrode }) => electrode),
      features: spikes.map((spike) => spike.features),
    },
  };
}

type Recording = ReturnType<typeof recording>;

const decoderOf = (
  { times, positions, spikes }: Recording,
  options: Partial<ClusterlessOptions> = {},
) =>
  clusterless({
    position: { times, values: positions.flat() },
    spikes: { ...spikes, features: spikes.features.flat() },
    binSize: 4,
    positionStd: 3,
    waveformStd: 12,
    states: continuous({ movementVar: 9 }),
    ...options,
  });

async function run(
  decoder: ReturnType<typeof decoderOf>,
  options: Partial<DecodeOptions> = {},
) {
  const result = await decoder.smooth(gpu(), {
    ...{ time: { step: 0.1, start: 0 }, out: place(), causal: true },
    ...options,
  }).run();
  const filtered = await readAll(result.causal!.posterior) as Float32Array;
  const smoothed = await readAll(result.posterior) as Float32Array;
  await result.close();
  return { ...result, filtered, smoothed };
}

/** What the definition says, decoded in logarithms. */
function wantedOf(
  given: Recording,
  decoder: ReturnType<typeof decoderOf>,
  rows: number,
  missing?: Uint8Array,
) {
  const { grid, states } = decoder;
  const own = reference.clusterless({
    ...given,
    centers: Array.from(
      grid.interiorIndex,
      (bin) => grid.shape.map((_, d) => binCenter(grid, bin, d)),
    ),
    positionStd: 3,
    waveformStd: 12,
  }, Float64Array.from({ length: rows + 1 }, (_, row) => row / 10));
  const bins = grid.interiorIndex.length;
  const count = states.names.length;
  const logLikelihoods = Float64Array.from(
    { length: rows * bins * count },
    (_, i) => own[Math.floor(i / (bins * count)) * bins + i % bins]!,
  );
  return logSpace({
    logInitial: logInitialOf(grid, states),
    logTransition: logTransitionOf(grid, states),
    logLikelihoods,
    ...(missing && { missing }),
  });
}

describe("decoder.clusterless()", () => {
  for (
    const [name, given, options] of [
      ["on a track", recording(), {}],
      ["in a box, 9 features and jumps", recording({ dimensions: 2, features: 9, samples: 150 }), {
        states: contFrag({ movementVar: 9 }),
        binSize: 6,
      }],
      // no product of their kernels is a number in f32
      ["with features far apart", recording({ spread: 400, features: 4 }), {}],
    ] as const
  ) {
    it(`gives what the sum over all encoding spikes gives, ${name}`, async () => {
      const decoder = decoderOf(given, options);
      const result = await run(decoder);
      const rows = result.posterior.shape[0]!;
      const wanted = wantedOf(given, decoder, rows);
      expect(largestDifference(result.filtered, wanted.filtered)).toBeLessThan(2e-5);
      expect(largestDifference(result.smoothed, wanted.smoothed)).toBeLessThan(2e-5);
      expect(result.marginalLogLikelihood / wanted.marginalLogLikelihood).toBeCloseTo(1, 5);
      expect(result.peakBytes.gpu).toBeLessThanOrEqual(result.projectedBytes.gpu);
      expect(result.peakBytes.host).toBeLessThanOrEqual(result.projectedBytes.host);
      await recordNumbers(`clusterless, ${name}`, result.smoothed);
    });
  }

  it("does not depend on tiles, chunks, the order of spikes, or lanes", async () => {
    const given = recording();
    const wanted = await run(decoderOf(given));
    for (const options of [{ tileRows: 1 }, { tileRows: 7, chunkRows: 4 }]) {
      const result = await run(decoderOf(given), options);
      expect(result.smoothed).toEqual(wanted.smoothed);
      expect(result.marginalLogLikelihood).toBe(wanted.marginalLogLikelihood);
    }
    const random = seeded(3);
    const order = Array.from(given.spikes.times.keys(), (spike) => [random(), spike] as const)
      .sort(([a], [b]) => a - b).map(([, spike]) => spike);
    const shuffled = {
      ...given,
      spikes: {
        times: Float64Array.from(order, (spike) => given.spikes.times[spike]!),
        electrodes: Uint32Array.from(order, (spike) => given.spikes.electrodes[spike]!),
        features: order.map((spike) => given.spikes.features[spike]!),
      },
    };
    expect((await run(decoderOf(shuffled))).smoothed).toEqual(wanted.smoothed);
    const long = recording({ samples: 1400, electrodes: 2 });
    const time = { step: 0.1, start: 0 };
    const one = await run(decoderOf(long), { time, lanes: 1 });
    const lanes = await run(decoderOf(long), { time, lanes: 4, burnInRows: 20, tileRows: 16 });
    expect(lanes.lanes.count).toBeGreaterThan(1);
    expect(largestDifference(lanes.smoothed, one.smoothed)).toBeLessThan(2e-5);
  });

  it("takes nothing from rows that are missing", async () => {
    const given = recording();
    const decoder = decoderOf(given);
    const result = await run(decoder, { missing: [[1, 2]] });
    const rows = result.posterior.shape[0]!;
    const missing = Uint8Array.from({ length: rows }, (_, row) => row >= 10 && row < 20 ? 1 : 0);
    const wanted = wantedOf(given, decoder, rows, missing);
    expect(largestDifference(result.smoothed, wanted.smoothed)).toBeLessThan(2e-5);
    expect(result.marginalLogLikelihood / wanted.marginalLogLikelihood).toBeCloseTo(1, 5);
  });

  it("refuses features that are no numbers, or not as many of each spike", () => {
    const given = recording();
    const flat = given.spikes.features.flat();
    const withFeatures = (features: number[]) => () =>
      decoderOf(given, { spikes: { ...given.spikes, features } });
    expect(withFeatures(flat.slice(1))).toThrow(/features, wanted as many of each spike/);
    flat[3 * 5 + 1] = NaN;
    expect(withFeatures(flat)).toThrow("feature 1 of spike 5 is NaN, wanted numbers up to 1e+12");
  });

  it("meets the reference implementation's own example, rtol = atol = 1e-6", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const read = async (name: string) => {
      const file = await sharedFile(`golden/decoder-clusterless-random-walk/${name}.npy`);
      const array = await openArray(file);
      return await readAll(array) as Float64Array;
    };
    const values = await read("position");
    const times = Float64Array.from(values, (_, i) => i / 500);
    const decoder = clusterless({
      position: { times, values },
      spikes: {
        times: await read("spike_times"),
        electrodes: await read("spike_electrodes"),
        features: await read("spike_features"),
      },
      states: continuous({ movementVar: 25 }),
      binSize: 2,
      positionStd: 6,
      waveformStd: 24,
      train: [[0, 24499 / 500]],
    });
    expect(decoder.grid.interiorIndex.length).toBe(88);
    const [start, stop] = [24500 / 500 - 0.001, 24549 / 500 + 0.001];
    const result = await run(decoder, { time: { start, stop, step: 0.002 } });
    expect(result.posterior.shape).toEqual([50, 88]);
    const wanted = await read("acausal_posterior");
    const beyond = result.smoothed.map((p, i) => Math.abs(p - wanted[i]!) - 1e-6 * wanted[i]!);
    expect(Math.max(...beyond)).toBeLessThanOrEqual(1e-6);
  });

  it("decodes with 50,000 encoding spikes of 4 features within 256 MiB", async (context) => {
    if (quick) context.skip(LEFT_OUT);
    const given = recording({ samples: 100_000, features: 4 });
    const decoder = decoderOf(given);
    expect(decoder.encoding.encodingSpikes).toBeGreaterThan(45_000);
    const result = await run(decoder, { time: { start: 0, stop: 1, step: 0.1 } });
    const wanted = wantedOf(given, decoder, 10);
    expect(largestDifference(result.smoothed, wanted.smoothed)).toBeLessThan(2e-5);
    const { gpu: peak, host } = result.peakBytes;
    expect(peak + host).toBeLessThan(256 * 2 ** 20);
  });
});
