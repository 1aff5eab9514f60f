import { describe, expect, it } from "vitest";
import { readAll } from "../../src/array/array.ts";
import type { SortedSpikesOptions } from "../../src/hmm/decoder.ts";
import { nonLocal, openEncoding, sortedSpikes } from "../../src/hmm/decoder.ts";
import { AnimalPath } from "../../src/hmm/animal_path.ts";
import { localFittedRows } from "../../src/hmm/observation/local.ts";
import { binCenter } from "../../src/hmm/state_bins.ts";
import { binSpikes, rowTime, timeGrid } from "../../src/hmm/time_grid.ts";
import * as reference from "../reference/glm.ts";
import { useGpu } from "../support/gpu.ts";
import type { TestRecording } from "../support/recordings.ts";
import { smallRecording } from "../support/recordings.ts";

const gpu = useGpu();

const TRAIN = [[0, 3.21], [4.03, 8]] as const;
const SAMPLE = 0.02;

const fitted = (
  { position, spikes }: TestRecording,
  options: Partial<SortedSpikesOptions> = {},
) =>
  sortedSpikes({
    ...{ position, spikes, placeFields: "glm" },
    ...(!options.grid && { binSize: 3 }),
    ...options,
  });

const centersOf = ({ grid }: ReturnType<typeof fitted>) =>
  Array.from(grid.interiorIndex, (bin) => grid.shape.map((_, d) => binCenter(grid, bin, d)));

/** Knots by their rule. */
function knotsOf(edges: ArrayLike<number>, positions: readonly number[], spacing: number) {
  const [first, last] = [edges[0]!, edges[edges.length - 1]!];
  const count = Math.ceil((last - first) / spacing);
  const even = Array.from({ length: count }, (_, i) => first + i * (last - first) / (count - 1));
  const [low, high] = [Math.min(...positions), Math.max(...positions)];
  return [low, ...even.slice(1, -1).filter((knot) => knot > low && knot < high), high];
}

/** Hz of a unit at places by the definition, of samples that are even. */
function wantedRates(
  model: ReturnType<typeof fitted>,
  { position: { times, values }, spikes }: TestRecording,
  { unit, spacing, penalty = 0.5, places }: {
    unit: number;
    spacing: number;
    penalty?: number;
    places: readonly (readonly number[])[];
  },
): number[] {
  const dimensions = values.length / times.length;
  const positions = Array.from(times, (_, i) => [
    ...values.subarray(i * dimensions, (i + 1) * dimensions),
  ]);
  const weights = Array.from(
    times,
    (time) => TRAIN.some(([from, to]) => time >= from && time <= to) ? 1 : 0,
  );
  const events = weights.map(() => 0);
  spikes.times.forEach((time, spike) => {
    if (spikes.units[spike] !== unit) return;
    const before = Math.min(times.length - 2, times.findLastIndex((stamp) => stamp <= time));
    const share = Math.min(1, (time - times[before]!) / SAMPLE);
    events[before]! += (1 - share) * weights[before]!;
    events[before + 1]! += share * weights[before + 1]!;
  });
  return reference.glm({
    ...{ positions, events, penalty },
    exposure: weights.map((weight) => weight * SAMPLE),
    knots: model.grid.edges.map((edges, d) =>
      knotsOf(edges, positions.map((place) => place[d]!), spacing)
    ),
  }, places);
}

function expectClose(found: ArrayLike<number>, wanted: readonly number[], relative: number) {
  expect(found).toHaveLength(wanted.length);
  wanted.forEach((value, i) => expect(Math.abs(found[i]! / value - 1)).toBeLessThan(relative));
}

/** Every second bin of the interior. */
const PUBLISHED_LINE = {
  dimensions: 1,
  knotSpacing: 5,
  unit: 2,
  rates: [3.95229964, 4.91891954, 10.8836137, 7.40480189, 3.4000308, 3.06852872, 3.66038486],
} as const;
const PUBLISHED_BOX = {
  dimensions: 2,
  knotSpacing: 15,
  unit: 4,
  rates: [2.56913128, 2.2921682, 2.57724718, 2.53663619, 2.66873621, 2.81406223, 2.77478053],
} as const;

