/** What is told of posteriors, compared with numpy, scipy and networkx by the definitions. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import {
  aheadBehind,
  distanceFromAnimal,
  highestDensity,
  hpdOverlap,
  klDivergence,
  mapPosition,
  mapSpeed,
  timeRescaling,
} from "../../src/hmm/decoder.ts";
import type { Grid } from "../../src/hmm/grid.ts";
import { trackGrid } from "../../src/hmm/track_grid.ts";
import { boxGrid, largestDifference } from "../support/hmm_problem.ts";
import { pythonMissing, runPython } from "../support/python.ts";
import { seeded } from "../support/random.ts";

const MODULES = ["numpy", "scipy", "networkx"];

const SCRIPT = `
import sys, json
import numpy as np, networkx as nx
from scipy.stats import entropy, expon
from scipy.integrate import cumulative_trapezoid
from scipy.ndimage import gaussian_filter1d
given = json.load(open(sys.argv[1]))
a = lambda name: np.asarray(given[name], float)

def threshold(p, coverage):
    total = p.sum(axis=1, keepdims=True)
    order = np.sort(p, axis=1)[:, ::-1]
    at = np.argmax(np.cumsum(order / total, axis=1) >= coverage, axis=1)
    return order[np.arange(len(p)), at]

def region(p, coverage):
    return p >= threshold(p, coverage)[:, None]

out = {}
one = a("one").reshape(given["rows"], -1)
other = a("other").reshape(given["rows"], -1)
inside, others = region(one, 0.9), region(other, 0.9)
out["threshold"] = threshold(one, 0.9).tolist()
out["coverage"] = (inside * a("sizes")).sum(axis=1).tolist()
out["overlap"] = ((inside & others).sum(1) / np.minimum(inside.sum(1), others.sum(1))).tolist()
out["divergence"] = entropy(one, other, axis=1).tolist()

# bins of the track as nodes, and junctions between them
nodes, edges, bins = given["nodes"], given["edges"], given["binsOf"]
centres, owner = [], []
bars = nx.Graph()
for e, (u, v) in enumerate(edges):
    u_at, v_at = np.asarray(nodes[u], float), np.asarray(nodes[v], float)
    previous = ("node", u)
    previous_at = u_at
    for k in range(bins[e]):
        at = u_at + (v_at - u_at) * (k + 0.5) / bins[e]
        name = ("bin", len(centres))
        centres.append(at); owner.append(e)
        bars.add_edge(previous, name, distance=np.linalg.norm(at - previous_at))
        previous, previous_at = name, at
    bars.add_edge(previous, ("node", v), distance=np.linalg.norm(v_at - previous_at))
centres = np.asarray(centres)
likeliest = np.argmax(one, axis=1)
out["likeliest"] = likeliest.tolist()
lengths = dict(nx.all_pairs_dijkstra_path_length(bars, weight="distance"))
way = lambda i, j: lengths[("bin", i)][("bin", j)]
rate = given["rate"]
speed = np.array([way(likeliest[0], likeliest[1]) * rate] +
                 [way(i, j) * rate / 2 for i, j in zip(likeliest[:-2], likeliest[2:])] +
                 [way(likeliest[-2], likeliest[-1]) * rate])
out["speed"] = gaussian_filter1d(speed, 0.05 * rate, truncate=8, mode="constant").tolist()

def ahead(position, head, target):
    # project on the nearest segment, then put the animal into the graph
    best = None
    for e, (u, v) in enumerate(edges):
        u_at, v_at = np.asarray(nodes[u], float), np.asarray(nodes[v], float)
        share = np.clip(np.dot(position - u_at, v_at - u_at) / np.dot(v_at - u_at, v_at - u_at), 0, 1)
        at = u_at + share * (v_at - u_at)
        far = np.linalg.norm(position - at)
        if best is None or far < best[0]:
            best = (far, e, at)
    _, e, at = best
    u, v = edges[e]
    towards = np.dot(np.asarray(nodes[v], float) - np.asarray(nodes[u], float), [np.cos(head), np.sin(head)]) >= 0
    front, back = (v, u) if towards else (u, v)
    graph = nx.Graph()
    for (x, y) in edges:
        if {x, y} != {u, v}:
            graph.add_edge(x, y, distance=np.linalg.norm(np.subtract(nodes[x], nodes[y])))
    reach = lambda p, q: np.linalg.norm(np.subtract(p, q))
    ends = {"target": centres[target]}
    if owner[target] == e:
        nearer = reach(centres[target], nodes[front]) < reach(at, nodes[front])
        chain = [front, "target", "head", "animal", back] if nearer else [front, "head", "animal", "target", back]
    else:
        chain = [front, "head", "animal", back]
        for end in edges[owner[target]]:
            graph.add_edge(end, "target", distance=reach(nodes[end], centres[target]))
    place = lambda n: at if n in ("head", "animal") else ends["target"] if n == "target" else nodes[n]
    for x, y in zip(chain[:-1], chain[1:]):
        graph.add_edge(x, y, distance=reach(place(x), place(y)))
    length = nx.dijkstra_path_length(graph, "animal", "target", weight="distance")
    path = nx.dijkstra_path(graph, "animal", "target", weight="distance")
    return length if "head" in path else -length

positions = a("positions").reshape(given["rows"], 2)
out["ahead"] = [ahead(p, h, t) for p, h, t in zip(positions, a("heads"), likeliest)]

# a box, straight
box = a("boxCentres").reshape(-1, 2)[np.argmax(a("box").reshape(given["rows"], -1), axis=1)]
to = box - positions
out["straight"] = (np.where(np.cos(a("heads") - np.arctan2(to[:, 1], to[:, 0])) >= 0, 1, -1) *
                   np.linalg.norm(to, axis=1)).tolist()

# time rescaling
for name, trials in (("all", np.zeros(len(given["intensity"]))), ("trials", a("trials"))):
    uniform = []
    for trial in dict.fromkeys(trials.tolist()):
        own = trials == trial
        integral = cumulative_trapezoid(a("intensity")[own], initial=0.0)
        at = integral[a("spikes")[own] > 0]
        gaps = np.diff(np.concatenate(([0.0], at)))
        most = expon.cdf(integral[-1] - at + gaps) if name == "trials" else 1
        uniform.append(expon.cdf(gaps) / most)
    uniform = np.concatenate(uniform)
    out[name] = uniform.tolist()
    out[name + "_ks"] = float(np.abs(np.sort(uniform) - (np.arange(len(uniform)) + 0.5) / len(uniform)).max())
print(json.dumps(out))
`;

const ROWS = 300;
const random = seeded(12);
/** A stem with a fork, and a loop at its end. */
const track = trackGrid({
  nodes: [[0, 0], [0, 31], [-20, 45], [20, 45], [5, 60]],
  edges: [[0, 1], [1, 2], [1, 3], [3, 4], [4, 2]],
  edgeSpacing: [10, 0, 15, 3],
}, 4);
const width = track.interiorIndex.length;
const probabilities = (grid: Grid) =>
  Float64Array.from({ length: ROWS * grid.interiorIndex.length }, () => random() ** 6);
