import { describe, expect, it } from "vitest";
import { readAll } from "../../src/array/array.ts";
import type { DecodeOptions } from "../../src/hmm/decoder.ts";
import { clusterless, contFrag, openEncoding, sortedSpikes } from "../../src/hmm/decoder.ts";
import { open } from "../../src/open.ts";
import { openStore } from "../../src/store/open_store.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { smallRecording } from "../support/recordings.ts";

const gpu = useGpu();

let places = 0;
const place = () => `memory:stored-encoding-test-${places++}`;

const time = { start: 1, stop: 3, step: 0.02 };
const states = contFrag({ movementVar: 4 });

async function posteriorOf(
  model: {
    smooth(device: ReturnType<typeof gpu>, options: DecodeOptions): { run(): Promise<unknown> };
  },
) {
  // deno-lint-ignore no-explicit-any -- of either kind of decoder
  const result: any = await model.smooth(gpu(), { out: place(), time }).run();
  const values = await readAll(result.posterior) as Float32Array;
  await result.close();
  return { values, logLikelihood: result.marginalLogLikelihood, dropped: result.droppedSpikes };
}

const sorted = (dimensions: 1 | 2 = 1) => {
  const recording = smallRecording({ seconds: 4, dimensions });
  return { recording, encoding: { binSize: 6, positionStd: 3, train: [[0, 2]] as const } };
};

/** The same recording with two features of every spike, in another order than that of time. */
function marked() {
  const { position, spikes: { times, units } } = smallRecording({ seconds: 4 });
  const random = seeded(4);
  const order = [...times.keys()].reverse();
  return {
    position,
    spikes: {
      times: order.map((spike) => times[spike]!),
      electrodes: order.map((spike) => units[spike]! + 2),
      features: order.flatMap((spike) => [90 + 10 * units[spike]! + 5 * random(), 40 * random()]),
    },
  };
}

