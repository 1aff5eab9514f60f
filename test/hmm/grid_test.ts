import { describe, expect, it } from "vitest";
import { sortedSpikes } from "../../src/hmm/decoder.ts";
import { binOf, gridFromPosition } from "../../src/hmm/grid.ts";
import { seeded } from "../support/random.ts";
import { linearTrack, smallRecording } from "../support/recordings.ts";
import { sharedDataMissing } from "../support/shared_data.ts";

/** Positions along the edges of a square from 0 to 10. */
const square: number[] = [];
for (let i = 0; i <= 100; i++) square.push(i / 10, 0, i / 10, 10, 0, i / 10, 10, i / 10);

/**
 * Flat indices of interior bins: histogram over padded edges, the last bin alone closed; bins whose cross,
 * and those of all their neighbours, meet a sample; without the last bins of each axis.
 */
function interiorByDefinition(values: readonly number[], binSize: number): number[] {
  const samples: number[][] = [];
  for (let i = 0; i < values.length; i += 2) {
    const sample = [values[i]!, values[i + 1]!];
    if (!sample.some(Number.isNaN)) samples.push(sample);
  }
  const edges = [0, 1].map((axis) => {
    const along = samples.map((sample) => sample[axis]!);
    const [low, high] = [Math.min(...along), Math.max(...along)];
    const bins = Math.ceil((high - low) / binSize);
    const inner = Array.from({ length: bins + 1 }, (_, i) => low + i * ((high - low) / bins));
    inner[bins] = high;
    const width = inner[1]! - inner[0]!;
    return [low - width, ...inner, high + width];
  });
  const [rows, columns] = edges.map((own) => own.length - 1) as [number, number];
  const seen = new Set(samples.map((sample) =>
    sample.map((value, axis) => {
      const own = edges[axis]!;
      return own.findIndex((edge, i) =>
        edge <= value && (value < own[i + 1]! || (i === own.length - 2 && value === own[i + 1]))
      );
    }).join()
  ));
  const cross = (
    [x, y]: number[],
  ) => [[x!, y!], [x! - 1, y!], [x! + 1, y!], [x!, y! - 1], [x!, y! + 1]];
  const inBox = ([x, y]: number[]) => x! >= 0 && y! >= 0 && x! < rows && y! < columns;
  const grown = (bin: number[]) => inBox(bin) && cross(bin).some((other) => seen.has(other.join()));
  const inside: number[] = [];
  for (let x = 0; x < rows - 1; x++) {
    for (let y = 0; y < columns - 1; y++) {
      if (cross([x, y]).every(grown)) inside.push(x * columns + y);
    }
  }
  return inside;
}

