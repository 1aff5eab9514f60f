import { describe, expect, it } from "vitest";
import { Random } from "../../src/math/random.ts";
import type { Chart, Mark } from "../../src/view/view.ts";
import {
  bars,
  boxes,
  dots,
  drawChart,
  drawCharts,
  heatMap,
  level,
  line,
  svgFile,
} from "../../src/view/view.ts";
import { pngRows, pngSize } from "../support/png.ts";
import { overlaps, textBoxes } from "../support/text_boxes.ts";
import { elementsOf, parseXml, type XmlElement } from "../support/xml.ts";

const WIDTHS = [340, 480, 1100];
const MARGIN = 12;
const LONG =
  "a name that is much longer than any picture is wide, as people do give to their sessions";

function draw(charts: Chart | Chart[], width = 480): XmlElement {
  return parseXml(svgFile(drawCharts([charts].flat(), width), MARGIN));
}

const all = (root: XmlElement, name: string, part = "") =>
  [...elementsOf(root)].filter((element) =>
    element.name === name && (part === "" || element.attributes.class === part)
  );
const texts = (root: XmlElement) => all(root, "text").map(({ text }) => text);

function chartOf(...marks: Mark[]): Chart {
  return { x: { label: "time", unit: "s" }, y: { label: "position", unit: "cm" }, marks };
}

function posterior(columns: number, rows: number): Float64Array {
  const random = new Random(5);
  let at = rows / 2;
  return Float64Array.from({ length: columns * rows }, (_, i) => {
    if (i % rows === 0) at = Math.min(rows, Math.max(0, at + random.normal()));
    return Math.exp(-0.5 * ((i % rows - at) / 4) ** 2) * (0.8 + 0.2 * random.uniform()) / 10;
  });
}

function grid(columns: number, rows: number, values = posterior(columns, rows)): Mark {
  const x = { low: 0, high: columns };
  return heatMap({ values, columns, rows, x, y: { low: 0, high: 100 }, name: "probability" });
}

const numbers = (length: number, of: (i: number) => number) =>
  Float64Array.from({ length }, (_, i) => of(i));

const CASES: Record<string, Chart[]> = {
  "lines over time": [chartOf(line({ y: numbers(500, Math.sin), name: "speed", color: 0 }))],
  "huge numbers": [chartOf(line({ y: [1e9, 3e9, 2e9], name: "bytes", color: 0 }))],
  "tiny numbers": [chartOf(line({ y: [1e-9, 3e-9, -2e-9], name: "loss", color: 0 }))],
  "numbers that hardly differ": [
    chartOf(line({ x: [1.7e9, 1.7e9 + 3], y: [1e6, 1e6 + 1e-3], name: "drift", color: 0 })),
  ],
  "a posterior with its path and states": [
    {
      ...chartOf(
        grid(400, 40),
        line({ y: numbers(400, () => 40), name: "true position", color: 1, cased: true }),
      ),
      title: "Where is the rat? Decoded from 60 neurons",
    },
    chartOf(line({ y: numbers(400, () => 0.5), name: "continuous", color: 2 })),
  ],
  "many long names at the right and at the top": [
    {
      title: LONG,
      x: { label: LONG, names: Array.from({ length: 12 }, (_, i) => `${LONG} ${i}`) },
      y: { label: LONG, unit: "spikes per second" },
      marks: [bars({ values: numbers(12, (i) => i), name: LONG, color: 0 })],
    },
  ],
  "hundreds of names": [
    {
      x: { label: "unit", names: Array.from({ length: 300 }, (_, i) => `unit ${i}`) },
      y: { label: "rate", unit: "Hz" },
      marks: [bars({ values: numbers(300, (i) => i), name: "rate", color: 0 })],
    },
  ],
  "long names at the left": [
    {
      x: { label: "variance", unit: "%" },
      y: { label: "feature", names: Array.from({ length: 40 }, (_, i) => `${LONG} ${i}`) },
      marks: [bars({ values: numbers(40, (i) => i - 9), name: "explained", color: 0, along: "y" })],
    },
  ],
  "many keys": [
    chartOf(
      ...Array.from(
        { length: 12 },
        (_, i) => line({ y: [i, i + 1], name: `layer ${i} of the network`, color: i }),
      ),
    ),
  ],
  "colour bars of every kind": [
    chartOf(grid(20, 10, numbers(200, (i) => i * 1e-9))),
    chartOf(grid(20, 10, numbers(200, (i) => i * 1e7))),
    chartOf(grid(20, 10, numbers(200, (i) => 1e6 + i * 1e-4))),
    chartOf(heatMap({
      values: numbers(200, (i) => i / 199),
      columns: 20,
      rows: 10,
      x: { low: 0, high: 20 },
      y: { low: 0, high: 10 },
      name: LONG,
      power: 0.5,
      map: "around",
    })),
  ],
  nothing: [chartOf()],
  "empty data": [chartOf(
    line({ y: [], name: "line", color: 0 }),
    dots({ x: [], y: [], name: "dots", color: 1 }),
    boxes({ boxes: [], name: "boxes", color: 2 }),
    heatMap({
      values: [],
      columns: 0,
      rows: 0,
      x: { low: 0, high: 1 },
      y: { low: 0, high: 1 },
      name: "p",
    }),
  )],
  "one point": [chartOf(line({ x: [3], y: [7], name: "line", color: 0 }), grid(1, 1))],
  "no numbers": [chartOf(
    line({ y: [NaN, Infinity, -Infinity], name: "line", color: 0 }),
    bars({ values: [NaN, Infinity], name: "bars", color: 1 }),
    grid(30, 20, new Float64Array(600).fill(NaN)),
    level({ at: NaN, name: "level", color: "fail" }),
  )],
  "the largest and smallest numbers": [
    chartOf(line({ y: [-Number.MAX_VALUE, Number.MAX_VALUE], name: "huge", color: 0 })),
    chartOf(line({ x: [0, 5e-324], y: [5e-324, 0], name: "tiny", color: 0 })),
  ],
};