describe("openEncoding()", () => {
  for (const dimensions of [1, 2] as const) {
    it(`decodes as the encoding did before it was stored, in ${dimensions} dimensions`, async () => {
      const { recording, encoding } = sorted(dimensions);
      const whole = sortedSpikes({ ...recording, ...encoding, states });
      const out = place();
      await whole.saveEncoding(out);
      const stored = await openEncoding(out);
      expect(stored.encoding).toEqual(whole.encoding);
      expect(stored.grid).toEqual(whole.grid);
      const wanted = await posteriorOf(whole);
      // where the animal was is not needed
      expect(await posteriorOf(stored.decoder({ spikes: recording.spikes, states }))).toEqual(
        wanted,
      );
      const withPosition = stored.decoder({ ...recording, states });
      expect(await posteriorOf(withPosition)).toEqual(wanted);
    });
  }

  it("decodes spikes with features as the encoding did before it was stored", async () => {
    const { position, spikes } = marked();
    const whole = clusterless({
      position,
      spikes,
      states,
      binSize: 6,
      positionStd: 3,
      waveformStd: 8,
    });
    const out = place();
    await whole.saveEncoding(out);
    const opened = await open(out);
    if (opened.kind !== "encoding") throw new Error(opened.kind);
    expect(opened.encoding.encoding).toEqual(whole.encoding);
    const again = opened.encoding.decoder({ spikes, states });
    expect(await posteriorOf(again)).toEqual(await posteriorOf(whole));
    await opened.close();
  });

  it("knows units by the names they had, whichever of them fire", async () => {
    const { recording: { position, spikes }, encoding } = sorted();
    const named = { times: spikes.times, units: spikes.units.map((unit) => 10 + 3 * unit) };
    const out = place();
    await sortedSpikes({ position, spikes: named, ...encoding, states }).saveEncoding(out);
    const stored = await openEncoding(out);
    const own = [...named.units.keys()].filter((spike) => named.units[spike] === 19);
    const one = stored.decoder({
      states,
      spikes: { times: own.map((spike) => spikes.times[spike]!), units: own.map(() => 19) },
    });
    const fresh = sortedSpikes({ position, spikes, ...encoding, states });
    const rates = fresh.encoding.rates;
    expect(one.encoding).toMatchObject({ rates });
    const alone = await posteriorOf(one);
    // the same unit by its place in a list
    const plain = place();
    await fresh.saveEncoding(plain);
    const lists = [0, 1, 2, 3, 4, 5].map((unit) =>
      unit === 3 ? own.map((spike) => spikes.times[spike]!) : []
    );
    const listed = (await openEncoding(plain)).decoder({ states, spikes: lists });
    expect(await posteriorOf(listed)).toEqual(alone);
    // that no unit fires says something, too
    const silent = await openEncoding(plain);
    const silence = silent.decoder({ states, spikes: lists.map(() => []) });
    expect((await posteriorOf(silence)).logLikelihood).toBeLessThan(0);
    expect(alone.dropped).toBeGreaterThan(0);
    for (
      const [other, told] of [
        [
          { times: [1.5], units: [11] },
          /unit 11 is not among the 6 that were encoded, .* from 10 to 25/,
        ],
        [[[1.5], [2]], /lists of 2 units, wanted 6/],
        [{ times: [1], electrodes: [10], features: [1] }, /they have features, wanted units/],
      ] as const
    ) expect(() => stored.decoder({ spikes: other })).toThrow(told);
  });

  it("refuses features of another number, rows without times, and positions of other dimensions", async () => {
    const { position, spikes } = marked();
    const out = place();
    const encoding = { binSize: 6, positionStd: 3 };
    await clusterless({ position, spikes, ...encoding }).saveEncoding(out);
    const stored = await openEncoding(out);
    const one = { ...spikes, features: spikes.times.map(() => 1) };
    expect(() => stored.decoder({ spikes: one })).toThrow(/they have 1 features, wanted 2/);
    expect(() => stored.decoder({ spikes: { times: [1], units: [2] } })).toThrow(
      /have no features/,
    );
    const other = smallRecording({ seconds: 4, dimensions: 2 }).position;
    expect(() => stored.decoder({ spikes, position: other })).toThrow(/2 dimensions, wanted 1/);
    const model = stored.decoder({ spikes });
    expect(() => model.smooth(gpu(), { out: place() })).toThrow(/wanted start and stop/);
    expect(() => model.smooth(gpu(), { out: place(), time, missing: ["untracked"] }))
      .toThrow(/there is no position/);
  });

  it("takes rows for untracked by the position that is decoded, not by the one that was encoded", async () => {
    const { recording: { position, spikes }, encoding } = sorted();
    const out = place();
    await sortedSpikes({ position, spikes, ...encoding, states }).saveEncoding(out);
    const stored = await openEncoding(out);
    const later = (times: ArrayLike<number>) => Float64Array.from(times, (time) => time + 1000);
    const missing = ["untracked", [1002, 1002.5]] as const;
    const said = async (model: ReturnType<typeof stored.decoder>) => {
      const result = await model.smooth(gpu(), {
        ...{ out: place(), missing, time: { start: 1001, stop: 1003, step: 0.02 } },
      }).run();
      await result.close();
      return result.marginalLogLikelihood;
    };
    const moved = {
      position: { ...position, times: later(position.times) },
      spikes: { ...spikes, times: later(spikes.times) },
    };
    const fresh = sortedSpikes({
      ...moved,
      binSize: 6,
      positionStd: 3,
      train: [[1000, 1002]],
      states,
    });
    expect(await said(stored.decoder({ ...moved, states }))).toBeCloseTo(await said(fresh), 3);
    // all of the rows are beside these
    const none = { ...moved, states, intervals: [[1000, 1000.9]] as const };
    expect(await said(stored.decoder(none))).toBeCloseTo(0, 4);
    expect(() => stored.decoder({ spikes, states, intervals: [[0, 2]] })).toThrow(
      "Cannot use the intervals: there is no position",
    );
    expect(() => stored.decoder({ ...moved, intervals: [[2, 1]] })).toThrow(
      /interval/,
    );
  });

  it("leaves an encoding that is there, and replaces another one only when told", async () => {
    const { recording, encoding } = sorted();
    const first = sortedSpikes({ ...recording, ...encoding });
    const other = sortedSpikes({ ...recording, ...encoding, positionStd: 4 });
    const out = place();
    await first.saveEncoding(out);
    await first.saveEncoding(out);
    await expect(other.saveEncoding(out)).rejects.toThrow(/another encoding, allow overwriting/);
    await other.saveEncoding(out, { overwrite: true });
    expect((await openEncoding(out)).encoding).toEqual(other.encoding);
    const taken = place();
    const store = await openStore(taken, { mode: "write" });
    await store.set("/x", new Uint8Array(1));
    await store.close();
    await expect(first.saveEncoding(taken, { overwrite: true })).rejects.toThrow(/something else/);
    await expect(openEncoding(taken)).rejects.toThrow(/no result is stored there/);
  });

  it("may be one into which no spike fell", async () => {
    const times = Float64Array.from({ length: 60 }, (_, i) => i / 30);
    const spikes = { times: [1.5, 1.6], units: [0, 1] };
    const model = sortedSpikes({
      ...{ position: { times, values: times }, spikes, binSize: 0.2, train: [[0, 0.5]] },
    });
    const place = "memory:stored-encoding-without-spikes";
    await model.saveEncoding(place);
    const { encoding } = await openEncoding(place);
    expect(encoding).toMatchObject({
      points: {
        spikePlaces: new Float64Array(0),
        sampleSeconds: model.encoding.points!.sampleSeconds,
      },
    });
  });
});
