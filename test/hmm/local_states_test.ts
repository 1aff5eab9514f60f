import { describe, expect, it } from "vitest";
import { readAll } from "../../src/array/array.ts";
import type { StateModel } from "../../src/hmm/decoder.ts";
import * as decoder from "../../src/hmm/decoder.ts";
import { localProblem } from "../reference/local_states.ts";
import { logSpace } from "../reference/log_space.ts";
import { viterbi } from "../reference/viterbi.ts";
import { useGpu } from "../support/gpu.ts";
import { largestDifference } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { LEFT_OUT, quick } from "../support/tier.ts";

const gpu = useGpu();

let places = 0;
const place = () => `memory:local-states-test-${places++}`;

/** An animal that goes to and fro, and cells that fire near places of their own, on electrodes or alone. */
function recording({ dimensions = 1, seed = 1, samples = 90 } = {}) {
  const random = seeded(seed);
  const rate = 30;
  const times = Float64Array.from({ length: samples }, (_, i) => i / rate);
  // irrational enough that no sample lies on an edge
  const positions = Array.from(times, (time) =>
    Array.from(
      { length: dimensions },
      (_, d) => 20.3 + 17.9 * Math.sin(1.3 * time * (1 + 0.7 * d) + 0.2 + d),
    ));
  const units = 4;
  const spikes: { time: number; unit: number; features: number[] }[] = [];
  for (let i = 0; i < samples; i++) {
    for (let unit = 0; unit < units; unit++) {
      const near = Math.exp(-0.5 * ((positions[i]![0]! - 10 * unit - 5) / 8) ** 2);
      if (random() > 0.05 + 0.4 * near) continue;
      spikes.push({
        time: (i + random() - 0.5) / rate,
        unit,
        features: [30 * unit + 10 * random(), 20 * random()],
      });
    }
  }
  spikes.sort((a, b) => a.time - b.time);
  return { times, positions, spikes, units };
}

type Recording = ReturnType<typeof recording>;

function decoderOf(
  { times, positions, spikes, units }: Recording,
  states: StateModel,
  marked: boolean,
) {
  const shared = {
    position: { times, values: positions.flat() },
    ...{ states, positionStd: 4, binSize: 5 },
  };
  const spikeTimes = Float64Array.from(spikes, ({ time }) => time);
  const numbers = Uint32Array.from(spikes, ({ unit }) => unit);
  const made = marked
    ? decoder.clusterless({
      ...shared,
      spikes: {
        times: spikeTimes,
        electrodes: numbers,
        features: spikes.flatMap(({ features }) => features),
      },
      waveformStd: 8,
    })
    : decoder.sortedSpikes({ ...shared, spikes: { times: spikeTimes, units: numbers } });
  const rows = 40;
  const edges = Float64Array.from({ length: rows + 1 }, (_, row) => row / 20 + 0.2);
  const problem = () =>
    localProblem({
      ...{ times, positions, units, positionStd: 4, waveformStd: 8, grid: made.grid },
      spikes: spikes.map(({ features, ...spike }) => ({ ...spike, ...(marked && { features }) })),
      ...{ model: states, edges },
    });
  return { made, problem, time: { start: 0.2, stop: 2.2, rate: 20 } };
}