describe("a chart", () => {
  for (const [name, charts] of Object.entries(CASES)) {
    for (const width of WIDTHS) {
      it(`of ${name} is well-formed, has no two texts on one another and none cut, ${width} px`, () => {
        const svg = svgFile(drawCharts(charts, width), MARGIN);
        expect(svg).not.toMatch(/NaN|Infinity|undefined|e[+-]\d/);
        const root = parseXml(svg);
        const texts = textBoxes(root);
        expect(overlaps(texts)).toEqual([]);
        const { width: wide, height: high } = root.attributes;
        expect(Number(wide)).toBe(width + 2 * MARGIN);
        expect(
          texts.filter(({ left, right, top, bottom }) =>
            left < 0 || right > Number(wide) || top < 0 || bottom > Number(high)
          ),
        ).toEqual([]);
      });
    }
  }

  it("says what its axes are, with their units", () => {
    const root = draw(chartOf(line({ y: [0, 1e7], name: "bytes", color: 0 })));
    expect(texts(root)).toContain("time, s");
    expect(texts(root)).toContain("position, ×10⁶ cm");
    expect(root.attributes["aria-label"]).toBe("position by time");
  });

  it("writes the axis they share once, beneath the last", () => {
    const one = chartOf(line({ y: [0, 1], name: "a", color: 0 }));
    expect(texts(draw([one, one, one])).filter((text) => text === "time, s").length).toBe(1);
    const other = { ...one, x: { label: "lag" } };
    expect(texts(draw([one, other]))).toEqual(expect.arrayContaining(["time, s", "lag"]));
  });

  it("has a key to every colour, once", () => {
    const lines = ["train", "eval"].map((name, color) => line({ y: [1, 2], name, color }));
    const root = draw(
      chartOf(...lines, dots({ x: [0], y: [1], name: "mean", color: 2 }), lines[0]!),
    );
    const key = all(root, "g", "key")[0]!;
    expect(texts(key)).toEqual(["train", "eval", "mean"]);
    const colors = (element: XmlElement) =>
      new Set(
        [...elementsOf(element)].flatMap(({ attributes: { stroke, fill } }) =>
          [stroke, fill].filter((color) => color?.startsWith("var(--view-series"))
        ),
      );
    expect(colors(key)).toEqual(colors(root));
    expect(colors(key).size).toBe(3);
  });

  it("draws no two of many lines alike", () => {
    const lines = Array.from({ length: 20 }, (_, i) => line({ y: [i], name: `${i}`, color: i }));
    const key = all(draw(chartOf(...lines)), "g", "key")[0]!;
    const looks = all(key, "path", "line").map(({ attributes }) =>
      `${attributes.stroke} ${attributes["stroke-dasharray"]}`
    );
    expect(new Set(looks).size).toBe(20);
  });

  it("has a colour bar for every heat map", () => {
    for (const mark of [grid(3, 3), grid(400, 300), grid(1, 1), grid(0, 0, new Float64Array())]) {
      const root = draw(chartOf(mark));
      const bars = all(root, "g", "color-bar");
      expect(bars.length).toBe(1);
      expect(texts(bars[0]!)).toContain("probability");
      // and what its colours stand for
      expect(texts(bars[0]!).filter((text) => /^−?[\d.]+$/.test(text)).length).toBeGreaterThan(0);
    }
  });

  it("escapes what is drawn as text", () => {
    const evil = `"><script>alert(1)</script>&`;
    const root = draw({
      title: evil,
      x: { label: evil, unit: evil, names: [evil] },
      y: { label: evil, unit: evil },
      marks: [
        dots({ x: [0], y: [1], name: evil, color: 0, hints: [evil] }),
        line({ y: [1], name: evil, color: 1, hint: evil }),
        bars({ values: [1], name: evil, color: 2 }),
      ],
    }, 1100);
    expect(all(root, "script")).toEqual([]);
    expect(texts(root)).toContain(evil);
    expect(all(root, "title").map(({ text }) => text)).toContain(evil);
  });

  it("is the same text every time", () => {
    const charts = CASES["a posterior with its path and states"]!;
    expect(svgFile(drawCharts(charts, 480))).toBe(svgFile(drawCharts(charts, 480)));
  });
});

