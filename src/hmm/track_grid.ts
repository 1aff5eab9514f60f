/**
 * A track of straight ways as a line of bins: ways lie one after the other, and what is near on the track need not be
 * near on the line.
 *
 * Source of the rules: non_local_detector and track_linearization (Denovellis et al.).
 *
 * @module
 */

import type { Graph, Grid, TrackGraph, TrackPoint, TrackSegment } from "./grid.ts";

/**
 * Lays bins along a track: `ceil(length / binSize)` on every edge, and one that is not interior for each space between
 * two edges.
 *
 * @throws {TypeError | RangeError} If nodes and edges make no track, `edgeOrder` does not have every edge once, or a
 * space is negative.
 */
export function trackGrid(graph: TrackGraph, binSize: number): Grid {
  if (!(binSize > 0 && Number.isFinite(binSize))) {
    throw new RangeError(`Cannot lay a grid: the bin size is ${binSize}, wanted a positive number`);
  }
  const { nodes, order, spacing } = checkedGraph(graph);
  const edges = [0];
  const interior: number[] = [];
  const ways: TrackSegment[] = [];
  let firstBin = 0;
  order.forEach(({ from, to, edge }, i) => {
    const length = Math.hypot(nodes[to]![0]! - nodes[from]![0]!, nodes[to]![1]! - nodes[from]![1]!);
    const bins = Math.ceil(length / binSize);
    const start = edges.at(-1)!;
    for (let bin = 1; bin <= bins; bin++) {
      edges.push(bin === bins ? start + length : start + bin * (length / bins));
      interior.push(1);
    }
    ways.push({ from, to, length, start, firstBin, bins, edge });
    firstBin += bins;
    if (i < spacing.length && spacing[i]! > 0) {
      edges.push(edges.at(-1)! + spacing[i]!);
      interior.push(0);
    }
  });
  const along = Float64Array.from(edges);
  const isInterior = Uint8Array.from(interior);
  return {
    ...{ dimensions: 1, binSize, shape: [interior.length], edges: [along] },
    centers: [along.slice(1).map((edge, bin) => (edge + along[bin]!) / 2)],
    interior: isInterior,
    interiorIndex: Uint32Array.from([...isInterior.keys()].filter((bin) => isInterior[bin])),
    track: {
      ...{ graph, ways: graphOf(ways), segments: ways },
      positionAt(x, y) {
        const point = nearestOn(ways, nodes, x, y);
        return point ? point.segment.start + point.along : NaN;
      },
      nearest: (x, y) => nearestOn(ways, nodes, x, y),
    },
  };
}

/** Bins of an edge follow one another; those at a node reach all others there. */
function graphOf(ways: readonly TrackSegment[]): Graph {
  const graph = ways.flatMap(({ bins }) =>
    Array.from({ length: bins }, () => ({ neighbours: [] as number[], lengths: [] as number[] }))
  );
  const join = (one: number, other: number, length: number) => {
    for (const [from, to] of [[one, other], [other, one]] as const) {
      graph[from]!.neighbours.push(to);
      graph[from]!.lengths.push(length);
    }
  };
  const ends = new Map<number, { bin: number; half: number }[]>();
  for (const { from, to, length, firstBin, bins } of ways) {
    const width = length / bins;
    for (let bin = 1; bin < bins; bin++) join(firstBin + bin - 1, firstBin + bin, width);
    for (const [node, bin] of [[from, firstBin], [to, firstBin + bins - 1]] as const) {
      const others = ends.get(node) ?? [];
      others.forEach((other) => join(other.bin, bin, other.half + width / 2));
      ends.set(node, [...others, { bin, half: width / 2 }]);
    }
  }
  return graph;
}

/** Of the nearest point of the track; of edges that are as near, that of the first. */
function nearestOn(
  ways: readonly TrackSegment[],
  nodes: readonly (readonly number[])[],
  x: number,
  y: number,
): TrackPoint | undefined {
  let found: TrackPoint | undefined;
  let least = Infinity;
  let first = Infinity;
  for (const segment of ways) {
    const { from, to, length, edge } = segment;
    const [fromX, fromY] = nodes[from]! as [number, number];
    const [toX, toY] = nodes[to]! as [number, number];
    const [alongX, alongY] = [(toX - fromX) / length, (toY - fromY) / length];
    const way = Math.min(length, Math.max(0, (x - fromX) * alongX + (y - fromY) * alongY));
    // a node itself, or rounding would tell apart edges that meet in it
    const distance = way === length
      ? Math.hypot(x - toX, y - toY)
      : Math.hypot(x - fromX - way * alongX, y - fromY - way * alongY);
    if (distance < least || (distance === least && edge < first)) {
      [found, least, first] = [{ segment, along: way }, distance, edge];
    }
  }
  return found;
}

function checkedGraph({ nodes, edges, edgeOrder = edges, edgeSpacing = 0 }: TrackGraph): {
  nodes: readonly (readonly number[])[];
  order: { from: number; to: number; edge: number }[];
  spacing: readonly number[];
} {
  const refuse = (is: string, wanted: string): never => {
    throw new RangeError(`Cannot use the track graph: ${is}, wanted ${wanted}`);
  };
  if (![nodes, edges, edgeOrder].every(Array.isArray)) {
    throw new TypeError("Cannot use the track graph: it lacks lists, wanted { nodes, edges }");
  }
  nodes.forEach((node, i) => {
    if (node?.length === 2 && node.every(Number.isFinite)) return;
    refuse(`node ${i} is [${node}]`, "x and y");
  });
  if (edges.length === 0) refuse("it has no edges", "at least one");
  edges.forEach((edge, i) => {
    const isPair = edge?.length === 2 && edge.every((node) => nodes[node] !== undefined);
    if (!isPair) refuse(`edge ${i} is [${edge}]`, `two of the nodes from 0 to ${nodes.length - 1}`);
    const [from, to] = edge.map((node) => nodes[node]!) as [readonly number[], readonly number[]];
    if (from[0] === to[0] && from[1] === to[1]) refuse(`edge ${i} has no length`, "two places");
  });
  const keyOf = ([one, other]: readonly number[]) =>
    `${Math.min(one!, other!)} ${Math.max(one!, other!)}`;
  const edgeOf = new Map(edges.map((edge, i) => [keyOf(edge), i]));
  if (edgeOf.size !== edges.length) refuse("two edges join the same nodes", "one of them");
  const order = edgeOrder.map((edge) => {
    const own = edgeOf.get(keyOf(edge));
    if (own === undefined) return refuse(`edgeOrder has [${edge}]`, "edges of the graph");
    return { from: edge[0]!, to: edge[1]!, edge: own };
  });
  if (
    new Set(order.map(({ edge }) => edge)).size !== edges.length || order.length !== edges.length
  ) {
    refuse(`edgeOrder has ${order.length} of ${edges.length} edges`, "each of them once");
  }
  const spacing = typeof edgeSpacing === "number"
    ? edges.slice(1).map(() => edgeSpacing)
    : edgeSpacing;
  if (spacing.length !== edges.length - 1) {
    refuse(
      `edgeSpacing has ${spacing.length} entries`,
      `${edges.length - 1}, one between each edge and the next`,
    );
  }
  const wrong = spacing.find((space) => !(space >= 0 && Number.isFinite(space)));
  if (wrong !== undefined) refuse(`edgeSpacing has ${wrong}`, "lengths from 0");
  return { nodes, order, spacing };
}