describe("gridFromPosition()", () => {
  it("divides the range into ceil(extent / bin size) even bins", () => {
    const grid = gridFromPosition([0, 3, 9.5], 1, { binSize: 2 });
    expect(grid.shape).toEqual([5]);
    expect(grid.edges[0]).toEqual(Float64Array.of(0, 1.9, 3.8, 5.699999999999999, 7.6, 9.5));
    expect([...grid.interiorIndex]).toEqual([0, 1, 4]);
    expect(grid.centers[0]![0]).toBeCloseTo(0.95, 12);
  });

  it("pads two dimensions by a bin at each side, which is never interior", () => {
    const grid = gridFromPosition(square, 2, { binSize: 1 });
    expect(grid.shape).toEqual([12, 12]);
    for (const bin of grid.interiorIndex) {
      const [x, y] = [Math.floor(bin / 12), bin % 12];
      expect(Math.min(x, y)).toBeGreaterThanOrEqual(1);
      expect(Math.max(x, y)).toBeLessThanOrEqual(10);
    }
  });

  it("counts a sample at the maximum beside the range, as the original does", () => {
    // the sample at (10, 5) makes no bin of its own, the one just before it does
    const line = Array.from({ length: 100 }, (_, i) => [i / 10, 5]).flat();
    const inside = (last: number) => {
      const grid = gridFromPosition([...line, last, 5, 0, 0, 10, 10], 2, { binSize: 1 });
      return grid.interior[10 * grid.shape[1]! + 6];
    };
    expect(inside(9.99)).toBe(1);
    expect(gridFromPosition([0, 0, 10, 10, 10, 5], 2, { binSize: 1 }).interiorIndex)
      .toEqual(Uint32Array.of(13));
    // one dimension has no padding: its last bin is closed
    expect([...gridFromPosition([0, 10], 1, { binSize: 1 }).interiorIndex]).toEqual([0, 9]);
  });

  for (const seed of [1, 2, 3, 4, 5, 6]) {
    it(`has the interior of the rule as it is written: seed ${seed}`, () => {
      const random = seeded(seed);
      // a walk on whole pixels: many samples share the extremes, some positions are unknown
      const [width, height] = [20 + 60 * random(), 20 + 60 * random()];
      let [x, y] = [width / 2, height / 2];
      const values: number[] = [];
      for (let i = 0; i < 1500; i++) {
        x = Math.min(width, Math.max(0, x + 5 * (random() - 0.5)));
        y = Math.min(height, Math.max(0, y + 5 * (random() - 0.5)));
        const whole = seed % 2 === 0 ? Math.round : (value: number) => value;
        values.push(random() < 0.02 ? NaN : whole(x), random() < 0.02 ? NaN : whole(y));
      }
      for (const binSize of [1.7, 4, 11]) {
        const grid = gridFromPosition(values, 2, { binSize });
        expect(Array.from(grid.interiorIndex)).toEqual(interiorByDefinition(values, binSize));
      }
    });
  }

  it("has the interior that was counted elsewhere, on a recording", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const { position } = await linearTrack();
    const interior = (binSize: number) =>
      gridFromPosition(position.values, 2, { binSize }).interiorIndex.length;
    expect([4, 6, 12, 20].map(interior)).toEqual([1859, 992, 327, 145]);
  });

  it("closes holes of one bin by a cross, and leaves larger ones", () => {
    const filled: number[] = [];
    for (let x = 0; x < 9; x++) {
      for (let y = 0; y < 9; y++) {
        const hole = (x === 2 && y === 2) || (x >= 5 && x <= 7 && y >= 5 && y <= 7);
        if (!hole) filled.push(x + 0.5, y + 0.5);
      }
    }
    // the corners fix the range to bins of exactly 1
    const grid = gridFromPosition([0, 0, 9, 9, ...filled], 2, { binSize: 1 });
    const inside = (x: number, y: number) => grid.interior[(x + 1) * grid.shape[1]! + y + 1];
    expect(inside(2, 2)).toBe(1);
    expect(inside(6, 6)).toBe(0);
    expect(inside(5, 6)).toBe(0);
  });

  it("fills what is enclosed, and grows, where that is wanted", () => {
    const ring: number[] = [0, 0, 9, 9];
    for (let x = 1; x < 8; x++) {
      for (let y = 1; y < 8; y++) {
        if (x < 3 || x > 5 || y < 3 || y > 5) ring.push(x + 0.5, y + 0.5);
      }
    }
    const insideOf = (choices: object) => {
      const grid = gridFromPosition(ring, 2, { binSize: 1, ...choices });
      return (x: number, y: number) => grid.interior[(x + 1) * grid.shape[1]! + y + 1];
    };
    const plain = insideOf({});
    expect([plain(4, 4), plain(0, 4), plain(3, 4)]).toEqual([0, 0, 0]);
    const whole = insideOf({ fillHoles: true });
    expect([whole(4, 4), whole(3, 4), whole(0, 4)]).toEqual([1, 1, 0]);
    const wide = insideOf({ dilate: true });
    expect([wide(4, 4), wide(3, 4), wide(0, 4), wide(8, 4)]).toEqual([0, 1, 1, 1]);
    // the leading padding may become interior, the trailing one may not
    const edges = insideOf({ dilate: true, positionRange: [[1, 8], [1, 8]] });
    expect([edges(-1, 3), edges(3, -1), edges(7, 3), edges(3, 7)]).toEqual([1, 1, 0, 0]);
    const flat = () => gridFromPosition([0, 1], 1, { binSize: 1, fillHoles: true });
    expect(flat).toThrow(/fillHoles is for two dimensions, and positions have one/);
  });

  it("lies between given positions, and counts none beyond them", () => {
    const grid = gridFromPosition([-3, 1, 2, 8, 11], 1, { binSize: 2, positionRange: [[0, 10]] });
    expect([...grid.edges[0]!]).toEqual([0, 2, 4, 6, 8, 10]);
    expect([...grid.interiorIndex]).toEqual([0, 1, 4]);
    // beyond the range, and yet within the padding
    const beyond = [[0, 5], [5, 5], [9, 5], [10.4, 5], [10.4, 7]].flat();
    const box = gridFromPosition(beyond, 2, {
      binSize: 2,
      positionRange: [[0, 10], [0, 10]],
      dilate: true,
    });
    const only = gridFromPosition(beyond.slice(0, 6), 2, {
      binSize: 2,
      positionRange: [[0, 10], [0, 10]],
      dilate: true,
    });
    expect(box.interior).toEqual(only.interior);
    expect(() => gridFromPosition([0, 1], 1, { binSize: 1, positionRange: [[0, 1], [0, 1]] }))
      .toThrow(/positionRange has 2 entries, wanted 1/);
    expect(() => gridFromPosition([0, 1], 1, { binSize: 1, positionRange: [[1, 0]] }))
      .toThrow(/positionRange has 1 to 0, wanted finite positions that ascend/);
  });

  it("leaves out unknown positions", () => {
    const grid = gridFromPosition([0, NaN, 4, NaN], 1, { binSize: 1 });
    expect(grid.shape).toEqual([4]);
    expect([...grid.interiorIndex]).toEqual([0, 3]);
  });

  it("refuses bin sizes that give no bins, or far too many", () => {
    expect(() => gridFromPosition([0, 1], 1, { binSize: 0 })).toThrow(/the bin size is 0/);
    expect(() => gridFromPosition([0, 1], 1, { binSize: NaN })).toThrow(/the bin size is NaN/);
    expect(() => gridFromPosition([2, 2], 1, { binSize: 1 })).toThrow(/positions span 0/);
    expect(() => gridFromPosition([NaN, 1, 2, NaN], 2, { binSize: 1 })).toThrow(
      /none of 2 positions is known/,
    );
    expect(() => gridFromPosition([0, 1], 1, { binSize: 1e-9 })).toThrow(/at most 16777216/);
    expect(() => gridFromPosition(square, 2, { binSize: 1e-3 })).toThrow(/10002 x 10002 bins/);
  });
});

