import { describe, expect, it } from "vitest";
import { AnimalPath } from "../../src/hmm/animal_path.ts";
import { gridFromEdges, gridFromPosition } from "../../src/hmm/grid.ts";
import { interiorBinAt } from "../../src/hmm/grid_graph.ts";
import { AnimalBiases } from "../../src/hmm/observation/animal_bias.ts";
import { noSpikeRows } from "../../src/hmm/observation/no_spike.ts";
import { wayLengths } from "../reference/local_states.ts";

const line = gridFromEdges({ edges: [[0, 2, 4, 6, 8, 10, 12]] });
// two rooms and a door
const rooms = gridFromEdges({
  edges: [[0, 1, 2, 3], [0, 1, 2, 3, 4, 5]],
  interior: [1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1],
});

describe("what bins gain and lose by where the animal is", () => {
  // worked out by numpy from the definitions
  it("is a kernel that sums to the number of bins", () => {
    const kernel = new AnimalBiases(line, { kind: "kernel", std: 3 }).of(2);
    [-0.3666187676656345, 0.300047899001032, 0.5222701212232543, 0.300047899001032]
      .forEach((log, bin) => expect(kernel[bin]).toBeCloseTo(log, 12));
    expect(kernel[5]).toBeCloseTo(-1.4777298787767457, 12);
    const delta = new AnimalBiases(line, { kind: "kernel", std: 0 }).of(2);
    expect([...delta]).toEqual(
      [0, 1, 2, 3, 4, 5].map((bin) => bin === 2 ? Math.log(6) : -Infinity),
    );
  });

  it("is a penalty that is largest where the animal is", () => {
    const penalty = new AnimalBiases(line, { kind: "penalty", nats: 10, std: 3 }).of(2);
    [-4.111122905071874, -8.00737402916808, -10, -8.00737402916808, -4.111122905071874]
      .forEach((log, bin) => expect(penalty[bin]).toBeCloseTo(log, 12));
    expect(penalty[5]).toBeCloseTo(-1.353352832366127, 12);
  });

  it("goes by ways around walls", () => {
    const ways = wayLengths(rooms);
    const biases = new AnimalBiases(rooms, { kind: "penalty", nats: 1, std: 2 });
    ways.forEach((own, bin) => {
      const found = biases.of(bin);
      own.forEach((way, other) => {
        expect(found[other]).toBeCloseTo(-Math.exp(-0.125 * way * way), 12);
      });
    });
  });
});

describe("interiorBinAt()", () => {
  it("is the bin of a place, or the nearest one in which the animal can be", () => {
    expect(interiorBinAt(line, [4])).toBe(2);
    // but for the last edge between two bins
    expect(interiorBinAt(line, [10])).toBe(4);
    expect(interiorBinAt(line, [10.1])).toBe(5);
    expect(interiorBinAt(line, [-50])).toBe(0);
    expect(interiorBinAt(line, [50])).toBe(5);
    // the wall between the rooms: of equals the first
    expect(interiorBinAt(rooms, [0.5, 2.5])).toBe(1);
    expect(interiorBinAt(rooms, [0.5, 2.6])).toBe(2);
    expect(interiorBinAt(rooms, [NaN, 1])).toBe(-1);
  });

  it("has the largest position in the bin before the padding", () => {
    const values = [0, 0, 3, 3, 6, 6, 9, 9, 10, 10].flatMap((value, i) => [value, i]);
    const grid = gridFromPosition(values, 2, { binSize: 5 });
    const last = interiorBinAt(grid, [10, 9]);
    expect(grid.interiorIndex[last]).toBe(2 * grid.shape[1]! + 2);
  });
});

describe("AnimalPath", () => {
  it("goes straight between samples, and on beyond them", () => {
    const path = new AnimalPath(
      Float64Array.of(0, 1, 3),
      Float64Array.of(0, 10, 30, 0, 20, 4),
      rooms,
    );
    expect([...path.at(0.5)]).toEqual([15, 5]);
    expect([...path.at(1)]).toEqual([30, 0]);
    expect([...path.at(2)]).toEqual([25, 2]);
    expect([...path.at(4)]).toEqual([15, 6]);
    expect([...path.at(-1)]).toEqual([-30, 20]);
  });

  it("does not know what rests on unknown samples", () => {
    const path = new AnimalPath(Float64Array.of(0, 1, 2), Float64Array.of(0, NaN, 2), line);
    expect([...path.at(0.5)]).toEqual([NaN]);
    expect([...path.at(2)]).toEqual([2]);
  });
});

describe("noSpikeRows()", () => {
  it("expects the rate of silence in each row", () => {
    const silent = { rowStarts: Uint32Array.of(0, 0, 0), units: new Uint32Array(), dropped: 0 };
    expect([...noSpikeRows(silent, 1, 0.002, 5)]).toEqual([-0.01, -0.01]);
    const spikes = { ...silent, rowStarts: Uint32Array.of(0, 3, 4), missing: Uint8Array.of(0, 1) };
    const [row, missing] = noSpikeRows(spikes, 2, 0.01);
    expect(row).toBeCloseTo(3 * Math.log(1e-12) - 2e-12, 12);
    expect(missing).toBe(0);
  });
});