describe("place fields by a GLM", () => {
  for (const dimensions of [1, 2] as const) {
    it(`are those of the definition, in ${dimensions} dimensions`, () => {
      const recording = smallRecording({ dimensions });
      const knotSpacing = dimensions === 1 ? 5 : 15;
      for (const fieldPenalty of [undefined, 0.02]) {
        const model = fitted(recording, {
          ...{ knotSpacing, train: TRAIN },
          ...(fieldPenalty && { fieldPenalty }),
        });
        const places = centersOf(model);
        const { rates } = model.encoding;
        const wanted = wantedRates(model, recording, {
          ...{ unit: 2, spacing: knotSpacing, places },
          ...(fieldPenalty && { penalty: fieldPenalty }),
        });
        expectClose(rates.subarray(2 * places.length, 3 * places.length), wanted, 1e-8);
      }
    });
  }

  it("have knots no further than the positions, and go straight on in bins beyond", () => {
    const recording = smallRecording();
    const edges = [Float64Array.from({ length: 17 }, (_, i) => 5 * i - 20)];
    const model = fitted(recording, { grid: { edges }, knotSpacing: 8, train: TRAIN });
    const places = centersOf(model);
    const wanted = wantedRates(model, recording, { unit: 2, spacing: 8, places });
    expectClose(model.encoding.rates.subarray(2 * places.length, 3 * places.length), wanted, 1e-8);
  });

  it("are those that patsy and scipy find", () => {
    // patsy 0.5.3: 1 + te(cr(x, knots=...), ...); scipy 1.10.1: BFGS to a gradient of 2e-8
    for (const { dimensions, knotSpacing, unit, rates } of [PUBLISHED_LINE, PUBLISHED_BOX]) {
      const model = fitted(smallRecording({ dimensions }), { knotSpacing, train: TRAIN });
      const bins = model.grid.interiorIndex.length;
      expectClose(
        Array.from(rates, (_, i) => model.encoding.rates[unit * bins + 2 * i]!),
        rates,
        1e-7,
      );
    }
  });

  it("leave out dimensions in which nothing moves, and units that are silent", () => {
    const { position: { times, values }, spikes } = smallRecording();
    const edges = [Float64Array.from({ length: 14 }, (_, i) => 3 * i)];
    const shared = { spikes: [spikes.times, []], placeFields: "glm", knotSpacing: 6 } as const;
    const line = sortedSpikes({ ...shared, position: { times, values }, grid: { edges } });
    const plane = Float64Array.from(
      { length: 2 * times.length },
      (_, i) => i % 2 ? 7 : values[i / 2]!,
    );
    const flat = sortedSpikes({
      ...shared,
      position: { times, values: plane },
      grid: { edges: [...edges, [6, 8]] },
    });
    expect(flat.encoding.rates).toEqual(line.encoding.rates);
    expect(line.encoding.rates.subarray(0, 13).every((rate) => rate > 0.1)).toBe(true);
    expectClose(line.encoding.rates.subarray(13), new Array<number>(13).fill(5e-13), 1e-12);
  });

  it("go along a track as along a line", () => {
    const { position: { times, values }, spikes } = smallRecording({ seconds: 4 });
    const shared = { spikes, binSize: 3, placeFields: "glm", knotSpacing: 6 } as const;
    const line = sortedSpikes({ ...shared, position: { times, values } });
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const plane = Float64Array.from(
      { length: 2 * times.length },
      (_, i) => i % 2 ? 0 : values[i / 2]!,
    );
    const track = sortedSpikes({
      ...shared,
      position: { times, values: plane },
      trackGraph: { nodes: [[low, 0], [high, 0]], edges: [[0, 1]] },
    });
    expectClose(track.encoding.rates, [...line.encoding.rates], 1e-9);
  });

  it("tell what is expected where the animal is", () => {
    const recording = smallRecording({ seconds: 8 });
    const model = fitted(recording, { knotSpacing: 5, train: TRAIN });
    const { position: { times, values }, spikes } = recording;
    const time = timeGrid({ rate: 10, start: 1, stop: 4 });
    const binned = binSpikes({ times: spikes.times, units: spikes.units }, time, undefined);
    const path = new AnimalPath(times, values, model.grid);
    const found = localFittedRows(model.encoding.glm!, { spikes: binned, time, path });
    const places = Array.from(found, (_, row) => [path.at(rowTime(time, row))[0]!]);
    const rates = model.unitIds.map((_, unit) =>
      wantedRates(model, recording, { unit, spacing: 5, places })
    );
    found.forEach((log, row) => {
      let wanted = -rates.reduce((sum, own) => sum + own[row]! / 10, 0);
      for (let spike = binned.rowStarts[row]!; spike < binned.rowStarts[row + 1]!; spike++) {
        wanted += Math.log(rates[binned.units[spike]!]![row]! / 10);
      }
      expect(log).toBeCloseTo(wanted, 6);
    });
  });

  it("decode as they did before they were stored, local states too", async () => {
    const recording = smallRecording({ seconds: 4 });
    const states = nonLocal({ movementVar: 4 });
    const whole = fitted(recording, { states, knotSpacing: 6 });
    await whole.saveEncoding("memory:glm-test-encoding");
    const stored = await openEncoding("memory:glm-test-encoding");
    expect(stored.encoding).toEqual(whole.encoding);
    const pathOf = async (model: ReturnType<typeof fitted>) => {
      const path = await model.viterbi(gpu(), { time: { start: 1, stop: 2, step: 0.02 } }).run();
      const bins = await readAll(path.stateBins);
      const { logProbability } = path;
      await path.close();
      return { bins, logProbability };
    };
    const again = stored.decoder({ ...recording, states }) as ReturnType<typeof fitted>;
    expect(await pathOf(again)).toEqual(await pathOf(whole));
  });

  it("are refused where knots are too near, or what is said is for others", () => {
    const recording = smallRecording({ seconds: 4 });
    expect(() => fitted(recording, { knotSpacing: 0.01 }))
      .toThrow(/knots 0.01 apart make \d+ functions, at most 2048 are supported/);
    // a rate that rises with the position, and bins far beyond
    const rising = {
      position: { times: [0, 1, 2, 3, 4], values: [0, 1, 2, 3, 4] },
      spikes: { times: [1.5, 2.5, 3, 3.5, 3.8], units: [42, 42, 42, 42, 42] },
      ...{ grid: { edges: [[0, 1e4, 2e4]] }, knotSpacing: 1e4, fieldPenalty: 1e-3 },
    };
    expect(() => fitted(recording, rising))
      .toThrow(/the fit of unit 42 has no end at \[5000\], which lies beyond the positions/);
    expect(() => fitted(recording, { placeFields: "kde", knotSpacing: 3 }))
      .toThrow(/knotSpacing is for placeFields "glm", and they are "kde"/);
    expect(() => fitted(recording, { placeFields: "kde", fieldPenalty: 3 }))
      .toThrow(/fieldPenalty is for placeFields "glm"/);
  });
});
