import { describe, expect, it } from "vitest";
import { fromTypedArray, readAll } from "../../src/array/array.ts";
import type { LogLikelihoodViterbiOptions, StateModel } from "../../src/hmm/decoder.ts";
import {
  contFrag,
  continuous,
  logLikelihoods,
  sortedSpikes,
  stateModel,
} from "../../src/hmm/decoder.ts";
import type { Grid } from "../../src/hmm/grid.ts";
import { LogLikelihoodRows } from "../../src/hmm/observation/log_likelihoods.ts";
import { planPath } from "../../src/hmm/plan_decode.ts";
import { rateTable } from "../../src/hmm/sorted_spikes.ts";
import { binSpikes, timeGrid } from "../../src/hmm/time_grid.ts";
import { Journal } from "../../src/store/journal.ts";
import { logInitialOf, logPoisson, logTransitionOf } from "../reference/log_space.ts";
import type { LikeliestPath, PathProblem } from "../reference/viterbi.ts";
import { likeliestByEnumeration, viterbi } from "../reference/viterbi.ts";
import { useGpu } from "../support/gpu.ts";
import { boxGrid, mixedStates } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { smallRecording } from "../support/recordings.ts";
import { sharedDataMissing, sharedJson } from "../support/shared_data.ts";
import { contents } from "../support/small_decode.ts";
import { cases, quick } from "../support/tier.ts";

const gpu = useGpu();
const NO = -Infinity;

let places = 0;
const place = () => `memory:viterbi-test-${places++}`;

/** Some of few values, so that many paths are as likely, and some that are impossible. */
function fewLogs(length: number, seed: number): Float64Array {
  const random = seeded(seed);
  return Float64Array.from({ length }, () => [0, -1, -1, -2.5, NO][Math.floor(5 * random())]!);
}

function someLogs(length: number, seed: number): Float64Array {
  const random = seeded(seed);
  return Float64Array.from({ length }, () => random() < 0.05 ? NO : -8 * random());
}

interface Problem extends PathProblem {
  states: StateModel;
  grid?: Grid;
  initialProbs?: Float64Array;
}

const planOf = (
  { states, grid, initialProbs, logLikelihoods: logs, logInitial }: Problem,
  options: LogLikelihoodViterbiOptions = {},
) =>
  logLikelihoods({
    logLikelihoods: fromTypedArray(logs, [logs.length / logInitial.length, logInitial.length]),
    states,
    ...(grid && { grid }),
    ...(initialProbs && { initialProbs }),
  }).viterbi(gpu(), options);

async function pathOf(problem: Problem, options?: LogLikelihoodViterbiOptions) {
  const result = await planOf(problem, options).run();
  const path = await readAll(result.stateBins) as Int32Array;
  await result.close();
  return { ...result, path };
}

async function expectPath(
  problem: Problem,
  wanted: LikeliestPath,
  options?: LogLikelihoodViterbiOptions,
) {
  const { path, logProbability } = await pathOf(problem, options);
  expect([...path]).toEqual([...wanted.path]);
  expect(logProbability / wanted.logProbability).toBeCloseTo(1, 9);
}

const one = (values: number[]): StateModel =>
  stateModel({
    names: ["all"],
    initial: [1],
    discreteTransition: [[1]],
    transitions: [[{ kind: "matrix", values }]],
  });

const modelOf = (states: StateModel, grid: Grid) => ({
  states,
  grid,
  logInitial: logInitialOf(grid, states),
  logTransition: logTransitionOf(grid, states),
});

/** Every kind of transition, and more. */
function problems(rows: number): Record<string, Problem> {
  const line = boxGrid([9]);
  const ring = boxGrid([5, 6], (x, y) => !(x === 2 && y > 1 && y < 4));
  const fixed = stateModel({
    names: ["still"],
    initial: [1],
    discreteTransition: [[1]],
    transitions: [[{ kind: "identity" }]],
  });
  const anywhere = stateModel({
    ...fixed,
    names: ["anywhere"],
    transitions: [[{ kind: "uniform" }]],
  });
  const random = seeded(5);
  const sparse = Array.from(
    { length: 81 },
    (_, i) => i % 10 === 0 || random() < 0.2 ? random() : 0,
  );
  const rowsOf = sparse.map((value, i) => {
    const first = i - i % 9;
    return value / sparse.slice(first, first + 9).reduce((sum, other) => sum + other, 0);
  });
  const dense = Array.from({ length: 9 }, (_, row) => {
    const own = Array.from({ length: 9 }, (_, i) => 1 + (row * i) % 4);
    const sum = own.reduce((total, value) => total + value, 0);
    return own.map((value) => value / sum);
  }).flat();
  const models: Record<string, Omit<Problem, "logLikelihoods">> = {
    "a random walk": modelOf(continuous({ movementVar: 1 }), line),
    "a random walk in a box with a hole": modelOf(continuous({ movementVar: 0.7 }), ring),
    "a walk and jumps": modelOf(contFrag({ movementVar: 2 }), ring),
    "three states of every kind": modelOf(mixedStates(), line),
    "a bin that is never left": modelOf(fixed, line),
    "jumps alone": modelOf(anywhere, line),
    "a sparse matrix": modelOf(one(rowsOf), line),
    "a dense matrix": modelOf(one(dense), line),
  };
  return Object.fromEntries(
    Object.entries(models).map(([name, model], i) => {
      const length = rows * model.logInitial.length;
      const logs = i % 2 === 0 ? fewLogs(length, 40 + i) : someLogs(length, 40 + i);
      // one bin that is always possible, lest none leads on
      for (let row = 0; row < rows; row++) {
        const at = row * model.logInitial.length;
        for (const bin of name.includes("matrix") ? model.logInitial.keys() : [4]) {
          if (logs[at + bin] === NO) logs[at + bin] = -3;
        }
      }
      return [name, { ...model, logLikelihoods: logs }];
    }),
  );
}