describe("line()", () => {
  const path = (mark: Mark, axes: Partial<Chart> = {}) =>
    all(draw({ ...chartOf(mark), ...axes }), "path", "line").at(-1)!.attributes.d!;
  const strokes = (d: string) => d.split("M").length - 1;

  it("has a gap at every number that is none", () => {
    expect(strokes(path(line({ y: [1, 2, 3, 4], name: "a", color: 0 })))).toBe(1);
    expect(strokes(path(line({ y: [1, 2, NaN, 3, 4], name: "a", color: 0 })))).toBe(2);
    expect(strokes(path(line({ y: [NaN, 1, 2, Infinity, 3, 4, NaN], name: "a", color: 0 })))).toBe(
      2,
    );
    expect(strokes(path(line({ x: [0, NaN, 2, 3], y: [1, 2, 3, 4], name: "a", color: 0 })))).toBe(
      2,
    );
  });

  it("shows a number alone between gaps as a dot", () => {
    expect(path(line({ y: [1, NaN, 5, NaN, 2], name: "a", color: 0 })).match(/h0/g)!.length).toBe(
      3,
    );
  });

  it("keeps within the ends of its axes", () => {
    const y = { label: "y", low: 0, high: 1 };
    const d = path(line({ y: [0.5, 100, -100, 0.5], name: "a", color: 0 }), { y, height: 100 });
    const heights = [...d.matchAll(/[ML][\d.]+ ([\d.]+)/g)].map(([, height]) => Number(height));
    expect(Math.max(...heights) - Math.min(...heights)).toBeLessThanOrEqual(100);
    expect(strokes(d)).toBe(3);
  });

  it("of very many points stays small, and keeps its peaks", () => {
    const y = numbers(200_000, (i) => i === 154_321 ? 9 : Math.sin(i));
    const d = path(line({ y, name: "a", color: 0 }), {
      height: 100,
      y: { label: "y", low: -1, high: 9 },
    });
    expect(d.length).toBeLessThan(40_000);
    const heights = [...d.matchAll(/[ML][\d.]+ ([\d.]+)/g)].map(([, height]) => Number(height));
    const span = Math.max(...heights) - Math.min(...heights);
    expect(span).toBeGreaterThan(99);
  });

  it("refuses lengths that disagree", () => {
    expect(() => line({ x: [1, 2], y: [1], name: "a", color: 0 })).toThrow(
      "Cannot draw a line: x has 2 numbers, y has 1",
    );
  });
});