describe("states that look at the animal, or at silence", () => {
  for (
    const [name, states, given, marked] of [
      ["silent, sorted", decoder.noSpikeContFrag(), {}, false],
      ["local, sorted", decoder.nonLocal({ movementVar: 20 }), {}, false],
      ["local, by features", decoder.nonLocal({ movementVar: 20 }), {}, true],
      ["local, in a box", decoder.nonLocal({ movementVar: 20 }), { dimensions: 2 }, false],
      ["a local kernel", decoder.nonLocal({ movementVar: 20, localStd: 6 }), {}, false],
      [
        "the animal's bin and a penalty, in a box",
        decoder.nonLocal({ localStd: 0, nonLocalPenalty: 4, nonLocalPenaltyStd: 7 }),
        { dimensions: 2, samples: 80 },
        true,
      ],
      ["a penalty alone", decoder.contFrag({ movementVar: 20, nonLocalPenalty: 3 }), {}, false],
    ] as const
  ) {
    it(`are decoded as their definitions say: ${name}`, async () => {
      const { made, problem: problemOf, time } = decoderOf(recording(given), states, marked);
      const problem = problemOf();
      const wanted = logSpace(problem);
      const result = await made.smooth(gpu(), { time, out: place(), causal: true }).run();
      const filtered = await readAll(result.causal!.posterior) as Float32Array;
      const smoothed = await readAll(result.posterior) as Float32Array;
      expect(largestDifference(filtered, wanted.filtered)).toBeLessThan(2e-5);
      expect(largestDifference(smoothed, wanted.smoothed)).toBeLessThan(2e-5);
      expect(Math.abs(result.marginalLogLikelihood - wanted.marginalLogLikelihood))
        .toBeLessThan(1e-4 + 1e-6 * Math.abs(wanted.marginalLogLikelihood));
      expect(result.peakBytes.host).toBeLessThanOrEqual(result.projectedBytes.host);
      expect(result.peakBytes.gpu).toBeLessThanOrEqual(result.projectedBytes.gpu);
      await result.close();
      const path = await made.viterbi(gpu(), { time }).run();
      expect([...await readAll(path.stateBins) as Int32Array]).toEqual([...viterbi(problem).path]);
      await path.close();
    });
  }

  it("do not depend on tiles, lanes, or an encoding that was stored", async (context) => {
    if (quick) context.skip(LEFT_OUT);
    const given = recording({ samples: 240 });
    const states = decoder.nonLocal({ movementVar: 20, localStd: 8, nonLocalPenalty: 2 });
    const { made } = decoderOf(given, states, false);
    const run = async (model: typeof made, options = {}) => {
      const time = { start: 0, stop: 7.5, rate: 20 };
      const result = await model.smooth(gpu(), { time, out: place(), ...options }).run();
      const smoothed = await readAll(result.posterior) as Float32Array;
      await result.close();
      return smoothed;
    };
    const wanted = await run(made);
    expect(await run(made, { tileRows: 7, chunkRows: 4 })).toEqual(wanted);
    const lanes = await run(made, { lanes: 2, burnInRows: 30 });
    expect(largestDifference(lanes, Float64Array.from(wanted))).toBeLessThan(2e-5);
    const encoding = place();
    await made.saveEncoding(encoding);
    const opened = await decoder.openEncoding(encoding);
    const position = { times: given.times, values: given.positions.flat() };
    const spikes = {
      times: Float64Array.from(given.spikes, ({ time }) => time),
      units: Uint32Array.from(given.spikes, ({ unit }) => unit),
    };
    const again = opened.decoder({ spikes, states, position });
    expect(await run(again as typeof made)).toEqual(wanted);
    await expect(async () => await run(opened.decoder({ spikes, states }) as typeof made)).rejects
      .toThrow(/there is no position, wanted one/);
  });

  it("take rows in which nobody knows where the animal is for missing", async () => {
    const given = recording();
    for (const sample of [40, 41, 42]) given.positions[sample] = [NaN];
    const { made } = decoderOf(given, decoder.nonLocal({ movementVar: 20 }), false);
    const run = async (options: Partial<decoder.DecodeOptions>) => {
      const result = await made.smooth(gpu(), {
        ...{ time: { start: 0.2, stop: 2.2, rate: 20 }, out: place(), ...options },
      }).run();
      const states = await readAll(result.states) as Float32Array;
      await result.close();
      return { states, evidence: result.marginalLogLikelihood };
    };
    // from the last sample that is known to the next one
    const told = await run({ missing: [[39 / 30, 43 / 30]] });
    const found = await run({});
    expect(found).toEqual(told);
    expect(found.states.every((p) => p >= 0)).toBe(true);
    const silent = decoder.noSpikeContFrag();
    const plain = decoderOf(given, silent, false).made;
    // states that do not ask for it go by spikes alone
    const free = await plain.smooth(gpu(), { time: { rate: 20 }, out: place() }).run();
    expect(Number.isFinite(free.marginalLogLikelihood)).toBe(true);
    await free.close();
  });
});
