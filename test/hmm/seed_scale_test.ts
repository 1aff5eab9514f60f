/** A plan for 1,976,441 rows of 10,658 states: 78 GiB a posterior in f32. */

import { describe, expect, it } from "vitest";
import { contFrag, sortedSpikes } from "../../src/hmm/decoder.ts";
import { parseBytes } from "../../src/math/format.ts";
import { useGpu } from "../support/gpu.ts";

const gpu = useGpu({ budget: "160 MiB" });

const ROWS = 1_976_441;
const STEP = 0.002;
const SIDE = 71;

/** An animal that visits every bin of a box, row by row; places alone matter here. */
function everywhere() {
  const values: number[] = [];
  for (let x = 0; x <= SIDE; x++) {
    for (let y = 0; y <= SIDE; y++) values.push(2 * x, 2 * (x % 2 === 0 ? y : SIDE - y));
  }
  const times = Float64Array.from({ length: values.length / 2 }, (_, i) => i / 60);
  const spikes = { times: times.slice(0, 1000), units: new Uint32Array(1000) };
  return { position: { times, values }, spikes };
}

describe("a plan for a recording of hours", () => {
  it("is explained in a table that adds up, under 160 MiB", () => {
    const decoder = sortedSpikes({
      ...everywhere(),
      states: contFrag({ movementVar: 6 }),
      binSize: 2,
    });
    const states = 2 * decoder.grid.interiorIndex.length;
    expect(states).toBeGreaterThan(10_000);
    const plan = decoder.smooth(gpu(), {
      time: { start: 0, stop: ROWS * STEP, step: STEP },
      out: "memory:seed-scale-test",
      dtype: "u16",
      lanes: 16,
    });
    const { projected } = plan;
    expect(projected.gpu).toBeLessThanOrEqual(160 * 2 ** 20);
    expect(projected.gpu).toBeGreaterThan(0.9 * 160 * 2 ** 20);
    expect(projected.host).toBeLessThan(2 ** 30);
    // two bytes a probability and four a row; the rest is state probabilities, journal and metadata
    const posterior = ROWS * (2 * states + 4);
    expect(projected.disk).toBeGreaterThan(posterior);
    expect(projected.disk).toBeLessThan(1.5 * posterior);

    const text = plan.explain();
    expect(text).toMatch(/1976441 rows, 16 lanes of 123584 that start 10048 rows early/);
    expect(text).toMatch(/transition by convolution/);
    const lines = text.split("\n").slice(3).filter((line) => /\d (B|KiB|MiB|GiB)/.test(line));
    const headings = text.split("\n")[1]!;
    // columns are right-aligned under their headings
    const column = (line: string, heading: string) => {
      const end = headings.indexOf(heading) + heading.length;
      const cell = line.slice(0, end).split(/ {2,}/).at(-1)!;
      return line.length >= end && /^[\d.]+ (B|KiB|MiB|GiB)$/.test(cell) ? parseBytes(cell) : 0;
    };
    for (const [heading, total] of [["host", projected.host], ["disk", projected.disk]] as const) {
      const parts = lines.slice(0, -1).map((line) => column(line, heading));
      const sum = parts.reduce((all, part) => all + part, 0);
      // three digits are printed
      expect(Math.abs(sum / total - 1)).toBeLessThan(0.01);
      expect(Math.abs(column(lines.at(-1)!, heading) / total - 1)).toBeLessThan(0.01);
    }
    // passes share their buffers: the larger one counts
    const [tables, filter, smooth] = lines.map((line) => column(line, "GPU"));
    expect(Math.abs((tables! + Math.max(filter!, smooth!)) / projected.gpu - 1)).toBeLessThan(0.02);
  });
});
