import { access, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openArray } from "../../src/array/array.ts";
import { encodeNpy } from "../../src/array/npy.ts";
import { openResult } from "../../src/hmm/decode_result.ts";
import { openStore } from "../../src/store/open_store.ts";
import { VERSION } from "../../src/version.ts";
import { hasAnswered, runCli, writeRecording } from "../support/cli.ts";
import { expectFlatMemory } from "../support/flat_memory.ts";
import { smallRecording } from "../support/recordings.ts";
import { runtime } from "../support/runtime.ts";
import { cases, LEFT_OUT, quick } from "../support/tier.ts";

let folder: string;
let files: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `sluice-cli-${runtime}-`));
  files = await writeRecording(folder, smallRecording({ seconds: 4 }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let outputs = 0;
const fresh = () => join(folder, `out-${outputs++}.zarr`);

const decode = (...extra: string[]) => runCli(["decode", ...files, "--json", "--quiet", ...extra]);

/** Runs a decode that must fail: its exit code, message, and that nothing was written. */
async function refused(extra: string[], code: number, message: RegExp) {
  const out = fresh();
  const run = await decode("--out", out, ...extra);
  const { error } = JSON.parse(run.stdout);
  expect(error.message).toMatch(message);
  expect(run.code).toBe(code);
  await expect(access(out)).rejects.toThrow();
  return error;
}

/** Another file in place of one of the recording's. */
async function replaced(name: string, bytes: Uint8Array): Promise<string[]> {
  const file = join(folder, `bad-${outputs++}.npy`);
  await writeFile(file, bytes);
  return [`--${name}`, file];
}

/** A .npy file whose header says something else of the same length. */
function withHeader(bytes: Uint8Array, said: string, says: string): Uint8Array {
  const text = String.fromCharCode(...bytes.subarray(0, 128)).replace(said, says);
  return Uint8Array.from(bytes, (byte, i) => i < 128 ? text.charCodeAt(i) : byte);
}

describe("sluice", () => {
  it("tells its version, its commands and their options", async () => {
    expect((await runCli(["--version"])).stdout.trim()).toBe(VERSION);
    expect((await runCli(["--help"])).stdout).toMatch(
      /decode .*\n *em .*\n *encode .*\n *export .*\n *info/,
    );
    const help = await runCli(["decode", "--help"]);
    expect(help.code).toBe(0);
    for (const option of ["--spike-times", "--train", "--min-speed", "--budget", "--chunk-rows"]) {
      expect(help.stdout).toContain(option);
    }
  });

  it("takes nothing it does not know", async () => {
    expect((await runCli([])).code).toBe(2);
    const command = await runCli(["bake", "--json"]);
    expect(command.code).toBe(2);
    expect(JSON.parse(command.stdout).error.message).toMatch(
      /"bake": there is no such command, wanted one of acts/,
    );
    expect((await decode("--out", fresh(), "--colour", "red")).code).toBe(2);
  });

  it("info describes the adapter it tested", async () => {
    const { code, stdout } = await runCli(["info", "--json"]);
    expect(code).toBe(0);
    const info = JSON.parse(stdout);
    expect(info.adapter.name).not.toBe("");
    expect(info.limits.maxBufferSize).toBeGreaterThan(0);
    expect(info.memory.totalBytes).toBeGreaterThan(0);
    expect((await runCli(["info"])).stdout).toMatch(/self-test +passed/);
  });

  it("info says how to get an adapter when the one asked for is not there: code 4", async () => {
    const { code, stdout } = await runCli(["info", "--json", "--adapter", "abacus"]);
    expect(code).toBe(4);
    expect(JSON.parse(stdout).error.message).toMatch(/no adapter named "abacus".*driver/s);
  });
});

describe("sluice decode", () => {
  it("prints what contract and progress say, and writes a store", async () => {
    const out = fresh();
    const run = await runCli([
      "decode",
      ...files,
      "--states",
      "contFrag",
      "--causal",
      "--out",
      out,
      "--json",
    ]);
    expect(run.code).toBe(0);
    const summary = JSON.parse(run.stdout);
    expect(summary).toMatchObject({
      rows: 200,
      discreteStates: 2,
      droppedSpikes: expect.any(Number),
    });
    for (const bytes of [summary.projectedBytes, summary.peakBytes]) {
      expect(Object.keys(bytes)).toEqual(["gpu", "host", "disk"]);
    }
    expect(summary.peakBytes.gpu).toBe(summary.projectedBytes.gpu);
    expect(summary.seconds["smooth.compute"]).toBeGreaterThan(0);
    expect(summary.adapter).not.toBe("");
    expect(run.stderr).toMatch(/Plan "decode": 200 rows/);
    expect(run.stderr).toMatch(/smooth \(2\/2\) 100 %/);
    const result = await openResult(out);
    expect(result.marginalLogLikelihood).toBe(summary.marginalLogLikelihood);
    expect(result.posterior.shape).toEqual([200, summary.states]);
    await result.close();
  });

  it("decodes spikes without sorting by their features", async () => {
    const { spikes } = smallRecording({ seconds: 4 });
    const features = Float64Array.from({ length: 2 * spikes.times.length }, (_, i) => i % 17);
    const marks = join(folder, "marks.npy");
    await writeFile(marks, encodeNpy(features, [spikes.times.length, 2]));
    const out = fresh();
    const run = await decode("--out", out, "--marks", marks, "--waveform-std", "3");
    expect(run.stderr).toBe("");
    const { marginalLogLikelihood } = JSON.parse(run.stdout);
    const plain = JSON.parse((await decode("--out", fresh(), "--marks", marks)).stdout);
    expect(marginalLogLikelihood).toBeLessThan(0);
    expect(plain.marginalLogLikelihood).not.toBe(marginalLogLikelihood);
    expect((await decode("--out", fresh(), "--waveform-std", "3")).stdout)
      .toMatch(/--marks is missing/);
  });

  it("takes a model as one document, and makes decodes, paths and samples of it", async () => {
    const { spikes } = smallRecording({ seconds: 4 });
    const marks = join(folder, "model-marks.npy");
    const features = Float64Array.from(spikes.times, (_, i) => i % 17);
    await writeFile(marks, encodeNpy(features, [spikes.times.length, 1]));
    const model = join(folder, "model.json");
    const write = (document: unknown) => writeFile(model, JSON.stringify(document));
    const observations = { waveformStd: 3 };
    await write({ states: { preset: "nonLocal", nonLocalPenalty: 2 }, observations });
    const told = ["--states", "nonLocal", "--non-local-penalty", "2", "--waveform-std", "3"];
    const out = fresh();
    const given = ["--marks", marks];
    const first = await decode(...given, ...told, "--out", out);
    expect(first.stderr).toBe("");
    // the very same plan: nothing is left to be done
    const again = await decode(...given, "--model", model, "--out", out);
    expect(JSON.parse(again.stdout).seconds.total).toBeUndefined();
    for (const command of ["viterbi", "samples"].slice(0, cases(1, 2))) {
      const run = await runCli([
        ...[command, ...files, "--json", "--quiet", ...given, "--model", model],
        ...["--out", fresh()],
      ]);
      expect(run.stderr).toBe("");
      expect(JSON.parse(run.stdout).rows).toBe(JSON.parse(first.stdout).rows);
    }
    const withModel = ["--model", model, ...given];
    await refused(
      [...withModel, "--states", "contFrag"],
      2,
      /--model says it all, wanted no --states/,
    );
    await refused([...withModel, "--waveform-std", "3"], 2, /--model says it already, wanted no/);
    await write({ states: { preset: "local" } });
    await refused(withModel, 2, /preset is "local", wanted continuous, contFrag, noSpikeContFrag/);
    await write({ state: {} });
    await refused(withModel, 2, /it has "state", wanted states, initialProbs, observations/);
    await write({ states: { preset: "contFrag", movementVariance: 1 } });
    await refused(withModel, 2, /movementVariance/);
  });

  it("takes environments and groups from a document", async () => {
    const model = join(folder, "environments.json");
    const environments = [
      { name: "a", intervals: [[0, 2]], binSize: 10 },
      { name: "b", intervals: [[2.001, 4]], grid: { edges: [[0, 20, 40]] } },
    ];
    const groups = [{ name: "all", intervals: [[0, 4]] }];
    const states = { preset: "multiEnvironment", environments: ["a", "b"] };
    const write = (observations: object) =>
      writeFile(model, JSON.stringify({ states, observations: { environments, ...observations } }));
    const inputs = files.slice(files.indexOf("--spike-times"));
    const path = (...extra: string[]) =>
      runCli([
        ...["viterbi", ...inputs, "--model", model, "--step", "0.1", "--json", "--quiet"],
        ...["--out", fresh(), ...extra],
      ]);
    await write({ groups });
    const found = JSON.parse((await path()).stdout);
    expect(found).toMatchObject({ rows: 40, impossibleRows: 0 });
    await write({ binSize: 3 });
    expect(JSON.parse((await path()).stdout).error.message).toMatch(/there is no option "binSize"/);
    await write({ groups: [{ name: "all" }] });
    expect(JSON.parse((await path()).stdout).error.message).toMatch(/intervals is missing/);
  });

  it("encodes what a document says, of several environments too, and decodes by that", async () => {
    const { spikes } = smallRecording({ seconds: 4 });
    const marks = join(folder, "environment-marks.npy");
    const features = Float64Array.from(spikes.times, (_, i) => i % 17);
    await writeFile(marks, encodeNpy(features, [spikes.times.length, 1]));
    const [model, own] = [join(folder, "whole.json"), join(folder, "states.json")];
    const environments = [
      // touching, but on no sample
      { name: "a", intervals: [[0, 2.01]], binSize: 10 },
      { name: "b", intervals: [[2.01, 4.1]], grid: { edges: [[0, 10, 20, 30, 40]] } },
    ];
    const states = { preset: "multiEnvironment", environments: ["a", "b"], movementVar: 110 };
    const inputs = [...files.slice(files.indexOf("--spike-times")), "--json", "--quiet"];
    const rows = ["--step", "0.1", "--start", "0", "--stop", "4", "--no-posterior"];
    const run = async (command: string, ...extra: string[]) => {
      const { stdout, stderr } = await runCli([command, ...inputs, ...extra]);
      expect(stderr).toBe("");
      return JSON.parse(stdout);
    };
    await writeFile(own, JSON.stringify({ states }));
    const given = ["--marks", marks];
    const observations = { environments, waveformStd: 5 };
    await writeFile(model, JSON.stringify({ states, observations }));
    const told = [...given, "--model", model];
    const whole = await run("decode", ...told, ...rows, "--out", fresh());
    const encoding = fresh();
    expect(await run("encode", ...told, "--out", encoding)).toMatchObject({
      ...{ units: 6, spikes: whole.encoding.spikes },
      environments: [{ name: "a" }, { name: "b", shape: [4] }],
    });
    const by = [...given, "--encoding", encoding, ...rows, "--out", fresh()];
    const again = await run("decode", ...by, "--model", own);
    expect(again.marginalLogLikelihood).toBe(whole.marginalLogLikelihood);
    const twice = await runCli(["decode", ...inputs, ...by, "--model", model]);
    expect(JSON.parse(twice.stdout).error.message)
      .toBe("Cannot run: --encoding has it all, wanted no observations of --model beside it");
    const none = await runCli(["decode", ...inputs, ...by]);
    expect(JSON.parse(none.stdout).error.message).toMatch(
      /states do not say in which environment/,
    );
    // of one place, by a document or by flags
    await writeFile(
      model,
      JSON.stringify({
        states: { preset: "contFrag", movementVar: 20 },
        observations: { binSize: 6 },
      }),
    );
    const out = fresh();
    await run("encode", "--model", model, "--out", out);
    await run("encode", "--bin-size", "6", "--out", out);
    const doubled = ["encode", ...inputs, "--model", model, "--bin-size", "6", "--out", out];
    expect(JSON.parse((await runCli(doubled)).stdout).error.message)
      .toMatch(/--model says it already, wanted no --bin-size/);
  });

  it("decodes log-likelihoods by a matrix, without a recording", async () => {
    const own = join(folder, "own");
    await mkdir(own, { recursive: true });
    const write = async (name: string, values: number[], shape: number[]) => {
      const file = join(own, `${name}.npy`);
      await writeFile(file, encodeNpy(Float64Array.from(values), shape));
      return file;
    };
    const ll = await write("ll", [0, -1, -2, -Infinity, 0, -1], [3, 2]);
    const matrix = await write("matrix", [0.9, 0.1, 0.2, 0.8], [2, 2]);
    const initial = await write("initial", [0.25, 0.75], [2]);
    const out = fresh();
    const ours = ["decode", "--log-likelihoods", ll, "--json", "--quiet"];
    const run = await runCli([
      ...[...ours, "--transition-matrix", matrix, "--initial-probs", initial],
      ...["--rate", "10", "--out", out],
    ]);
    expect(run.stderr).toBe("");
    const e = Math.exp;
    const first = [0.25, 0.75 * e(-1)];
    const second = (first[0]! * 0.9 + first[1]! * 0.2) * e(-2);
    const evidence = second * (0.9 + 0.1 * e(-1));
    expect(JSON.parse(run.stdout).marginalLogLikelihood).toBeCloseTo(Math.log(evidence), 6);
    const result = await openResult(out);
    const smoothed = await result.posterior.read(2, 3) as Float32Array;
    expect(smoothed[0]).toBeCloseTo(0.9 / (0.9 + 0.1 * e(-1)), 6);
    await result.close();
    const path = fresh();
    const grid = join(own, "grid.json");
    await writeFile(grid, JSON.stringify({ edges: [[10, 20, 30]] }));
    const found = await runCli([
      ...["viterbi", "--log-likelihoods", ll, "--transition-matrix", matrix, "--grid", grid],
      ...["--initial-probs", initial, "--rate", "10", "--out", path, "--json", "--quiet"],
    ]);
    expect(found.stderr).toBe("");
    const best = Math.log(0.75 * e(-1) * 0.2 * e(-2) * 0.9);
    const other = Math.log(0.25 * 0.9 * e(-2) * 0.9);
    expect(JSON.parse(found.stdout).logProbability).toBeCloseTo(Math.max(best, other), 8);
    const store = await openStore(path);
    expect(await store.size("/path_state_bin/zarr.json")).toBeGreaterThan(0);
    await store.close();
    const positions = await openArray(`${path}/path_position`);
    expect(await positions.read(0, 3)).toEqual(Float64Array.of(15, 15, 15));
    await positions.close();
    await writeFile(grid, JSON.stringify({ edges: [[10, 20, 30, 40]] }));
    const model = join(own, "model.json");
    const document = { states: { preset: "continuous" }, initialProbs: [0.5, 0.5] };
    await writeFile(model, JSON.stringify(document));
    for (
      const [extra, told] of [
        [["--model", model, "--initial-probs", initial], /says it already, wanted no --initial-pr/],
        [["--transition-matrix", matrix, "--grid", grid], /log-likelihoods of 2 bins, wanted 3/],
        [["--bin-size", "3"], /--bin-size is for recordings/],
        [
          ["--transition-matrix", matrix, "--states", "contFrag"],
          /--transition-matrix says it all/,
        ],
      ] as const
    ) {
      const wrong = await runCli([...ours, "--out", fresh(), ...extra]);
      expect(wrong.code).toBe(2);
      expect(JSON.parse(wrong.stdout).error.message).toMatch(told);
    }
    expect((await decode("--out", fresh(), "--transition-matrix", matrix)).stdout)
      .toMatch(/--log-likelihoods is missing/);
  });

  it("encodes once, and decodes by that without a position", async () => {
    const encoding = fresh();
    const flags = ["--bin-size", "6", "--position-std", "3", "--train", "0:2"];
    const inputs = files.slice(files.indexOf("--spike-times"));
    const [spikes, position] = [inputs.slice(0, 4), inputs.slice(4)];
    const found = await runCli(["encode", ...inputs, ...flags, "--out", encoding, "--json"]);
    expect(JSON.parse(found.stdout)).toMatchObject({ units: 6, gridShape: [7] });
    const rows = ["--step", "0.02", "--start", "1", "--stop", "3", "--json", "--quiet"];
    const whole = await runCli(["decode", ...inputs, ...flags, ...rows, "--out", fresh()]);
    const again = ["decode", "--encoding", encoding, ...rows];
    const alone = await runCli([...again, ...spikes, "--out", fresh()]);
    const [one, other] = [whole, alone].map(({ stdout }) => JSON.parse(stdout));
    expect(other.marginalLogLikelihood).toBe(one.marginalLogLikelihood);
    expect(other.encoding).toEqual(one.encoding);
    for (
      const [extra, told] of [
        [["--bin-size", "3"], /--encoding has it all, wanted no --bin-size/],
        [position.slice(0, 2), /--position is missing/],
        [["--intervals", "0:2"], /Cannot use the intervals: there is no position/],
      ] as const
    ) {
      const wrong = await runCli([...again, ...spikes, ...extra, "--out", fresh()]);
      expect(JSON.parse(wrong.stdout).error.message).toMatch(told);
      expect(wrong.code).toBe(2);
    }
  });

  it("takes bins of a file in place of their size", async () => {
    const grid = join(folder, "grid.json");
    await writeFile(grid, JSON.stringify({ edges: [[0, 10, 20, 30, 40]], interior: [1, 1, 0, 1] }));
    const inputs = files.slice(files.indexOf("--spike-times"));
    const encode = (...extra: string[]) =>
      runCli(["encode", ...inputs, "--out", fresh(), "--json", ...extra]);
    expect(JSON.parse((await encode("--grid", grid)).stdout)).toMatchObject({
      ...{ bins: 3, gridShape: [4] },
    });
    const knots = ["--place-fields", "glm", "--knot-spacing", "8"];
    expect(JSON.parse((await encode("--grid", grid, ...knots)).stdout)).toMatchObject({ bins: 3 });
    const unused = await encode("--grid", grid, "--knot-spacing", "8");
    expect(JSON.parse(unused.stdout).error.message).toMatch(/knotSpacing is for placeFields "glm"/);
    const twice = await encode("--grid", grid, "--bin-size", "3");
    expect(JSON.parse(twice.stdout).error.message).toMatch(/binSize is given, and so is grid/);
    await writeFile(grid, JSON.stringify({ edges: [[0, 1]], centers: [] }));
    const other = await encode("--grid", grid);
    expect(JSON.parse(other.stdout).error.message).toMatch(
      /it has "centers", wanted edges, interior/,
    );
  });

  it("encodes spikes without sorting on a track of a file, and decodes by that as it did at once", async () => {
    const { position, spikes } = smallRecording({ seconds: 2, dimensions: 2, units: 3 });
    const write = async (name: string, values: Float64Array | Uint32Array, shape?: number[]) => {
      const file = join(folder, `track-${name}.npy`);
      await writeFile(file, encodeNpy(values, shape));
      return file;
    };
    const features = Float64Array.from(spikes.units, (unit, i) => 50 * unit + i % 7);
    const marked = [
      ...["--spike-times", await write("times", spikes.times)],
      ...["--spike-units", await write("units", spikes.units.map(() => 0))],
      ...["--marks", await write("marks", features, [features.length, 1])],
    ];
    const track = join(folder, "track.json");
    const graph = { nodes: [[2, 2], [38, 2], [38, 38]], edges: [[0, 1], [1, 2]], edgeSpacing: 5 };
    await writeFile(track, JSON.stringify(graph));
    const learnt = [
      ...["--position-times", await write("stamps", position.times)],
      ...["--position", await write("xy", position.values, [position.times.length, 2])],
      ...["--bin-size", "6", "--track-graph", track, "--waveform-std", "5", "--json", "--quiet"],
    ];
    const encoding = fresh();
    const found = await runCli(["encode", ...marked, ...learnt, "--out", encoding]);
    // six bins on each of two ways, and one between them
    expect(JSON.parse(found.stdout)).toMatchObject({ units: 1, bins: 12, gridShape: [13] });
    const rows = ["--step", "0.1", "--start", "0", "--stop", "2", "--json", "--quiet"];
    const whole = await runCli([
      "decode",
      ...marked,
      ...learnt,
      ...rows.slice(0, 6),
      "--out",
      fresh(),
    ]);
    const again = ["decode", ...marked, "--encoding", encoding, ...rows];
    const alone = await runCli([...again, "--out", fresh()]);
    const [one, other] = [whole, alone].map(({ stdout }) => JSON.parse(stdout));
    expect(one.states).toBe(12);
    expect(other.marginalLogLikelihood).toBe(one.marginalLogLikelihood);
    await writeFile(track, JSON.stringify({ ...graph, colour: "red" }));
    const wrong = await runCli(["encode", ...marked, ...learnt, "--out", fresh()]);
    expect(wrong.stdout).toMatch(
      /it has \\"colour\\", wanted nodes, edges, edgeOrder, edgeSpacing/,
    );
  });

  it("fits parameters, prints them, and decodes by them", async () => {
    const folder = fresh();
    await mkdir(folder);
    const ll = join(folder, "ll.npy");
    const values = Float64Array.from({ length: 40 * 3 }, (_, i) => -((7 * i) % 5) / 2);
    await writeFile(ll, encodeNpy(values, [40, 3]));
    const rows = ["--log-likelihoods", ll, "--rate", "10", "--json", "--quiet"];
    const out = fresh();
    const found = await runCli([
      ...["em", ...rows, "--states", "contFrag", "--movement-var", "1", "--max-iterations", "2"],
      ...["--tolerance", "1e-9", "--out", out],
    ]);
    const { logLikelihoods, discreteTransition, warnings } = JSON.parse(found.stdout);
    expect(logLikelihoods).toHaveLength(3);
    expect(logLikelihoods[2]).toBeGreaterThan(logLikelihoods[0]);
    expect(discreteTransition[0][0] + discreteTransition[0][1]).toBeCloseTo(1, 12);
    expect(warnings.join()).toMatch(/still changed after 2 updates/);
    const decoded = await runCli(["decode", ...rows, "--parameters", out, "--out", fresh()]);
    expect(JSON.parse(decoded.stdout).marginalLogLikelihood).toBe(logLikelihoods[2]);
    const edges = join(folder, "edges.npy");
    await writeFile(edges, encodeNpy(Float64Array.from({ length: 41 }, (_, i) => i / 10), [41]));
    const byEdges = ["decode", "--log-likelihoods", ll, "--time-edges", edges, "--json", "--quiet"];
    const again = await runCli([...byEdges, "--parameters", out, "--out", fresh()]);
    expect(JSON.parse(again.stdout).marginalLogLikelihood).toBe(logLikelihoods[2]);
    for (
      const [extra, told] of [
        [["--rate", "10", "--time-edges", edges], /timeEdges say which rows there are, and time/],
        [["--states", "contFrag"], /--parameters says it all, wanted no --states/],
        [["--rate", "20"], /fitted to rows of 0.1 s, and these last 0.05 s/],
      ] as const
    ) {
      const other = [...rows.slice(0, 2), ...extra, "--json"];
      const wrong = await runCli(["decode", ...other, "--parameters", out, "--out", fresh()]);
      expect(JSON.parse(wrong.stdout).error.message).toMatch(told);
      expect(wrong.code).toBe(2);
    }
  });

  it("returns a finished decode, refuses another plan's place (5), overwrites when told", async () => {
    const out = fresh();
    expect((await decode("--out", out)).code).toBe(0);
    const again = await decode("--out", out);
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout).seconds).toEqual({});
    const before = await readFile(join(out, "zarr.json"), "utf8");
    const other = await decode("--out", out, "--stop", "2");
    expect(other.code).toBe(5);
    expect(JSON.parse(other.stdout).error).toMatchObject({ name: "OutputConflictError" });
    expect(await readFile(join(out, "zarr.json"), "utf8")).toBe(before);
    const replacedRun = await decode("--out", out, "--stop", "2", "--overwrite");
    expect(JSON.parse(replacedRun.stdout).rows).toBe(100);
  });

  it("decodes a single row", async () => {
    const run = await decode("--out", fresh(), "--start", "1", "--stop", "1.02");
    expect(JSON.parse(run.stdout)).toMatchObject({ rows: 1 });
    expect(run.code).toBe(0);
  });

  it("reads zarr arrays as well as .npy", async () => {
    const { writeArray, writeGroup } = await import("../../src/zarr/group_writer.ts");
    const place = join(folder, "inputs.zarr");
    const store = await openStore(place, { mode: "write" });
    const { spikes } = smallRecording({ seconds: 4 });
    const spec = {
      name: "spike_times",
      shape: [spikes.times.length],
      chunkShape: [100],
      dtype: "float64",
      dims: ["spike"],
    } as const;
    await writeGroup(store, { attributes: {}, arrays: [spec] });
    await writeArray(store, spec, spikes.times);
    const run = await decode("--out", fresh(), "--spike-times", join(place, "spike_times"));
    expect(run.code).toBe(0);
    const plain = await decode("--out", fresh());
    expect(JSON.parse(run.stdout).marginalLogLikelihood)
      .toBe(JSON.parse(plain.stdout).marginalLogLikelihood);
  });

  it("stops on SIGINT with code 130, and goes on when the command is given again", async () => {
    const out = fresh();
    const args = ["decode", ...files, "--tile-rows", "2", "--chunk-rows", "2", "--out", out];
    const run = await runCli(args, { stopAt: /smooth \(2\/2\)/, onStop: (kill) => kill("SIGINT") });
    hasAnswered(run);
    expect(run.stderr).toMatch(/run the same command again to go on/);
    await expect(openResult(out)).rejects.toThrow(/has not finished/);
    const between = await runCli(["check", out, "--json"]);
    expect(between.code).toBe(1);
    expect(JSON.parse(between.stdout).advice).toMatch(/goes on in pass "(filter|smooth)" at row/);
    const again = await runCli(args);
    expect(again.code).toBe(0);
    expect(again.stdout).toMatch(/went on in pass "(filter|smooth)" at row/);
    const whole = await runCli(["check", out]);
    expect(whole.stdout).toMatch(/acausal_posterior +\d+ +\d+ *\n/);
    expect(whole.stdout).toMatch(/whole: every chunk is there/);
    expect(whole.code).toBe(0);
  });

  it("check names a damaged file, and a place without a store", async () => {
    const out = fresh();
    expect((await decode("--out", out, "--shard-chunks", "2", "--chunk-rows", "50")).code).toBe(0);
    const file = join(out, "acausal_posterior/c/0/0");
    const bytes = await readFile(file);
    bytes[10]! ^= 1;
    await writeFile(file, bytes);
    const run = await runCli(["check", out]);
    expect(run.code).toBe(2);
    expect(run.stdout).toMatch(
      /acausal_posterior\/c\/0\/0": its chunk \d does not match its checksum/,
    );
    expect((await runCli(["check", fresh()])).code).toBe(2);
    expect((await runCli(["check"])).code).toBe(2);
  });
});