describe("viterbi()", () => {
  it("finds the path that enumeration of all paths finds, the first of equals", async () => {
    for (let seed = 0; seed < cases(3, 40); seed++) {
      const random = seeded(100 + seed);
      const matrix = [0.5, 0.25, 0.25, 0.25, 0.5, 0.25, seed % 2, 1 - seed % 2, 0];
      const initialProbs = seed % 3 === 0 ? [1 / 3, 1 / 3, 1 / 3] : [0.5, 0, 0.5];
      const logs = Float64Array.from({ length: 3 * 7 }, () => -Math.floor(3 * random()));
      const problem = {
        states: one(matrix),
        initialProbs: Float64Array.from(initialProbs),
        logInitial: Float64Array.from(initialProbs, Math.log),
        logTransition: Float64Array.from(matrix, Math.log),
        logLikelihoods: logs,
      };
      const wanted = likeliestByEnumeration(problem);
      expect(viterbi(problem).path).toEqual(wanted.path);
      await expectPath(problem, wanted);
    }
  });

  for (const [name, problem] of Object.entries(problems(60))) {
    it(`finds what a search in full memory finds, of ${name}, in tiles of any number of rows`, async () => {
      const wanted = viterbi(problem);
      expect(wanted.logProbability).toBeGreaterThan(NO);
      for (const tileRows of [60, 30, 9, 1]) await expectPath(problem, wanted, { tileRows });
    });
  }

  it("finds it in a transition that no binding holds whole", async () => {
    const problem = problems(60)["a walk and jumps"]!;
    const wanted = viterbi(problem);
    const { states, grid, logLikelihoods: logs, logInitial } = problem;
    const rows = logs.length / logInitial.length;
    const columns = logInitial.length;
    const partsOf = (bindingBytes: number) => ({
      ...{ grid: grid!, model: states, time: timeGrid({ start: 0, stop: rows, rate: 1 }) },
      rows: new LogLikelihoodRows(fromTypedArray(logs, [rows, columns])),
      ...{ perState: true, missing: undefined, warnings: [], bindingBytes },
    });
    for (const bindingBytes of [2000, 700]) {
      const result = await planPath(gpu(), partsOf(bindingBytes), { overwrite: false }).run();
      expect([...await readAll(result.stateBins) as Int32Array]).toEqual([...wanted.path]);
      expect(result.logProbability / wanted.logProbability).toBeCloseTo(1, 9);
      await result.close();
    }
    expect(() => planPath(gpu(), partsOf(100), { overwrite: false }))
      .toThrow(/bin 0 leads to \d+ others, which take \d+ B, a binding holds 100 B/);
    expect(() => planPath(gpu(), partsOf(500), { overwrite: false }))
      .toThrow(/the start leads to 56 others/);
  });

  it("gives the same path of a recording in 1, 2, 7 and 250 tiles", async () => {
    const recording = smallRecording();
    const states = contFrag({ movementVar: 4 });
    const decoder = sortedSpikes({ ...recording, states, binSize: 6, positionStd: 3 });
    const { grid } = decoder;
    const { times } = recording.position;
    const time = timeGrid({ start: times[0]!, stop: times.at(-1)!, step: 0.008 });
    expect(time.rows).toBeGreaterThan(990);
    const interior = grid.interiorIndex.length;
    const { rowStarts, units } = binSpikes(recording.spikes, time);
    const counts = Array.from({ length: time.rows }, (_, row) => {
      const own = new Map<number, number>();
      for (const unit of units.subarray(rowStarts[row]!, rowStarts[row + 1]!)) {
        own.set(unit, (own.get(unit) ?? 0) + 1);
      }
      return own;
    });
    const wanted = viterbi({
      logInitial: logInitialOf(grid, states),
      logTransition: logTransitionOf(grid, states),
      logLikelihoods: logPoisson(rateTable(decoder.encoding, 0.008), counts, {
        interior,
        states: 2,
      }),
    });
    for (const tiles of quick ? [7] : [1, 2, 7, 250]) {
      const plan = decoder.viterbi(gpu(), {
        time: { step: 0.008 },
        tileRows: Math.ceil(time.rows / tiles),
      });
      const result = await plan.run();
      expect([...await readAll(result.stateBins) as Int32Array]).toEqual([...wanted.path]);
      expect(result.logProbability / wanted.logProbability).toBeCloseTo(1, 9);
      expect(result.peakBytes.gpu).toBeLessThanOrEqual(result.projectedBytes.gpu);
      expect(result.peakBytes.host).toBeLessThanOrEqual(result.projectedBytes.host);
      const [position] = result.positions;
      const where = await readAll(position!) as Float64Array;
      expect(where[5]).toBe(grid.centers[0]![grid.interiorIndex[wanted.path[5]! % interior]!]!);
      await result.close();
    }
  });

  it("goes on where it was interrupted, with tiles of another size, and stores the same bytes", async () => {
    const problem = problems(60)["a walk and jumps"]!;
    const whole = place();
    await (await planOf(problem, { out: whole }).run()).close();
    const append = Journal.prototype.append;
    for (
      const [pass, stopAt, before, after] of [
        ["score", 50, 10, 10],
        ["score", 20, 10, 3],
        ["path", 10, 10, 10],
        ["path", 40, 20, 6],
      ] as const
    ) {
      const out = place();
      const cancel = new AbortController();
      Journal.prototype.append = async function (entry) {
        await append.call(this, entry);
        const line = entry as { pass: string; row: number };
        if (line.pass === pass && line.row === stopAt) cancel.abort(new Error("interrupted"));
      };
      try {
        await expect(planOf(problem, { out, tileRows: before }).run({ signal: cancel.signal }))
          .rejects.toThrow("interrupted");
      } finally {
        Journal.prototype.append = append;
      }
      const result = await planOf(problem, { out, tileRows: after }).run();
      expect(result.resumed?.pass).toBe(pass);
      expect(await contents(out)).toEqual(await contents(whole));
      await result.close();
    }
  });

  it("goes through rows that are missing or impossible, and names those that no path survives", async () => {
    const matrix = [0.75, 0.25, 0, 1];
    const of = (logs: number[]): Problem => ({
      states: one(matrix),
      logInitial: Float64Array.from([0.5, 0.5], Math.log),
      logTransition: Float64Array.from(matrix, Math.log),
      logLikelihoods: Float64Array.from(logs),
    });
    const impossible = await pathOf(of([0, -9, NO, NO, -9, 0]));
    expect([...impossible.path]).toEqual([0, 1, 1]);
    expect(impossible.logProbability).toBe(NO);
    expect(impossible.impossibleRows).toBe(1);
    const missing = await pathOf(of([0, -9, -20, 0, 0, -9]), { isMissing: [0, 1, 0] });
    expect([...missing.path]).toEqual([0, 0, 0]);
    // the second bin leads nowhere else
    await expect(pathOf(of([NO, 0, 0, NO, 0, -1]))).rejects.toThrow(
      /no bin that the initial|no bin of row 0/,
    );
    const fromSecond = { ...of([0, -1, 0, NO]), initialProbs: Float64Array.of(0, 1) };
    await expect(pathOf(fromSecond)).rejects.toThrow(/no bin that the initial probabilities allow/);
  });

  it("meets the path that enumeration found elsewhere", async (context) => {
    const reason = sharedDataMissing();
    if (reason) context.skip(reason);
    const { em_counts: given } = await sharedJson("golden/decoder-vectors/vectors.json") as {
      em_counts: {
        state_ind: number[];
        continuous: number[][];
        discrete: number[][];
        initial: number[];
        log_likelihood: number[][];
        viterbi: number[];
        viterbi_log_joint: number;
      };
    };
    const { state_ind: stateOf, initial } = given;
    const matrix = given.continuous.flatMap((row, i) =>
      row.map((value, j) => value * given.discrete[stateOf[i]!]![stateOf[j]!]!)
    );
    const { path, logProbability } = await pathOf({
      states: one(matrix),
      initialProbs: Float64Array.from(initial),
      logInitial: Float64Array.from(initial, Math.log),
      logTransition: Float64Array.from(matrix, Math.log),
      logLikelihoods: Float64Array.from(given.log_likelihood.flat()),
    });
    expect([...path]).toEqual(given.viterbi);
    expect(logProbability).toBeCloseTo(given.viterbi_log_joint, 8);
  });
});