const of = (grid: Grid, posterior: Float64Array, time?: Float64Array) => ({
  grid,
  posterior: fromTypedArray(posterior, [ROWS, posterior.length / ROWS]),
  ...(time && { time: fromTypedArray(time) }),
});

const rate = 20;
const time = Float64Array.from({ length: ROWS }, (_, row) => (row + 0.5) / rate);
const [first, second] = [probabilities(track), probabilities(track)];
const boxed = boxGrid([9, 12], (x, y) => (x + y) % 5 !== 0);
const inBox = probabilities(boxed);
const positions = Float64Array.from(
  { length: 2 * ROWS },
  (_, i) => (i % 2 ? 60 : 40) * random() - (i % 2 ? 0 : 20),
);
const heads = Float64Array.from({ length: ROWS }, () => 2 * Math.PI * random());
const intensity = Float64Array.from({ length: 5000 }, () => 0.1 * random());
const spikes = intensity.map((expected) => random() < expected ? 1 : 0);
const trials = intensity.map((_, row) => Math.floor(row / 40));

type Wanted = Record<
  | "threshold"
  | "coverage"
  | "overlap"
  | "divergence"
  | "likeliest"
  | "speed"
  | "ahead"
  | "straight"
  | "all"
  | "trials",
  number[]
>;
let wanted: Wanted & Record<"all_ks" | "trials_ks", number>;
let missing: string | undefined;
beforeAll(async () => {
  missing = pythonMissing(MODULES);
  if (missing) return;
  const folder = await mkdtemp(join(tmpdir(), "sluice-analysis-"));
  const [edges] = track.edges as [Float64Array];
  await writeFile(
    join(folder, "given.json"),
    JSON.stringify({
      ...{ rows: ROWS, rate, one: [...first], other: [...second] },
      sizes: Array.from(track.interiorIndex, (bin) => edges[bin + 1]! - edges[bin]!),
      ...{ nodes: track.track!.graph.nodes, edges: track.track!.graph.edges },
      binsOf: track.track!.segments.map(({ bins }) => bins),
      ...{ positions: [...positions], heads: [...heads], box: [...inBox] },
      boxCentres: Array.from(boxed.interiorIndex, (bin) => [
        boxed.centers[0]![Math.floor(bin / 12)]!,
        boxed.centers[1]![bin % 12]!,
      ]).flat(),
      ...{ intensity: [...intensity], spikes: [...spikes], trials: [...trials] },
    }),
  );
  wanted = runPython(SCRIPT, join(folder, "given.json"));
  await rm(folder, { recursive: true });
});

