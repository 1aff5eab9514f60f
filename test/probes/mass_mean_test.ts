import { describe, expect, it } from "vitest";
import { fromTypedArray, openArray, readAll } from "../../src/array/array.ts";
import { open } from "../../src/open.ts";
import { MassMeanProbe } from "../../src/probes/probes.ts";
import { useGpu } from "../support/gpu.ts";
import { probeRows } from "../support/probe_rows.ts";
import { sharedDataMissing, sharedFile } from "../support/shared_data.ts";

const gpu = useGpu();
const missing = sharedDataMissing();

/** By the definition. */
function massMean(values: Float64Array, labels: Uint8Array, normalize: boolean): number[] {
  const features = values.length / labels.length;
  const meanOf = (label: number) =>
    Float64Array.from({ length: features }, (_, d) => {
      const own = [...labels.keys()].filter((row) => labels[row] === label);
      return own.reduce((sum, row) => sum + values[row * features + d]!, 0) / own.length;
    });
  const [low, high] = [meanOf(0), meanOf(1)];
  const way = high.map((value, d) => value - low[d]!);
  const length = normalize ? Math.hypot(...way) : 1;
  return Array.from(labels, (_, row) =>
    way.reduce((sum, own, d) => {
      const midway = (low[d]! + high[d]!) / 2;
      return sum + (values[row * features + d]! - midway) * own / length;
    }, 0));
}

const KINDS = [true, false].flatMap((normalize) =>
  [true, false].map((center) => ({ normalize, center }))
);

describe("a mass-mean probe", () => {
  it(
    "has the logits of the original",
    async (context) => {
      if (missing) context.skip(missing);
      const read = async (name: string) =>
        await openArray(await sharedFile(`golden/probes/${name}.npy`));
      const points = await read("mm_X");
      const labels = await readAll(await read("mm_y")) as Uint8Array;
      for (const options of KINDS) {
        const probe = new MassMeanProbe(options);
        await probe.fit(gpu(), points, labels).run();
        const { logits } = await probe.predict(gpu(), points).run();
        const { normalize, center } = options;
        const name = `mm_logits_n${Number(normalize)}_c${Number(center)}`;
        const wanted = await readAll(await read(name)) as Float64Array;
        wanted.forEach((value, row) => expect(Math.abs(logits[row]! - value)).toBeLessThan(1e-5));
      }
    },
  );

  it("goes from one mean to the other, far from 0 too", async () => {
    const { values, labels } = probeRows(131, 9, { offset: 1e4 });
    const points = fromTypedArray(values, [131, 9]);
    for (const options of KINDS) {
      const probe = new MassMeanProbe(options);
      const { probes } = await probe.fit(gpu(), points, labels).run();
      const { logits } = await probe.predict(gpu(), points).run();
      const wanted = massMean(values, labels, options.normalize);
      const most = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      wanted.forEach((value, row) =>
        expect(Math.abs(logits[row]! - value)).toBeLessThan(1e-6 * most)
      );
      const length = Math.hypot(...probes[0]!.weights);
      if (options.normalize) expect(length).toBeCloseTo(1, 12);
    }
  });

  it("gives the same bits with any tile, and is opened where it is stored", async () => {
    const { values, labels } = probeRows(300, 5);
    const points = fromTypedArray(values, [300, 5]);
    const columns = { labels, turned: labels.map((label) => 1 - label), one: new Uint8Array(300) };
    const place = "memory:mass-mean-test/fit";
    const fit = (tileRows: number, out?: string) =>
      new MassMeanProbe().fit(gpu(), points, columns, { tileRows, ...(out && { out }) }).run();
    const [small, large] = [await fit(64), await fit(300, place)];
    expect(small.probes).toEqual(large.probes);
    small.probes[1]!.weights.forEach((own, d) =>
      expect(own).toBeCloseTo(-small.probes[0]!.weights[d]!, 12)
    );
    expect([small.probes[2], small.reasons[2]]).toEqual([null, "all 300 labels are 0"]);
    const opened = await open(place);
    expect(opened).toMatchObject({ kind: "probe", probes: large.probes, reasons: large.reasons });
    await opened.close();
  });

  it("refuses a direction that has no length", async () => {
    const points = fromTypedArray(Float32Array.of(1, 2, 1, 2, 3, 3, 3, 3), [4, 2]);
    const fit = (options: object) =>
      new MassMeanProbe(options).fit(gpu(), points, [0, 1, 0, 1]).run();
    await expect(fit({ normalize: true })).rejects.toThrow("both classes have one mean");
    expect([...(await fit({})).probes[0]!.weights]).toEqual([0, 0]);
  });

  it("is not fitted to rows that it could not predict", async () => {
    const predicted = async (size: number) => {
      const points = fromTypedArray(
        Float64Array.of(1, 2, 1, 3, 3, 3, 4, 3).map((own) => own * size),
        [
          4,
          2,
        ],
      );
      const probe = new MassMeanProbe();
      await probe.fit(gpu(), points, [0, 1, 0, 1]).run();
      return (await probe.predict(gpu(), points).run()).logits;
    };
    const far = predicted(1e25);
    await expect(far).rejects.toThrow(
      "Cannot fit a probe: row 0, feature 0 is 1e+25, wanted values within 1e+15 of the mean",
    );
    // logits grow by the square
    const plain = await predicted(1);
    (await predicted(2 ** 40)).forEach((own, row) => expect(own).toBe(2 ** 80 * plain[row]!));
  });
});
