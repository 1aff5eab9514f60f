import { describe, expect, it } from "vitest";
import { contFrag, simulateSession, sortedSpikes } from "../../src/hmm/decoder.ts";
import { openEncoding } from "../../src/hmm/open_encoding.ts";
import { plot } from "../../src/mod.ts";
import { elementsOf, parseHtml } from "../support/xml.ts";

const { position, spikes } = simulateSession({ seed: 3, seconds: 12, units: 6, arena: [60, 40] });
const along = position.values.filter((_, i) => i % 2 === 0);

async function fieldsAt(place: string, values: Float64Array) {
  const options = { spikes, states: contFrag(), binSize: 4, positionStd: 6 };
  await sortedSpikes({ position: { times: position.times, values }, ...options }).saveEncoding(
    place,
  );
  const html = (await plot(place, { unit: "cm" })).toHTML();
  const elements = [...elementsOf(parseHtml(html))];
  const rows = elements.filter(({ name }) => name === "tr")
    .map(({ children }) => children.map(({ text }) => text));
  return { html, elements, rows, stored: await openEncoding(place) };
}

/** Where each unit's rate is highest, by the arrays that are stored. */
function peaksOf({ encoding, grid }: Awaited<ReturnType<typeof openEncoding>>) {
  if (!("rates" in encoding)) throw new Error("spikes are sorted");
  const width = grid.interiorIndex.length;
  return Array.from({ length: encoding.unitCount }, (_, unit) => {
    let best = 0;
    for (let bin = 1; bin < width; bin++) {
      if (encoding.rates[unit * width + bin]! > encoding.rates[unit * width + best]!) best = bin;
    }
    const flat = grid.interiorIndex[best]!;
    const columns = grid.shape[1] ?? 1;
    const places = grid.dimensions === 1
      ? [grid.centers[0]![flat]!]
      : [grid.centers[0]![Math.floor(flat / columns)]!, grid.centers[1]![flat % columns]!];
    return [unit, encoding.rates[unit * width + best]!, ...places];
  });
}

describe("plot() of an encoding", () => {
  it("draws a place field of every unit in a box, in Hz, and tells where it is highest", async () => {
    const { html, elements, rows, stored } = await fieldsAt(
      "memory:fields in a box",
      position.values,
    );
    const peaks = peaksOf(stored);
    // for wide and for narrow windows
    expect(elements.filter(({ attributes }) => attributes.class === "heat-map")).toHaveLength(12);
    for (let unit = 0; unit < 6; unit++) expect(html).toContain(`>unit ${unit}<`);
    expect(html).toContain("rate, Hz");
    expect(html).toContain("x, cm");
    expect(rows[0]).toEqual(["unit", "highest rate, Hz", "at x, cm", "at y, cm"]);
    for (const [i, peak] of peaks.entries()) {
      rows[1 + i]!.forEach((text, column) => expect(Number(text)).toBeCloseTo(peak[column]!, 1));
    }
    expect(html).not.toMatch(/NaN|undefined|Infinity/);
  });

  it("draws the fields along a line as one map, ordered by where they are highest", async () => {
    const { html, elements, stored } = await fieldsAt("memory:fields along a line", along);
    const maps = elements.filter(({ attributes }) => attributes.class === "heat-map");
    expect(maps).toHaveLength(2);
    expect(html).toContain("position, cm");
    const peaks = peaksOf(stored).map(([, , at]) => at!);
    expect(peaks).not.toEqual([...peaks].sort((a, b) => a - b));
    // of each row from the bottom up: where its brightest cell is
    const { brightest } = brightestOf(maps[0]!.children);
    expect(brightest).toEqual([...brightest].sort((a, b) => a - b));
  });
});

/** Of rectangles row by row: x of the cell that is the furthest along the colours. */
function brightestOf(cells: readonly { attributes: Record<string, string> }[]) {
  const rows = new Map<number, { x: number; level: number }>();
  for (const { attributes: { x, y, fill } } of cells) {
    const level = Number(/\d+/.exec(fill!)?.[0] ?? -1);
    const known = rows.get(Number(y));
    if (!known || level > known.level) rows.set(Number(y), { x: Number(x), level });
  }
  const upward = [...rows].sort(([a], [b]) => b - a);
  return { brightest: upward.map(([, { x }]) => x) };
}