describe("bad input gets a clear error before any work:", () => {
  it("spike times that are NaN", async () => {
    const units = await replaced("spike-units", encodeNpy(Uint8Array.of(0, 1)));
    const unknown = await replaced("spike-times", encodeNpy(Float64Array.of(1, NaN)));
    await refused([...unknown, ...units], 2, /spike times: entry 1 is NaN/);
  });

  it("units out of range", async () => {
    const times = await replaced("spike-times", encodeNpy(Float64Array.of(1)));
    const units = await replaced("spike-units", encodeNpy(Int32Array.of(-3)));
    await refused([...times, ...units], 2, /spike 0 has unit -3/);
  });

  it("position and time of different lengths", async () => {
    const position = await replaced("position", encodeNpy(Float64Array.of(1, 2, 3)));
    await refused(position, 2, /201 times and 3 values/);
  });

  it("a bin size that gives no interior bins, or more than fit the budget", async () => {
    await refused(["--bin-size", "0"], 2, /--bin-size is 0, wanted a number above 0/);
    await refused(["--bin-size=-1"], 2, /--bin-size is -1/);
    const fine = ["--bin-size", "0.01", "--movement-var", "0.01", "--budget", "96KiB"];
    const over = await refused(fine, 3, /the budget is 96/);
    expect(over.name).toBe("BudgetError");
  });

  it("a budget too small: both numbers, and the smallest that works", async () => {
    const error = await refused(["--budget", "10000"], 3, /the budget is .*10000 B.*smallest/s);
    expect(error.budgetBytes).toBe(10_000);
    expect(error.projectedBytes).toBeGreaterThan(10_000);
    const enough = await decode("--out", fresh(), "--budget", String(error.smallestBudgetBytes));
    expect(enough.code).toBe(0);
    await refused(["--budget", String(error.smallestBudgetBytes - 1)], 3, /smallest/);
    await refused(["--budget", "plenty"], 2, /budget is "plenty", wanted bytes/);
  });

  it("a place that cannot be written", async () => {
    const file = join(folder, "a-file");
    await writeFile(file, "x");
    const run = await decode("--out", join(file, "out.zarr"));
    expect(run.code).toBe(6);
    expect(JSON.parse(run.stdout).error.message).toContain("a-file");
    expect(await readFile(file, "utf8")).toBe("x");
  });

  it("a folder with something else in it", async () => {
    const place = join(folder, "thesis");
    await mkdir(place);
    await writeFile(join(place, "chapter.tex"), "x");
    const run = await decode("--out", place, "--overwrite");
    expect(run.code).toBe(5);
    expect(await readFile(join(place, "chapter.tex"), "utf8")).toBe("x");
  });

  it("a .npy that is missing or cut short", async () => {
    const whole = encodeNpy(Float64Array.of(1, 2, 3));
    const short = await replaced("spike-times", whole.subarray(0, whole.length - 5));
    await refused(short, 2, /cut short|bytes/);
    await refused(["--spike-times", join(folder, "nothing.npy")], 2, /nothing\.npy/);
  });

  it("a zarr array with an unknown codec", async () => {
    const place = join(folder, "odd.zarr");
    await mkdir(place, { recursive: true });
    await writeFile(
      join(place, "zarr.json"),
      JSON.stringify({
        zarr_format: 3,
        node_type: "array",
        shape: [4],
        data_type: "float64",
        chunk_grid: { name: "regular", configuration: { chunk_shape: [4] } },
        chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
        fill_value: 0,
        codecs: [{ name: "bytes", configuration: { endian: "little" } }, { name: "origami" }],
        attributes: {},
      }),
    );
    await refused(["--spike-times", place], 2, /origami/);
  });

  it("a missing option, a preset nobody knows, intervals that are none", async () => {
    await refused(["--states", "wandering"], 2, /wanted one of continuous, contFrag/);
    await refused(["--train", "5:3"], 2, /wanted start:stop/);
    await refused(["--step", "fast"], 2, /--step: got "fast"/);
    await refused(["--rate", "50"], 2, /rate is 50 Hz and step 0.02 s, wanted one of them/);
    await refused(
      ["--time-grid", "bins"],
      2,
      /--time-grid is "bins", wanted one of edges, timestamps/,
    );
    await refused(["--missing", "1:2,lost"], 2, /--missing: got "lost"/);
    await refused(["--intervals", "0:1,0.5:2"], 2, /interval 1 starts at 0.5 s/);
    await refused(["--start", "3", "--stop", "2"], 2, /start is 3 s and stop 2 s/);
    const run = await runCli(["decode", "--json"]);
    expect(run.code).toBe(2);
  });
});

