import { describe, expect, it } from "vitest";
import { Canvas } from "../../src/view/raster/canvas.ts";
import { circle, dashed, polylines, stroke, textOutlines } from "../../src/view/raster/outlines.ts";
import { paintPng } from "../../src/view/raster/paint.ts";
import { textWidth } from "../../src/view/text.ts";
import { drawChart, heatMap, line } from "../../src/view/view.ts";
import { inflate, pngChunks } from "../support/png.ts";

const WHITE = [255, 255, 255] as const;
const BLACK = [0, 0, 0] as const;

/** How dark pixels are, 0 to 1, in all: the area of what is black. */
const inkOf = ({ pixels }: Canvas) =>
  pixels.reduce((sum, value, i) => i % 3 === 0 ? sum + 1 - value / 255 : sum, 0);

function painted(shapes: readonly number[][]) {
  const canvas = new Canvas(40, 30, WHITE);
  canvas.fill(shapes, BLACK);
  return canvas;
}

describe("a canvas", () => {
  it("covers as much as a shape has area, wherever it lies", () => {
    const square = (
      x: number,
      y: number,
      side: number,
    ) => [x, y, x + side, y, x + side, y + side, x, y + side];
    expect(inkOf(painted([square(3, 4, 10)]))).toBeCloseTo(100, 6);
    expect(inkOf(painted([square(3.3, 4.25, 10)]))).toBeCloseTo(100, 0);
    expect(inkOf(painted([circle(20, 15, 9)]))).toBeCloseTo(Math.PI * 81, -1);
    // beyond the edges there is nothing
    expect(inkOf(painted([square(35, 25, 10)]))).toBeCloseTo(25, 6);
    expect(inkOf(painted([square(-90, -90, 300)]))).toBe(1200);
  });

  it("covers what shapes have in common once, and leaves a hole that turns the other way", () => {
    const square = [5, 5, 15, 5, 15, 15, 5, 15];
    expect(inkOf(painted([square, square]))).toBeCloseTo(100, 6);
    const hole = [7, 7, 7, 13, 13, 13, 13, 7];
    expect(inkOf(painted([square, hole]))).toBeCloseTo(64, 6);
  });

  it("draws lines as wide as they are, whichever way they go, and dashes of them", () => {
    for (const path of ["M5 5H25", "M25 5H5", "M5 5V25", "M5 25L5 5"]) {
      const [own] = polylines(path);
      expect(inkOf(painted(stroke(own!, 2, false)))).toBeCloseTo(40, 6);
    }
    const parts = dashed(polylines("M2 5H22")[0]!, [3, 2]);
    expect(parts.map(({ points }) => points[0])).toEqual([2, 7, 12, 17]);
    expect(inkOf(painted(parts.flatMap((part) => stroke(part, 2, false))))).toBeCloseTo(24, 6);
  });
});

describe("letters", () => {
  it("are no wider than texts are measured to be", () => {
    const texts = ["position, cm", "0.25", "×10⁶", "AUROC 0.91", "Würzburg", "σ ≤ 3", "−12,000"];
    for (const text of texts) {
      const { width } = textOutlines(text, 0, 0, 13);
      expect(width).toBeLessThanOrEqual(textWidth(text));
      expect(width).toBeGreaterThan(0.5 * textWidth(text));
    }
  });

  it("leave ink for every character, a box for those that are not known", () => {
    for (const character of [..."aÄμ7%✓", "\u4e2d"]) {
      const { outlines } = textOutlines(character, 4, 20, 16);
      expect(inkOf(painted(outlines)), character).toBeGreaterThan(5);
    }
    expect(textOutlines(" ", 0, 0, 13).outlines).toEqual([]);
  });
});

/** A chart as pixels, `[height][width]` of red, green, blue. */
async function pixelsOf(png: Uint8Array) {
  let text = "";
  for (const byte of png) text += String.fromCharCode(byte);
  const chunks = pngChunks(`data:image/png;base64,${btoa(text)}`);
  const view = new DataView(chunks.IHDR!.buffer);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const rows = await inflate(chunks.IDAT!);
  const at = (
    x: number,
    y: number,
  ) => [...rows.subarray(y * (3 * width + 1) + 1 + 3 * x).subarray(0, 3)];
  return { width, height, at, chunks };
}

describe("paintPng()", () => {
  it("paints maps, lines and letters in the colours of their surroundings", async () => {
    const values = Float64Array.from({ length: 40 * 20 }, (_, i) => i < 400 ? 0 : 1);
    const drawing = drawChart({
      x: { label: "time", unit: "s" },
      y: { label: "place" },
      marks: [
        heatMap({
          ...{ values, columns: 40, rows: 20, name: "p" },
          ...{ x: { low: 0, high: 40 }, y: { low: 0, high: 20 } },
        }),
        line({ x: [0, 40], y: [10, 10], name: "path", color: 1 }),
      ],
    }, 300);
    const [light, dark] = [
      await pixelsOf(await paintPng(drawing, { scale: 1 })),
      await pixelsOf(await paintPng(drawing, { scale: 1, dark: true })),
    ];
    expect([light.width, light.height]).toEqual([324, Math.ceil(drawing.height + 24)]);
    expect(light.at(0, 0)).toEqual([255, 255, 255]);
    expect(dark.at(0, 0)).toEqual([13, 17, 23]);
    // the lowest and the highest colour of the map, at the left and at the right
    const middle = Math.round(drawing.height) - 60;
    expect(light.at(60, middle)[0]).toBeGreaterThan(240);
    expect(light.at(290, middle)[0]).toBeLessThan(40);
    expect(dark.at(60, middle)[0]).toBeLessThan(40);
    // the orange of the line, somewhere in the middle
    const sharp = await pixelsOf(await paintPng(drawing, { scale: 4 }));
    const column = Array.from({ length: sharp.height }, (_, y) => sharp.at(600, y).join());
    expect(column).toContain("198,79,0");
    expect(new TextDecoder().decode(light.chunks.iTXt)).toContain("place by time");
  });
});
