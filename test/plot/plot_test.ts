import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import { decoder, open, plot, readAll } from "../../src/mod.ts";
import { decodePage } from "../../src/plot/decode.ts";
import type { PlotOptions } from "../../src/plot/plot.ts";
import { CLUSTERS, labels, makeResult, recording, RESULTS, rows } from "../support/every_result.ts";
import { useGpu } from "../support/gpu.ts";
import type { XmlElement } from "../support/xml.ts";
import { elementsOf, parseHtml } from "../support/xml.ts";

const gpu = useGpu();
const placeOf = (name: string) => `memory:plot of ${name}`;
async function picture(name: string, options: PlotOptions = {}) {
  return await plot(await makeResult(gpu(), name, placeOf(name)), options);
}

const all = (html: string, name: string) =>
  [...elementsOf(parseHtml(html))].filter((element) => element.name === name);
const cells = (table: XmlElement) =>
  [...elementsOf(table)].filter(({ name }) => name === "tr")
    .map((row) => row.children.map(({ text }) => text));

describe("plot()", () => {
  for (const name of Object.keys(RESULTS)) {
    it(`draws every kind of result, with a key, a rule and words for it: ${name}`, async () => {
      const own = await picture(name);
      const html = own.toHTML();
      const drawn = all(html, "svg");
      expect(drawn.length).toBeGreaterThan(0);
      for (const { attributes } of drawn) {
        expect(attributes.role).toBe("img");
        expect(attributes["aria-label"]!.length).toBeGreaterThan(10);
      }
      expect(all(html, "g").filter(({ attributes }) => attributes.class === "key").length)
        .toBeGreaterThan(0);
      expect(html).not.toMatch(/NaN|undefined|Infinity/);
      expect(own.toSVG()).toMatch(/^<svg xmlns/);
    });
  }

  it("of a probe names every feature that is drawn, however narrow, and how near the optimum is", async () => {
    const svg = (await picture("logistic")).toSVG(240);
    const fit = await open(placeOf("logistic"));
    if (fit.kind !== "probe" || !("mean" in fit)) throw new Error(fit.kind);
    const texts = all(svg, "text").map(({ text }) => text);
    for (const feature of fit.mean.keys()) expect(texts).toContain(String(feature));
    expect(texts.join(" ")).toMatch(/From the optimum it is .* of its length away, at most\./);
  });

  it("of sampled paths draws where the bins lie that are stored", async () => {
    const svg = (await picture("samples", { unit: "cm" })).toSVG();
    const opened = await open(placeOf("samples"));
    if (opened.kind !== "arrays") throw new Error(opened.kind);
    const { sampled_state_bin: bins, position } = opened.arrays;
    const centers = Array.from(await readAll(position!) as Float64Array);
    const own = Array.from(await readAll(bins!) as Int32Array);
    const paths = bins!.shape[1]!;
    const first = Array.from(own).filter((_, i) => i % paths === 0).map((bin) =>
      centers[Number(bin)]!
    );
    await opened.close();
    const texts = all(svg, "text").map(({ text }) => text);
    expect(texts).toEqual(expect.arrayContaining(["path 0", "path 2", "position, cm"]));
    expect(texts.join(" ")).toMatch(/Of the first 3 of 4 paths: centres of their bins\./);
    const heights = all(svg, "path")
      .filter(({ attributes }) => attributes.stroke === "var(--view-series-0)")
      .map(({ attributes }) =>
        [...attributes.d!.matchAll(/[ML]\S+ ([\d.]+)/g)].map(([, y]) => Number(y))
      )
      .reduce((longest, own) => own.length > longest.length ? own : longest);
    // upwards, px grow less
    const [lowest, highest] = [Math.max(...heights), Math.min(...heights)];
    const [least, most] = [Math.min(...first), Math.max(...first)];
    const heightOf = (center: number) =>
      lowest + (highest - lowest) * (center - least) / (most - least);
    expect(heights[0]).toBeCloseTo(heightOf(first[0]!), 0);
    expect(heights.at(-1)).toBeCloseTo(heightOf(first.at(-1)!), 0);
    expect(new Set(heights).size).toBe(new Set(first).size);
  });

  it("of a decode tells the likeliest position of every row that its table shows", async () => {
    const own = await picture("decode", { unit: "cm" });
    const opened = await open(placeOf("decode"));
    if (opened.kind !== "decode") throw new Error(opened.kind);
    const [table] = all(own.toHTML(), "table");
    const [head, ...shown] = cells(table!);
    expect(head).toEqual(["time, s", "likeliest position, cm", "p(Continuous)", "p(Fragmented)"]);
    expect(shown.length).toBe(24);
    const times = await opened.time.read(0, opened.time.shape[0]!) as Float64Array;
    const [centers] = opened.binCenters;
    const bins = centers!.length;
    for (const [time, position, ...states] of shown) {
      const row = times.findIndex((own) => Math.abs(own - Number(time)) < 1e-3);
      const posterior = await opened.posterior.read(row, row + 1) as Float32Array;
      // both discrete states of a place together
      const mass = new Map<number, number>();
      for (let bin = 0; bin < bins; bin++) {
        mass.set(centers![bin]!, (mass.get(centers![bin]!) ?? 0) + posterior[bin]!);
      }
      const best = [...mass].sort((a, b) => b[1] - a[1])[0]![0];
      expect(Number(position)).toBeCloseTo(best, 2);
      const stored = await opened.states.read(row, row + 1) as Float32Array;
      states.forEach((own, state) => expect(Number(own)).toBeCloseTo(stored[state]!, 3));
    }
    await opened.close();
  });

  it("of a decode tells no position where a state that has none is likelier", async () => {
    const uniform = { kind: "uniform" } as const;
    const states = decoder.stateModel({
      names: ["track", "nowhere"],
      ...{ initial: [0.5, 0.5], discreteTransition: [[0.5, 0.5], [0.5, 0.5]] },
      transitions: [[uniform, uniform], [uniform, uniform]],
      oneBin: [false, true],
    });
    // on the track in its second bin, then nowhere
    const logs = Float64Array.of(-9, 0, -9, -9, -9, -9, -9, 0);
    const place = placeOf("a state that is nowhere");
    const model = decoder.logLikelihoods({
      logLikelihoods: fromTypedArray(logs, [2, 4]),
      ...{ states, grid: { edges: [[0, 1, 2, 3]] } },
    });
    await (await model.smooth(gpu(), { time: { rate: 1 }, out: place }).run()).close();
    const drawn = await plot(place);
    const [table] = all(drawn.toHTML(), "table");
    const [, ...shown] = cells(table!);
    expect(shown.map(([, position]) => Number(position) > 0)).toEqual([true, false]);
  });

  it("of a decode that has not finished says so, and draws what is stored", async () => {
    await picture("decode");
    const opened = await open(placeOf("decode"));
    if (opened.kind !== "decode") throw new Error(opened.kind);
    const { sections } = await decodePage(placeOf("decode"), {
      ...opened,
      storedRows: [[0, 20], [50, 120]],
    }, {});
    expect(sections[0]!.text).toEqual([
      "The decode has not finished: rows 50 to 120 of 200 are drawn, from the longest stretch that is stored.",
    ]);
    expect(sections[1]!.facts).toContainEqual(["rows that are drawn", "70 of 200"]);
    expect((await picture("decode")).page.sections[0]!.text).toEqual([]);
    await opened.close();
  });

  it("of a decode draws true path, spikes and a stored path, in their places", async () => {
    await picture("path");
    const own = await picture("decode", {
      ...recording,
      ...{ path: placeOf("path"), time: [1, 2], unit: "cm" },
    });
    const svg = own.toSVG();
    for (const name of ["true position", "spike", "path of viterbi", "likeliest position"]) {
      expect(svg).toContain(`>${name}<`);
    }
    expect(svg).toContain("All 50 rows are drawn.");
    expect(svg).toContain(">position, cm<");
  });

  it("says which rows there are where none lies in the stretch that is asked for", async () => {
    await expect(picture("decode", { time: [7, 8] })).rejects.toThrow(
      /^Cannot plot memory:plot of decode: no row lies from 7 to 8 s, its rows go from 0.01 to 3.99/,
    );
  });

  it("refuses what does not belong to the result, with both sizes", async () => {
    const path = { times: [0, 1], values: [0, 0, 1, 1] };
    await expect(picture("decode", { position: path })).rejects.toThrow(
      "it has 4 numbers for 2 times, wanted 1 for each",
    );
    await picture("kmeans");
    await expect(picture("decode", { path: placeOf("kmeans") })).rejects.toThrow(/wanted a path/);
    await expect(picture("kmeans", { input: fromTypedArray(new Float32Array(6), [2, 3]) })).rejects
      .toThrow("the input has shape [2, 3], wanted the [60, 4] that were clustered");
    await expect(picture("prediction", { labels: [0, 1] })).rejects.toThrow(
      "there are 2 labels, wanted one for each of 60 rows",
    );
  });

  it("counts errors where classes are known", async () => {
    const html = (await picture("prediction", { labels })).toHTML();
    expect(html).toContain("AUROC 1.0000");
    expect(html).toContain("40 of 0 called 0, 0 of 0 called 1, 0 of 1 called 0, 20 of 1 called 1");
  });

  it("draws rows of clusters in colours of their own, told by their numbers, too", async () => {
    const svg = (await picture("kmeans", { input: rows })).toSVG();
    expect(svg.match(/<title>cluster \d<\/title>/g)?.length).toBe(60);
    expect(svg.match(/class="tag"/g)?.length).toBe(CLUSTERS);
  });

  it("is a PNG without a browser, in light and dark", async () => {
    const own = await picture("pca");
    for (const dark of [false, true]) {
      const png = await own.toPNG({ width: 300, dark });
      const bitmap = new DataView(png.buffer, png.byteOffset);
      expect(bitmap.getUint32(16)).toBe(2 * (300 + 24));
    }
  });
});