describe("heatMap()", () => {
  it("draws few cells one by one, from the bottom up", () => {
    const values = [0, 1, 2, 3, 4, 5];
    const mark = heatMap({
      values,
      columns: 2,
      rows: 3,
      x: { low: 0, high: 2 },
      y: { low: 0, high: 3 },
      name: "n",
    });
    const cells = all(all(draw(chartOf(mark)), "g", "heat-map")[0]!, "rect");
    expect(cells.length).toBe(6);
    const placed = cells.map(({ attributes: { x, y, fill } }) => ({
      x: Number(x),
      y: Number(y),
      level: Number(/even-(\d+)/.exec(fill!)![1]),
    }));
    const lowest = placed.find(({ level }) => level === 0)!;
    const highest = placed.find(({ level }) => level === 63)!;
    expect(lowest.x).toBeLessThan(highest.x);
    expect(lowest.y).toBeGreaterThan(highest.y);
  });

  it("keeps an end that is given where all numbers lie at it, or beyond", () => {
    const box = { columns: 1, rows: 3, x: { low: 0, high: 1 }, y: { low: 0, high: 3 }, name: "n" };
    const keyOf = (values: number[], range: { low?: number; high?: number }) =>
      heatMap({ ...box, values, range }).keys[0];
    expect(keyOf([0, 0, 0], { low: 0 })).toMatchObject({ low: 0, high: 1 });
    expect(keyOf([-2, -1, 0], { low: 0 })).toMatchObject({ low: 0, high: 1 });
    expect(keyOf([1, 1, 1], { high: 1 })).toMatchObject({ low: 0, high: 1 });
    expect(keyOf([2, 2, 2], {})).toMatchObject({ low: 1, high: 3 });
  });

  it("of 400 x 300 cells stays small: a picture for light and one for dark", () => {
    const svg = svgFile(drawChart(chartOf(grid(400, 300)), 1100));
    expect(svg.length).toBeLessThan(300 * 1024);
    const images = all(parseXml(svg), "image");
    expect(images.map(({ attributes }) => attributes.class)).toEqual(["on-light", "on-dark"]);
    for (const { attributes: { href, style } } of images) {
      expect(pngSize(href!)).toEqual([400, 300]);
      expect(style).toBe("image-rendering:pixelated");
    }
  });

  it("of many cells goes upwards and to the right", async () => {
    const [columns, rows] = [40, 16];
    const values = numbers(columns * rows, (i) => i % rows + (i >= columns * rows / 2 ? rows : 0));
    const [image] = all(draw(chartOf(grid(columns, rows, values))), "image");
    const drawn = await pngRows(image!.attributes.href!);
    const corners = [drawn.at(-1)![0], drawn[0]![0], drawn.at(-1)!.at(-1), drawn[0]!.at(-1)];
    expect(corners).toEqual([0, 15, 16, 31].map((value) => Math.round(value / 31 * 63)));
  });

  it("finer than the screen is averaged: no cell is lost and none counts twice", async () => {
    const columns = 100_003;
    // the middle row rises from left to right, the others go up and down all the time
    const values = numbers(3 * columns, (i) => i % 3 === 1 ? i / (3 * columns) : i % 2);
    const [image] = all(draw(chartOf(grid(columns, 3, values)), 480), "image");
    const drawn = await pngRows(image!.attributes.href!);
    expect(drawn.length).toBe(3);
    expect(drawn[0]!.length).toBeLessThanOrEqual(2 * 480);
    for (const row of [drawn[0]!, drawn[2]!]) {
      expect(Math.min(...row)).toBeGreaterThanOrEqual(31);
      expect(Math.max(...row)).toBeLessThanOrEqual(32);
    }
    drawn[1]!.forEach((level, column) =>
      expect(Math.abs(level - 63 * (column + 0.5) / drawn[1]!.length)).toBeLessThan(0.6)
    );
  });

  it("averages the numbers that there are", async () => {
    const columns = 60_000;
    // 1 and none in turns at the left, 0 and none at the right
    const values = numbers(columns, (i) => i % 2 === 0 ? NaN : i < columns / 2 ? 1 : 0);
    const [image] = all(draw(chartOf(grid(columns, 1, values)), 480), "image");
    const [row] = await pngRows(image!.attributes.href!);
    expect(new Set(row)).toEqual(new Set([63, 0]));
  });

  it("tells cells without a number apart, and says so in the key", () => {
    for (const [columns, rows] of [[2, 2], [40, 30]] as const) {
      const values = posterior(columns, rows);
      expect(texts(draw(chartOf(grid(columns, rows, values))))).not.toContain("no value");
      values[1] = NaN;
      expect(texts(draw(chartOf(grid(columns, rows, values))))).toContain("no value");
    }
  });

  it("refuses sizes that disagree and ranges beyond its axes", () => {
    expect(() => grid(3, 4, new Float64Array(5))).toThrow(
      "Cannot draw a heat map: got 5 numbers, wanted 3 columns of 4",
    );
    const chart = { ...chartOf(grid(3, 4)), y: { label: "y", low: 0, high: 50 } };
    expect(() => draw(chart)).toThrow("it goes from 0 to 100, the y axis from 0 to 50");
  });
});

describe("bars()", () => {
  it("begin at 0, upwards and downwards", () => {
    const names = ["a", "b", "c"];
    const chart: Chart = {
      x: { label: "x", names },
      y: { label: "y" },
      marks: [bars({ values: [2, -1, NaN], name: "n", color: 0 })],
    };
    const [up, down, none] = all(draw(chart), "rect").filter(({ children }) => children.length > 0);
    const side = (rect: XmlElement, key: string) => Number(rect.attributes[key]);
    expect(none).toBeUndefined();
    expect(side(up!, "y") + side(up!, "height")).toBeCloseTo(side(down!, "y"), 0);
    expect(side(up!, "height")).toBeCloseTo(2 * side(down!, "height"), 0);
  });
});