describe("a grid of one's own", () => {
  const { position, spikes } = smallRecording({ seconds: 4 });
  const shared = { position, spikes, positionStd: 3 };

  it("has the bins and the interior that it says, for which all else is worked out as ever", () => {
    const own = sortedSpikes({ ...shared, binSize: 5 });
    const edges = own.grid.edges.map((along) => [...along]);
    const again = sortedSpikes({ ...shared, grid: { edges, interior: own.grid.interior } });
    expect(again.encoding).toEqual(own.encoding);
    expect(sortedSpikes({ ...shared, grid: own.grid }).encoding).toEqual(own.encoding);
    const interior = own.grid.interior.map((one, bin) => bin === 2 ? 0 : one);
    const fewer = sortedSpikes({ ...shared, grid: { edges, interior } });
    const bins = own.grid.interiorIndex.length;
    expect([...fewer.encoding.rates]).toEqual(
      [...own.encoding.rates].filter((_, i) => own.grid.interiorIndex[i % bins] !== 2),
    );
  });

  it("is refused where it is not for the positions, or bins are told twice or not at all", () => {
    const edges = [[0, 20, 40]];
    const refused = (options: object) => () => sortedSpikes({ ...shared, ...options });
    expect(refused({})).toThrow("Cannot lay a grid: binSize is missing, wanted it, or a grid");
    expect(refused({ grid: { edges }, binSize: 2 })).toThrow(/binSize is given, and so is grid/);
    expect(refused({ grid: { edges }, dilate: true })).toThrow(/dilate is given, and so is grid/);
    expect(refused({ grid: { edges: [...edges, ...edges] } }))
      .toThrow(/bins are along 2 dimensions, and the position has 1, wanted as many/);
    expect(refused({ grid: { edges: [[0, 1, 3]] } })).toThrow(/edge 1 along dimension 0 is 1/);
    expect(refused({ grid: { edges, interior: [1] } })).toThrow(/interior has 1 values/);
    expect(refused({ grid: { edges: 3 } })).toThrow(/it lacks lists, wanted { edges, interior }/);
  });
});

describe("binOf()", () => {
  it("closes the last bin on both sides", () => {
    const edges = Float64Array.of(0, 1, 2, 3);
    expect([-0.1, 0, 0.99, 1, 2.5, 3, 3.1, NaN].map((value) => binOf(edges, value)))
      .toEqual([-1, 0, 0, 1, 2, 2, -1, -1]);
  });
});