const position = { times: time, values: positions, shape: [ROWS, 2] };

describe("what is told of a posterior, beside numpy", () => {
  it("are the same highest-density regions, their overlap and divergence", async (context) => {
    if (missing) return context.skip(missing);
    const [one, other] = [of(track, first), of(track, second)];
    const { threshold, spatialCoverage } = await highestDensity(one, { coverage: 0.9 });
    expect([...threshold]).toEqual(wanted.threshold);
    expect(largestDifference(spatialCoverage, wanted.coverage)).toBeLessThan(1e-11);
    expect([...await hpdOverlap(one, other, { coverage: 0.9 })]).toEqual(wanted.overlap);
    expect(largestDifference(await klDivergence(one, other), wanted.divergence)).toBeLessThan(
      1e-12,
    );
  });

  it("are the same likeliest places and their speed along a track", async (context) => {
    if (missing) return context.skip(missing);
    const [places] = await mapPosition(of(track, first));
    const centers = Array.from(track.interiorIndex, (bin) => track.centers[0]![bin]!);
    expect([...places!]).toEqual(wanted.likeliest.map((bin) => centers[bin]!));
    expect(centers.length).toBe(width);
    const speed = await mapSpeed(of(track, first, time), { smoothStd: 0.05 });
    expect(largestDifference(speed, wanted.speed)).toBeLessThan(1e-9);
  });

  it("is as far ahead of the animal, or behind, on a track with a loop and in a box", async (context) => {
    if (missing) return context.skip(missing);
    const ahead = await aheadBehind(of(track, first, time), { position, direction: heads });
    expect(largestDifference(ahead, wanted.ahead)).toBeLessThan(1e-9);
    expect(ahead.some((value) => value > 0) && ahead.some((value) => value < 0)).toBe(true);
    const distance = await distanceFromAnimal(of(track, first, time), { position });
    expect(largestDifference(distance, wanted.ahead.map(Math.abs))).toBeLessThan(1e-9);
    const straight = await aheadBehind(of(boxed, inBox, time), { position, direction: heads });
    expect(largestDifference(straight, wanted.straight)).toBeLessThan(1e-9);
  });

  it("are the same rescaled intervals, of one stretch and of short trials", async (context) => {
    if (missing) return context.skip(missing);
    const all = await timeRescaling({ intensity, spikes });
    expect(largestDifference(all.uniformIntervals, wanted.all)).toBeLessThan(1e-12);
    expect(all.ksStatistic).toBeCloseTo(wanted.all_ks, 12);
    const short = await timeRescaling({ intensity, spikes, trials, adjustForShortTrials: true });
    expect(largestDifference(short.uniformIntervals, wanted.trials)).toBeLessThan(1e-12);
    expect(short.ksStatistic).toBeCloseTo(wanted.trials_ks, 12);
  });
});
