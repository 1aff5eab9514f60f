import { describe, expect, it } from "vitest";
import { readAll } from "../../src/array/array.ts";
import * as decoder from "../../src/hmm/decoder.ts";
import { shortestPaths } from "../../src/hmm/grid_graph.ts";
import { trackGrid } from "../../src/hmm/track_grid.ts";
import { blockRows } from "../../src/hmm/transition/transition_blocks.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { sharedDataMissing, sharedJson } from "../support/shared_data.ts";

const gpu = useGpu();

interface SharedGraph {
  nodes: number[][];
  edges: number[][];
  edge_order: number[][];
  edge_spacing: number[];
  bin_size: number;
  bin_edges: number[];
  interior: boolean[];
  /** Null of gaps. */
  distance: (number | null)[][];
  points: number[][];
  linear: number[];
  random_walk_var6_row0: number[];
}

const fork = {
  nodes: [[0, 0], [0, 31], [-20, 45], [20, 45]],
  edges: [[0, 1], [1, 2], [1, 3]],
  edgeSpacing: [10, 15],
};

/** Nodes and middles of bins as one graph, and every way between them tried. */
function lengthsByDefinition(
  { nodes, edges, edgeOrder = edges }: decoder.TrackGraph,
  binSize: number,
): number[][] {
  const centers: { edge: readonly number[]; way: number; length: number }[] = [];
  for (const edge of edgeOrder) {
    const [from, to] = edge.map((node) => nodes[node]!);
    const length = Math.hypot(from![0]! - to![0]!, from![1]! - to![1]!);
    const bins = Math.ceil(length / binSize);
    for (let bin = 0; bin < bins; bin++) {
      centers.push({ edge, way: (bin + 0.5) * length / bins, length });
    }
  }
  const all = nodes.length + centers.length;
  const lengths = Array.from(
    { length: all },
    (_, i) => Array.from({ length: all }, (_, j) => i === j ? 0 : Infinity),
  );
  const join = (i: number, j: number, length: number) => {
    lengths[i]![j] = Math.min(lengths[i]![j]!, length);
    lengths[j]![i] = lengths[i]![j]!;
  };
  centers.forEach(({ edge, way, length }, i) => {
    join(nodes.length + i, edge[0]!, way);
    join(nodes.length + i, edge[1]!, length - way);
    centers.forEach((other, j) => {
      if (other.edge === edge) join(nodes.length + i, nodes.length + j, Math.abs(way - other.way));
    });
  });
  for (let k = 0; k < all; k++) {
    for (const own of lengths) {
      for (let j = 0; j < all; j++) own[j] = Math.min(own[j]!, own[k]! + lengths[k]![j]!);
    }
  }
  return lengths.slice(nodes.length).map((own) => own.slice(nodes.length));
}

describe("trackGrid()", () => {
  it("lays bins along edges, and a gap for each space", () => {
    const grid = trackGrid({ ...fork, edges: [[0, 1], [1, 2]], edgeSpacing: 10 }, 8);
    const bins = [0, 7.75, 15.5, 23.25, 31, 41];
    expect([...grid.edges[0]!.slice(0, 6)]).toEqual(bins);
    expect(grid.edges[0]!.at(-1)).toBeCloseTo(41 + Math.hypot(20, 14), 12);
    expect([...grid.interior]).toEqual([1, 1, 1, 1, 0, 1, 1, 1, 1]);
    expect(trackGrid({ ...fork, edgeSpacing: 0 }, 8).interior.every((one) => one === 1)).toBe(true);
  });

  it("has distances along ways, whatever the order and direction of edges", () => {
    for (
      const graph of [
        fork,
        { ...fork, edgeOrder: [[3, 1], [1, 0], [1, 2]], edgeSpacing: [0, 3] },
        // a ring, round which there are two ways
        { nodes: [[0, 0], [9, 0], [9, 9], [0, 9]], edges: [[0, 1], [1, 2], [2, 3], [3, 0]] },
        // edges of a single bin
        { nodes: [[0, 0], [3, 0], [6, 0], [6, 3]], edges: [[0, 1], [1, 2], [2, 3]] },
      ]
    ) {
      const { track } = trackGrid(graph, 4);
      lengthsByDefinition(graph, 4).forEach((own, bin) => {
        const found = shortestPaths(track!.ways, bin, Infinity);
        own.forEach((length, other) => expect(found[other]).toBeCloseTo(length, 10));
      });
    }
  });

  it("brings places onto the nearest edge, in its direction on the line", () => {
    const { track } = trackGrid({ ...fork, edgeOrder: [[3, 1], [1, 0], [1, 2]] }, 4);
    const length = Math.hypot(20, 14);
    expect(track!.positionAt(1, 12)).toBeCloseTo(length + 10 + 19, 12);
    expect(track!.positionAt(40, 60)).toBe(0);
    // at the node that all share: the first edge of the graph
    expect(track!.positionAt(0, 31)).toBeCloseTo(length + 10, 12);
    expect(track!.positionAt(NaN, 3)).toBeNaN();
  });

  it("brings places beside a corner onto the first of the edges that meet there", () => {
    for (let i = 30; i < 60; i++) {
      const corner = [7.3 + 0.37 * i, 1.9 + 0.11 * i] as const;
      const nodes = [[0.1, 0.2], corner, [5.2, 9.7 + i]];
      const { track } = trackGrid({ nodes, edges: [[0, 1], [1, 2]], edgeSpacing: 10 }, 2);
      const length = Math.hypot(corner[0] - 0.1, corner[1] - 0.2);
      expect(track!.positionAt(corner[0] + 0.7, corner[1] - 0.3)).toBe(length);
    }
  });

  it("refuses what is no track", () => {
    const refused = (change: object) => () => trackGrid({ ...fork, ...change }, 4);
    expect(refused({ edges: [[0, 9]] })).toThrow(/edge 0 is \[0,9\], wanted two of the nodes/);
    expect(refused({ nodes: [[0, 0], [0], [1, 1], [2, 2]] })).toThrow(/node 1 is \[0\], wanted x/);
    expect(refused({ edgeOrder: [[0, 1], [1, 2]] })).toThrow(/edgeOrder has 2 of 3 edges/);
    expect(refused({ edgeOrder: [[0, 1], [1, 2], [2, 3]] })).toThrow(/edgeOrder has \[2,3\]/);
    expect(refused({ edgeSpacing: [1] })).toThrow(/edgeSpacing has 1 entries, wanted 2/);
    expect(refused({ edgeSpacing: -1 })).toThrow(/edgeSpacing has -1, wanted lengths from 0/);
    expect(refused({ nodes: undefined })).toThrow(/lacks lists, wanted { nodes, edges }/);
  });

  it("equals what was worked out elsewhere", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const graphs = await sharedJson("golden/decoder-vectors/track_graphs.json") as SharedGraph[];
    for (const { nodes, edges, edge_order, edge_spacing, bin_size, ...wanted } of graphs) {
      const graph = { nodes, edges, edgeOrder: edge_order, edgeSpacing: edge_spacing };
      const grid = trackGrid(graph, bin_size);
      const close = (found: ArrayLike<number>, own: readonly number[]) => {
        expect(found).toHaveLength(own.length);
        own.forEach((value, i) => expect(Math.abs(found[i]! - value)).toBeLessThan(1e-10));
      };
      close(grid.edges[0]!, wanted.bin_edges);
      expect([...grid.interior].map(Boolean)).toEqual(wanted.interior);
      const known = <Value>(own: readonly Value[]) => own.filter((_, bin) => grid.interior[bin]);
      known(wanted.distance).forEach((own, bin) =>
        close(shortestPaths(grid.track!.ways, bin, Infinity), known(own) as number[])
      );
      close(
        wanted.points.map(([x, y]) => grid.track!.positionAt(x!, y!)),
        wanted.linear,
      );
      const row = blockRows(grid, { kind: "randomWalk", movementVar: 6 })(0);
      const walk = new Float64Array(grid.interiorIndex.length);
      Array.from(row.bins).forEach((bin, i) => walk[bin] = row.values[i]!);
      close(walk, known(wanted.random_walk_var6_row0));
    }
  });
});