describe("clocks and rows:", () => {
  const { position, spikes } = smallRecording({ seconds: 4 });

  /** Sum of a decode's exit and what it says, JSON apart. */
  async function run(...extra: string[]) {
    const out = fresh();
    const { code, stdout, stderr } = await decode("--out", out, ...extra);
    return { code, said: JSON.parse(stdout), stderr, out };
  }

  it("spike times in samples are refused with the option that reads them", async () => {
    const samples = await replaced(
      "spike-times",
      encodeNpy(BigInt64Array.from(spikes.times, (time) => BigInt(Math.round(30_000 * time)))),
    );
    await refused(samples, 2, /whole numbers.*|outside.*--spike-rate 30000/);
    const read = await run(...samples, "--spike-rate", "30000");
    expect(read.code).toBe(0);
    expect(read.said.warnings).toEqual([]);
  });

  it("a unix clock beside one from 0 is refused with the offset, which mends it", async () => {
    const unix = await replaced(
      "position-times",
      encodeNpy(position.times.map((time) => 1.6e9 + time)),
    );
    await refused(unix, 2, /from 1600000000 to 1600000004 s.*--time-offset=1600000000/);
    const plain = await run("--causal");
    const read = await run(...unix, "--time-offset=1600000000", "--causal");
    expect(read.said.rows).toBe(plain.said.rows);
    // spikes may round to the other side of an edge
    expect(Math.abs(read.said.marginalLogLikelihood - plain.said.marginalLogLikelihood))
      .toBeLessThan(0.1);
  });

  it("microseconds are refused before rows are laid, and read when told", async () => {
    const micro = [
      ...await replaced(
        "position-times",
        encodeNpy(BigInt64Array.from(position.times, (time) => BigInt(Math.round(1e6 * time)))),
      ),
      ...await replaced(
        "spike-times",
        encodeNpy(spikes.times.map((time) => Math.round(1e6 * time))),
      ),
    ];
    await refused(micro, 2, /every 20000 s.*--time-rate 1000000/);
    expect((await run(...micro, "--time-rate", "1e6")).said.rows).toBe(200);
  });

  it("stamps in 32 bits around the unix clock are refused, in 16 bits anywhere", async () => {
    const singles = await replaced(
      "position-times",
      encodeNpy(Float32Array.from(position.times, (time) => 1.6e9 + time)),
    );
    await refused(singles, 2, /stored 128 s apart/);
    const late = await replaced(
      "spike-times",
      encodeNpy(Float32Array.from(spikes.times)),
    );
    await refused([...late, "--step", "0.00001"], 2, /rows of at least 0\.0000\d+ s/);
    const halves = withHeader(encodeNpy(new Uint16Array(spikes.times.length)), "<u2", "<f2");
    await refused(
      await replaced("spike-times", halves),
      2,
      /numbers have 16 bits, wanted 32 or 64/,
    );
  });

  it("position on its side is refused, in Fortran order it is read", async () => {
    const flat = smallRecording({ seconds: 4, dimensions: 2 }).position.values;
    const samples = position.times.length;
    const columns = Float64Array.from(
      { length: 2 * samples },
      (_, i) => flat[2 * (i % samples) + Math.floor(i / samples)]!,
    );
    await refused(
      await replaced("position", encodeNpy(columns, [2, samples])),
      2,
      /shape is \[2, 201\] for 201 times.*transpose it/,
    );
    const bytes = withHeader(encodeNpy(columns, [samples, 2]), "False", "True ");
    const plain = await run(...await replaced("position", encodeNpy(flat, [samples, 2])));
    const fortran = await run(...await replaced("position", bytes));
    expect(fortran.said.marginalLogLikelihood).toBe(plain.said.marginalLogLikelihood);
  });

  it("spikes out of order are sorted, and that is said even to those who want quiet", async () => {
    const turned = [
      ...await replaced("spike-times", encodeNpy(spikes.times.toReversed())),
      ...await replaced(
        "spike-units",
        encodeNpy(Float64Array.from(spikes.units.toReversed(), (unit) => 9e8 + unit)),
      ),
    ];
    const { said, stderr } = await run(...turned);
    expect(said.warnings).toEqual(["spike times were not ascending, and were sorted"]);
    expect(stderr).toBe("warning: spike times were not ascending, and were sorted\n");
    expect(said.unitIds).toEqual([0, 1, 2, 3, 4, 5].map((unit) => 9e8 + unit));
    const plain = await run();
    expect(said.marginalLogLikelihood).toBe(plain.said.marginalLogLikelihood);
    expect(plain.stderr).toBe("");
    const loud = await runCli(["decode", ...files, ...turned, "--out", fresh()]);
    expect(loud.stderr.match(/warning: spike times/g)).toEqual(["warning: spike times"]);
  });

  it("rows are set by --rate, --time-grid and --missing, and tracking by --intervals", async () => {
    const noStep = files.filter((word, i) => word !== "--step" && files[i - 1] !== "--step");
    const out = fresh();
    const rated = await runCli([
      "decode",
      ...noStep,
      "--rate",
      "10",
      "--json",
      "--quiet",
      "--out",
      out,
    ]);
    expect(JSON.parse(rated.stdout).rows).toBe(40);
    const stamps = await run("--time-grid", "timestamps");
    expect(stamps.said.rows).toBe(201);
    const tracked = await run("--intervals", "0:1.5,2:4", "--missing", "3:3.5,untracked");
    expect(tracked.said.encoding).toMatchObject({
      exposureSeconds: expect.closeTo(3.5, 9),
      intervals: [[0, 1.5], [2, 4]],
      mergedStamps: 0,
    });
    const { openArray, readAll } = await import("../../src/array/array.ts");
    const missing = await readAll(await openArray(join(tracked.out, "is_missing"))) as Uint8Array;
    expect([...missing]).toEqual(
      Array.from(
        { length: 200 },
        (_, row) => (row >= 75 && row < 100) || (row >= 150 && row < 175) ? 1 : 0,
      ),
    );
  });
});

describe("memory", () => {
  it("stays flat when the recording is repeated 10 times", async (context) => {
    if (quick) context.skip(LEFT_OUT);
    if (runtime === "deno") context.skip("Deno's is measured by npm run test:long");
    await expectFlatMemory();
  });
});
