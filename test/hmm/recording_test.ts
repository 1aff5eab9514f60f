import { describe, expect, it } from "vitest";
import { checkSpikePrecision, validateRecording } from "../../src/hmm/recording.ts";
import type { Clock } from "../../src/hmm/clocks.ts";
import { seeded } from "../support/random.ts";

const position = { times: [0, 1, 2], values: [1, 2, 3] };

/** A minute at 30 Hz, and 500 spikes in it, from an origin of its own. */
function minute({ origin = 0, seed = 1 } = {}) {
  const random = seeded(seed);
  const times = Float64Array.from({ length: 1800 }, (_, i) => origin + i / 30);
  const spikes = Float64Array.from({ length: 500 }, () => origin + 59.9 * random()).sort();
  return {
    position: { times, values: times.map((time) => 50 + 50 * Math.sin(time)) },
    spikes: { times: spikes, units: spikes.map((_, i) => i % 7) },
  };
}

/** Checks a minute whose times were changed. */
function checked(
  { spikes, times, clock, ...rest }: {
    spikes?: (time: number) => number;
    times?: (time: number) => number;
    clock?: Clock;
    origin?: number;
  },
) {
  const recording = minute(rest);
  return validateRecording(
    { ...recording.position, times: recording.position.times.map(times ?? ((time) => time)) },
    { ...recording.spikes, times: recording.spikes.times.map(spikes ?? ((time) => time)) },
    clock,
  );
}

describe("validateRecording()", () => {
  it("takes one or two dimensions, flat spikes or a list per unit", () => {
    const lists = validateRecording(position, [[0.5, 2], [], [1]]);
    expect(lists.dimensions).toBe(1);
    expect(lists.unitCount).toBe(3);
    expect([...lists.spikes.times]).toEqual([0.5, 1, 2]);
    expect([...lists.spikes.units]).toEqual([0, 2, 0]);
    expect(lists.warnings).toEqual([]);
    const flat = validateRecording(
      { times: [0, 0, 1], values: [1, 1, 2, 2, 3, 3] },
      { times: [0.5], units: [4] },
    );
    expect(flat.dimensions).toBe(2);
    expect(flat.unitCount).toBe(1);
    expect(flat.unitIds).toEqual([4]);
  });

  it("takes counts at a rate, and seconds that are added to those of spikes", () => {
    const clock = { timeRate: 1000, spikeRate: 250, timeOffset: 100 };
    const { position: { times }, spikes } = validateRecording(
      { times: [100_000, 101_000, 102_000], values: [1, 2, 3] },
      { times: [125, 250, 500], units: [0, 0, 1] },
      clock,
    );
    expect([...times]).toEqual([100, 101, 102]);
    expect([...spikes.times]).toEqual([100.5, 101, 102]);
    // of both, where spikes have none of their own
    const both = validateRecording(
      { times: [0, 1000, 2000], values: [1, 2, 3] },
      { times: [500, 1500], units: [0, 0] },
      { timeRate: 1000 },
    );
    expect([...both.spikes.times]).toEqual([0.5, 1.5]);
  });

  it("refuses what it cannot use, and names the entry", () => {
    const spikes = (times: number[], units: number[]) => () =>
      validateRecording(position, { times, units });
    expect(spikes([1, NaN], [0, 0])).toThrow(/spike times: entry 1 is NaN/);
    expect(spikes([1, Infinity], [0, 0])).toThrow(/spike times: entry 1 is Infinity/);
    expect(spikes([1, 2], [0])).toThrow(/2 times and 1 units/);
    expect(spikes([1], [-1])).toThrow(/spike 0 has unit -1, wanted a whole number from 0/);
    expect(spikes([1], [0.5])).toThrow(/spike 0 has unit 0.5/);
    expect(spikes([1], [2 ** 60])).toThrow(/spike 0 has unit 115292150460684/);
    expect(spikes([], [])).toThrow(/there are no units/);
    const samples = (times: number[], values: number[]) => () =>
      validateRecording({ times, values }, [[1]]);
    expect(samples([0, 1, 2], [1, 2])).toThrow(/3 times and 2 values/);
    expect(samples([0, 2, 1], [1, 2, 3])).toThrow(/position times: entry 2 is 1 s after 2 s/);
    expect(samples([0, NaN, 1], [1, 2, 3])).toThrow(/position times: entry 1 is NaN/);
    expect(samples([0], [1])).toThrow(/1 samples, wanted at least 2/);
    expect(samples([0, 1], [0, 1, Infinity, 2])).toThrow(
      /sample 1 is Infinity, wanted numbers, or NaN/,
    );
    expect(samples([0, 1], [0, -Infinity])).toThrow(/sample 1 is -Infinity/);
    const many = Array.from({ length: 70_000 }, (_, i) => i);
    expect(spikes(many.map((i) => i / 1e5), many)).toThrow(/70000 units, at most 65536/);
  });

  it("leaves its inputs alone", () => {
    const times = Float64Array.of(0.25, 0.5);
    const recording = validateRecording(position, { times, units: [0, 1] });
    recording.spikes.times[0] = 9;
    expect(times[0]).toBe(0.25);
  });

  it("numbers units from 0 in the order of their ids, however large or far apart", () => {
    const ids = [900_000_007, 12, 900_000_007, 5e15, 0];
    const { spikes, unitCount, unitIds } = validateRecording(position, {
      times: [0, 0.5, 1, 1.5, 2],
      units: ids,
    });
    expect(unitIds).toEqual([0, 12, 900_000_007, 5e15]);
    expect(unitCount).toBe(4);
    expect(Array.from(spikes.units, (unit) => unitIds[unit])).toEqual(ids);
  });

  it("sorts spikes, keeps the order of equal times, and says so", () => {
    const { spikes, warnings } = validateRecording(position, {
      times: [2, 0.5, 1, 0.5, 0.5],
      units: [0, 3, 1, 2, 4],
    });
    expect([...spikes.times]).toEqual([0.5, 0.5, 0.5, 1, 2]);
    expect([...spikes.units]).toEqual([3, 2, 4, 1, 0]);
    expect(warnings).toEqual(["spike times were not ascending, and were sorted"]);
    expect(validateRecording(position, [[2, 1], [0]]).warnings.length).toBe(1);
    expect(validateRecording(position, { times: [1, 1, 2], units: [1, 0, 1] }).warnings).toEqual(
      [],
    );
  });

  it("never takes [2, samples] for [samples, 2]", () => {
    const times = Float64Array.from({ length: 5 }, (_, i) => i);
    const values = new Float64Array(10);
    const shaped = (shape: number[]) => () => validateRecording({ times, values, shape }, [[1]]);
    expect(shaped([2, 5])).toThrow(/shape is \[2, 5\] for 5 times.*transpose it \(position\.T\)/);
    expect(shaped([10])).toThrow(/shape is \[10\]/);
    expect(shaped([5, 2, 1])).toThrow(/shape is \[5, 2, 1\]/);
    expect(shaped([5, 2])().dimensions).toBe(2);
    const line = { times, values: new Float64Array(5) };
    expect(validateRecording({ ...line, shape: [5, 1] }, [[1]]).dimensions).toBe(1);
    expect(validateRecording({ ...line, shape: [5] }, [[1]]).dimensions).toBe(1);
    expect(() => validateRecording({ ...line, shape: [1, 5] }, [[1]])).toThrow(/transpose it/);
  });
});