describe("a decode along a track", () => {
  it("is that of the positions on it, and walks by its ways", async () => {
    const random = seeded(4);
    const samples = 200;
    const times = Float64Array.from({ length: samples }, (_, i) => i / 20);
    // up the stem and into either arm, a little beside the track
    const values = Array.from(times).flatMap((time) => {
      const way = 50 * Math.abs(Math.sin(time / 2));
      const left = Math.floor(time / (2 * Math.PI)) % 2 === 0 ? -1 : 1;
      const beyond = Math.max(0, way - 31) / Math.hypot(20, 14);
      return [left * 20 * beyond + 0.3, Math.min(31, way) + 14 * beyond];
    });
    const spikes = {
      times: Float64Array.from({ length: 300 }, () => 9.9 * random()),
      units: Uint32Array.from({ length: 300 }, () => Math.floor(4 * random())),
    };
    const states = decoder.nonLocal({ movementVar: 25, nonLocalPenalty: 1, nonLocalPenaltyStd: 5 });
    const shared = { spikes, states, binSize: 6, positionStd: 5 };
    const along = decoder.sortedSpikes({
      ...{ ...shared, position: { times, values }, trackGraph: fork },
    });
    expect(along.grid.interiorIndex.length).toBe(16);
    const decode = async (model: decoder.SortedSpikesDecoder, out: string) => {
      const result = await model.smooth(gpu(), { time: { rate: 20 }, out }).run();
      const posterior = await readAll(result.posterior) as Float32Array;
      await result.close();
      return posterior;
    };
    const wanted = await decode(along, "memory:track-grid-along");
    // stored, opened, and told where the animal was
    await along.saveEncoding("memory:track-grid-encoding");
    const encoding = await decoder.openEncoding("memory:track-grid-encoding");
    const again = encoding.decoder({ spikes, states, position: { times, values } });
    expect(again.grid.track!.graph).toEqual(fork);
    const found = await decode(again as decoder.SortedSpikesDecoder, "memory:track-grid-again");
    expect(found).toEqual(wanted);
    // where the track is a line of as many bins, it is that line
    const heights = values.filter((_, i) => i % 2 === 1);
    const line = decoder.sortedSpikes({
      ...{ ...shared, position: { times, values: heights }, positionRange: [[0, 60]] },
    });
    const straight = decoder.sortedSpikes({
      ...{ ...shared, position: { times, values: heights.flatMap((y) => [0.3, y]) } },
      trackGraph: { nodes: [[0, 0], [0, 60]], edges: [[0, 1]] },
    });
    const visited = line.grid.interiorIndex;
    const ratesOf = (model: typeof line, bin: number) =>
      model.encoding.rates[model.grid.interiorIndex.indexOf(bin)]!;
    for (const bin of visited) {
      expect(ratesOf(straight, bin) / ratesOf(line, bin)).toBeCloseTo(1, 9);
    }
  });
});