describe("clocks", () => {
  it("that agree pass without a word, wherever they begin", () => {
    for (const origin of [0, 4397, 1.7e9]) expect(checked({ origin }).warnings).toEqual([]);
  });

  it("of spikes in samples, milliseconds or microseconds are refused with the option that helps", () => {
    for (
      const [rate, name] of [
        [30_000, "samples at 30000 Hz"],
        [20_000, "samples at 20000 Hz"],
        [1e3, "milliseconds"],
        [1e6, "microseconds"],
      ] as const
    ) {
      for (const whole of [true, false]) {
        const spikes = (time: number) => whole ? Math.round(time * rate) : time * rate;
        const refused = () => checked({ spikes });
        expect(refused).toThrow(/position times run from 0 to 59\.9\d* s, spike times from /);
        expect(refused).toThrow(`look like ${name} (spikeRate: ${rate}, --spike-rate ${rate})`);
        const mended = checked({ spikes, clock: { spikeRate: rate } });
        const exact = checked({});
        mended.spikes.times.forEach((time, i) =>
          expect(Math.abs(time - exact.spikes.times[i]!)).toBeLessThan(0.51 / rate + 1e-9)
        );
      }
    }
  });

  it("of which one is the unix clock are refused with the offset between them", () => {
    const unix = (time: number) => 1_600_000_000 + time;
    const late = () => checked({ times: unix });
    expect(late).toThrow(/all spikes are outside.*from 1600000000 to .*from 0\.\d* to 59/);
    expect(late).toThrow(/timeOffset: 1600000000, --time-offset=1600000000/);
    const mended = checked({ times: unix, clock: { timeOffset: 1.6e9 } });
    expect(mended.spikes.times[0]! - 1.6e9).toBeCloseTo(checked({}).spikes.times[0]!, 6);
    expect(() => checked({ spikes: unix })).toThrow(/timeOffset: -16000000/);
  });

  it("of position in counts are refused, for no animal is tracked so slowly", () => {
    const micro = (time: number) => Math.round(1e6 * time);
    expect(() => checked({ times: micro, spikes: micro }))
      .toThrow(/sampled every 3333\d s.*microseconds \(timeRate: 1000000, --time-rate 1000000/);
    const mended = checked({ times: micro, spikes: micro, clock: { timeRate: 1e6 } });
    expect(mended.position.times.at(-1)).toBeCloseTo(1799 / 30, 5);
    const milli = (time: number) => 1e3 * time;
    expect(() => checked({ times: milli }))
      .toThrow(
        /milliseconds \(timeRate: 1000 and spikeRate: 1, --time-rate 1000 --spike-rate 1; both/,
      );
    expect(checked({ times: milli, clock: { timeRate: 1e3, spikeRate: 1 } }).warnings).toEqual([]);
    // at 500 Hz a millisecond clock is sampled every 2 "s": the spans tell
    const times = Float64Array.from({ length: 30_000 }, (_, i) => 2 * i);
    const { spikes } = minute();
    expect(() => validateRecording({ times, values: times }, spikes))
      .toThrow(/spans 10\d\d times the spikes' time.*milliseconds/);
  });

  it("of position in frames are refused, too", () => {
    const frames = (time: number) => Math.round(30 * time);
    expect(() => checked({ times: frames }))
      .toThrow(/spans 30 times.*counts at about 30 Hz \(timeRate: 30 and spikeRate: 1/);
    const mended = checked({ times: frames, clock: { timeRate: 30, spikeRate: 1 } });
    expect(mended.warnings).toEqual([]);
    expect(mended.position.times.at(-1)).toBeCloseTo(1799 / 30, 12);
    // at 1 Hz frames are seconds
    const times = Array.from({ length: 60 }, (_, i) => i);
    expect(validateRecording({ times, values: times }, minute().spikes).warnings).toEqual([]);
  });

  it("that differ in unit and zero are told both", () => {
    const milli = (time: number) => 1.6e12 + 1e3 * time;
    expect(() => checked({ spikes: milli })).toThrow(
      /milliseconds from another start \(spikeRate: 1000 and timeOffset: -1600000000/,
    );
    // a rate that is given is not guessed again
    expect(() => checked({ spikes: milli, clock: { spikeRate: 1000 } }))
      .toThrow(/different zeros.*timeOffset: -1600000000/);
    expect(() => checked({ spikes: (time) => 7 * time + 1e5 })).toThrow(/say what spike times are/);
  });

  it("are believed where a rate says what they are", () => {
    const whole = (time: number) => Math.round(time);
    expect(() => checked({ spikes: whole })).toThrow(
      /whole numbers, position times are not.*spikeRate: 1, --spike-rate 1, if they are whole seconds/,
    );
    expect(checked({ spikes: whole, clock: { spikeRate: 1 } }).warnings).toEqual([]);
    // once a day, in seconds
    const times = [0, 86_400, 172_800];
    expect(() => validateRecording({ times, values: [1, 2, 3] }, [[5]])).toThrow(/every 86400 s/);
    expect(validateRecording({ times, values: [1, 2, 3] }, [[5]], { timeRate: 1 }).unitCount).toBe(
      1,
    );
    expect(() => checked({ clock: { spikeRate: 0 } })).toThrow(/spikeRate is 0 Hz/);
    expect(() => checked({ clock: { timeOffset: NaN } })).toThrow(/timeOffset is NaN s/);
  });

  it("that agree for a part are a warning, from a tenth of the spikes on", () => {
    const late = (share: number) => checked({ spikes: (time) => time + share * 59.9 });
    expect(late(0.05).warnings).toEqual([]);
    expect(checked({ spikes: (time) => time / 20 }).warnings.join())
      .toMatch(/position spans 20 times the spikes' time; position times run from 0 to/);
    const [warning, ...more] = late(0.3).warnings;
    expect(warning).toMatch(
      /1\d\d of 500 spikes are outside of the position's time; position times/,
    );
    expect(more).toEqual([]);
  });
});

describe("stamps", () => {
  it("in 32 bits are refused where they are coarser than a hundredth of an interval", () => {
    const { position: { times, values }, spikes } = minute();
    const singles = (origin: number) => () =>
      validateRecording({ times: Float32Array.from(times, (time) => origin + time), values }, {
        times: spikes.times.map((time) => origin + time),
        units: spikes.units,
      });
    expect(singles(0)).not.toThrow();
    // 6e-5 s apart beyond 512 s: four of them are less than 1 % of 33 ms
    expect(singles(900)).not.toThrow();
    expect(singles(4397)).toThrow(/stored 0\.00048828125 s apart.*take times in 64 bits/);
    expect(singles(1.7e9)).toThrow(/they are all 1700000000 s, and stored 128 s apart/);
  });

  it("that are all equal are refused", () => {
    expect(() => validateRecording({ times: [5, 5, 5], values: [1, 2, 3] }, [[5]]))
      .toThrow(/they are all 5 s/);
  });

  it("of spikes are held against the rows of a decode", () => {
    const { position, spikes } = minute();
    const recording = validateRecording(position, {
      ...spikes,
      times: Float32Array.from(spikes.times),
    });
    expect(recording.spikePrecision).toBe(2 ** -18);
    expect(() => checkSpikePrecision(recording, 0.002)).not.toThrow();
    expect(() => checkSpikePrecision(recording, 0.001))
      .toThrow(/stored 0\.000003814697265625 s apart.*rows of 0\.001 s.*rows of at least 0\.0015/);
    expect(() => checkSpikePrecision(validateRecording(position, spikes), 1e-6)).not.toThrow();
    // whole numbers are exact, in however few bits they come
    const samples = validateRecording(position, {
      ...spikes,
      times: Int32Array.from(spikes.times, (time) => Math.round(30_000 * time)),
    }, { spikeRate: 30_000 });
    expect(samples.spikePrecision).toBeLessThan(1e-14);
  });
});
