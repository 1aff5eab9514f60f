import { describe, expect, it } from "vitest";
import { fromTypedArray, readAll } from "../../src/array/array.ts";
import type { LogLikelihoodEmOptions, StateModel } from "../../src/hmm/decoder.ts";
import { logLikelihoods, openParameters, sortedSpikes, stateModel } from "../../src/hmm/decoder.ts";
import { relativeChange, updateTransitions } from "../../src/hmm/em_update.ts";
import type { GridEdges } from "../../src/hmm/decoder.ts";
import { Journal } from "../../src/store/journal.ts";
import { openStore } from "../../src/store/open_store.ts";
import { expectationByEnumeration, expectationInLogs } from "../reference/em.ts";
import { logInitialOf, logTransitionOf } from "../reference/log_space.ts";
import { lendGpu, useGpu } from "../support/gpu.ts";
import { boxGrid, mixedStates } from "../support/hmm_problem.ts";
import { seeded } from "../support/random.ts";
import { smallRecording } from "../support/recordings.ts";
import { sharedDataMissing, sharedJson } from "../support/shared_data.ts";
import { cases, LEFT_OUT, quick } from "../support/tier.ts";

const gpu = useGpu();

let places = 0;
const place = () => `memory:em-test-${places++}`;

interface Rows {
  states: StateModel;
  logs: Float64Array;
  columns: number;
  initialProbs?: readonly number[];
  grid?: GridEdges;
}

const planOf = (
  { states, logs, columns, initialProbs, grid }: Rows,
  options: Partial<LogLikelihoodEmOptions> = {},
  device = gpu(),
) =>
  logLikelihoods({
    logLikelihoods: fromTypedArray(logs, [logs.length / columns, columns]),
    states,
    ...(initialProbs && { initialProbs }),
    ...(grid && { grid }),
  }).em(device, { out: place(), ...options });

async function fitted(rows: Rows, options?: Partial<LogLikelihoodEmOptions>) {
  const result = await planOf(rows, options).run();
  await result.decode.close();
  return result;
}

const noPrior = (states: number) => ({
  concentration: 1,
  stickiness: new Array<number>(states).fill(0),
  priorWeight: new Array<number>(states).fill(0),
  frozen: new Array<boolean>(states).fill(false),
});

/** Rows of a chain of named states, each of which is seen as itself with some error. */
function chain(matrix: readonly (readonly number[])[], rows: number, seed: number, error = 0.3) {
  const random = seeded(seed);
  const draw = (row: readonly number[]) => {
    let rest = random();
    return Math.max(0, row.findIndex((value) => (rest -= value) < 0));
  };
  const states = matrix.length;
  const logs = new Float64Array(rows * states);
  let state = 0;
  for (let row = 0; row < rows; row++) {
    state = draw(matrix[state]!);
    const seen = random() < error ? Math.floor(states * random()) : state;
    for (let other = 0; other < states; other++) {
      const same = other === seen ? 1 - error : 0;
      logs[row * states + other] = Math.log(same + error / states);
    }
  }
  return logs;
}

const named = (matrix: number[][]): StateModel =>
  stateModel({
    names: matrix.map((_, state) => `state ${state}`),
    initial: matrix.map(() => 1 / matrix.length),
    discreteTransition: matrix,
    transitions: matrix.map((row) => row.map(() => ({ kind: "uniform" }))),
    oneBin: matrix.map(() => true),
  });

const even = (states: number) =>
  Array.from({ length: states }, () => new Array<number>(states).fill(1 / states));

describe("updateTransitions()", () => {
  const counts = [[8, 2], [1, 0]];
  const before = [[0.5, 0.5], [0.25, 0.75]];

  it("divides counts, with what the prior adds", () => {
    expect(updateTransitions(counts, before, noPrior(2))).toEqual([[0.8, 0.2], [1, 0]]);
    const sticky = { ...noPrior(2), concentration: 2, stickiness: [3, 0] };
    const [first, second] = updateTransitions(counts, before, sticky);
    expect(first![0]).toBeCloseTo((8 + 4) / (8 + 4 + 2 + 1), 12);
    expect(second![1]).toBeCloseTo(1 / 3, 12);
  });

  it("scales the prior by what is expected of a state where it has a weight", () => {
    const weighed = { ...noPrior(2), concentration: 2, stickiness: [3, 0], priorWeight: [0.5, 0] };
    const [first] = updateTransitions(counts, before, weighed);
    // half of 10 transitions, shared as 4 to 1
    expect(first![0]).toBeCloseTo((8 + 4) / 15, 12);
    const [more] = updateTransitions([[80, 20], [1, 0]], before, weighed);
    expect(more![0]).toBeCloseTo(first![0]!, 12);
  });

  it("keeps frozen rows, and gives a state that was never left its prior", () => {
    const frozen = { ...noPrior(2), frozen: [true, false] };
    expect(updateTransitions(counts, before, frozen)[0]).toEqual([0.5, 0.5]);
    expect(updateTransitions([[1, 1], [0, 0]], before, noPrior(2))[1]).toEqual([0.5, 0.5]);
    expect(updateTransitions([[0, 0], [0, 0]], before, { ...noPrior(2), stickiness: [2, 0] })[0])
      .toEqual([1, 0]);
  });

  it("makes the update that was computed elsewhere", async (context) => {
    const reason = sharedDataMissing();
    if (reason) context.skip(reason);
    const { em_counts: given } = await sharedJson("golden/decoder-vectors/vectors.json") as {
      em_counts: {
        exact_counts: number[][];
        discrete: number[][];
        concentration: number;
        stickiness: number[];
        new_discrete: number[][];
      };
    };
    const { exact_counts, discrete, concentration, stickiness, new_discrete } = given;
    const prior = { ...noPrior(2), concentration, stickiness };
    updateTransitions(exact_counts, discrete, prior).flat().forEach((value, i) =>
      expect(value).toBeCloseTo(new_discrete.flat()[i]!, 12)
    );
  });
});

describe("em()", () => {
  const track = boxGrid([3]);
  const twoStates = stateModel({
    names: ["near", "anywhere"],
    initial: [0.75, 0.25],
    discreteTransition: [[0.875, 0.125], [0.375, 0.625]],
    transitions: [
      [{ kind: "randomWalk", movementVar: 0.8 }, { kind: "uniform" }],
      [{ kind: "identity" }, { kind: "randomWalk", movementVar: 0.8 }],
    ],
  });

  it("makes of one step what enumeration of all paths does, whatever the transition is applied by", async () => {
    const random = seeded(7);
    const initial = [0.3, 0.2, 0.25, 0.05, 0.1, 0.1];
    const logs = Float64Array.from({ length: 5 * 6 }, () => -6 * random());
    const log = logTransitionOf(track, twoStates);
    const model = {
      initial,
      matrix: Array.from(
        { length: 6 },
        (_, i) => Array.from(log.subarray(6 * i, 6 * i + 6), Math.exp),
      ),
      logLikelihoods: Array.from(
        { length: 5 },
        (_, row) => [...logs.subarray(6 * row, 6 * row + 6)],
      ),
      stateOf: [0, 0, 0, 1, 1, 1],
    };
    const wanted = expectationByEnumeration(model);
    const matrix = updateTransitions(wanted.counts, twoStates.discreteTransition, noPrior(2));
    for (
      const operator of quick ? ["auto" as const] : ["convolution", "sparse", "dense"] as const
    ) {
      const found = await fitted(
        { states: twoStates, logs, columns: 6, initialProbs: initial, grid: track },
        { maxIterations: 1, operator },
      );
      expect(found.logLikelihoods[0]).toBeCloseTo(wanted.logLikelihood, 5);
      found.states.discreteTransition.flat().forEach((value, i) =>
        expect(Math.abs(value - matrix.flat()[i]!)).toBeLessThan(2e-6)
      );
      found.initialProbs.forEach((value, bin) =>
        expect(Math.abs(value - wanted.first[bin]!)).toBeLessThan(2e-6)
      );
    }
  });

  it("counts what was counted elsewhere, of states that have bins of their own", async (context) => {
    const reason = sharedDataMissing();
    if (reason) context.skip(reason);
    const { em_counts: given } = await sharedJson("golden/decoder-vectors/vectors.json") as {
      em_counts: {
        continuous: number[][];
        discrete: number[][];
        initial: number[];
        log_likelihood: number[][];
        log_evidence: number;
        concentration: number;
        stickiness: number[];
        new_discrete: number[][];
      };
    };
    // three bins and two: the third of the second state is never entered
    const { continuous } = given;
    const block = (rows: number[], columns: number[]) =>
      rows.flatMap((row) =>
        columns.map((column) => row < 0 ? 1 / 3 : continuous[row]?.[column] ?? 0)
      );
    const padded = (rows: number[], columns: number[]) => ({
      kind: "matrix" as const,
      values: block(rows, columns),
    });
    const [first, second] = [[0, 1, 2], [3, 4, -1]];
    const states = stateModel({
      names: ["three", "two"],
      initial: [0.5, 0.5],
      discreteTransition: given.discrete,
      transitions: [[padded(first, first), padded(first, second)], [
        padded(second, first),
        padded(second, second),
      ]],
    });
    const found = await fitted({
      states,
      columns: 6,
      grid: track,
      initialProbs: [...given.initial, 0],
      logs: Float64Array.from(given.log_likelihood.flatMap((row) => [...row, -Infinity])),
    }, {
      maxIterations: 1,
      concentration: given.concentration,
      stickiness: given.stickiness,
    });
    expect(found.logLikelihoods[0]).toBeCloseTo(given.log_evidence, 5);
    found.states.discreteTransition.flat().forEach((value, i) =>
      expect(Math.abs(value - given.new_discrete.flat()[i]!)).toBeLessThan(2e-6)
    );
  });

  it("never makes rows less likely than its tolerance, and finds transitions that were planted", async () => {
    const planted = [[0.95, 0.03, 0.02], [0.1, 0.85, 0.05], [0.02, 0.08, 0.9]];
    const rows = quick ? 300 : 1000;
    const start = even(3).map((row, from) => row.map((_, to) => from === to ? 0.8 : 0.1));
    const seen = chain(planted, rows, 3, 0.1);
    // two bins of each state, anywhere in which it may be
    const logs = Float64Array.from({ length: 6 * rows }, (_, i) => seen[Math.floor(i / 2)]!);
    const { oneBin: _, ...states } = named(start);
    const found = await fitted(
      { states: stateModel(states), logs, columns: 6, grid: boxGrid([2]) },
      { maxIterations: 8, tolerance: 1e-3, posterior: false, operator: "convolution" },
    );
    expect(found.converged).toBe(true);
    expect(found.falls).toEqual([]);
    expect(found.logLikelihoods.length).toBeGreaterThan(2);
    found.logLikelihoods.slice(1).forEach((own, i) =>
      expect(relativeChange(found.logLikelihoods[i]!, own)).toBeGreaterThan(-1e-6)
    );
    found.states.discreteTransition.flat().forEach((value, i) =>
      expect(Math.abs(value - planted.flat()[i]!)).toBeLessThan(0.12)
    );
  });

  const walks = boxGrid([4, 5], (x, y) => !(x === 2 && y === 2));
  const many = (rows: number): Rows => {
    const random = seeded(11);
    const columns = 3 * walks.interiorIndex.length;
    return {
      states: mixedStates(),
      logs: Float64Array.from({ length: rows * columns }, () => -4 * random()),
      columns,
      grid: walks,
    };
  };

  it("gives the same bits in tiles of any number of rows, and under any budget", async () => {
    const rows = many(90);
    const options = { maxIterations: 2 };
    const whole = await fitted(rows, options);
    for (const tileRows of quick ? [7] : [64, 7, 1]) {
      const other = await fitted(rows, { ...options, tileRows });
      expect(other.states).toEqual(whole.states);
      expect(other.initialProbs).toEqual(whole.initialProbs);
      expect(other.logLikelihoods).toEqual(whole.logLikelihoods);
    }
    const small = await lendGpu({ budget: "8 MiB" });
    try {
      const other = await planOf(rows, options, small).run();
      expect(other.states).toEqual(whole.states);
      await other.decode.close();
    } finally {
      small.close();
    }
  });

  it("gives the same numbers in lanes, those that are run again included", async (context) => {
    if (quick) context.skip(LEFT_OUT);
    const rows = many(2100);
    const options = { maxIterations: 1, posterior: false };
    const whole = await fitted(rows, { ...options, lanes: 1 });
    for (const burnInRows of [1, 200]) {
      const other = await fitted(rows, { ...options, lanes: 2, burnInRows });
      other.states.discreteTransition.flat().forEach((value, i) =>
        expect(Math.abs(value - whole.states.discreteTransition.flat()[i]!)).toBeLessThan(2e-6)
      );
      expect(other.logLikelihoods[1]).toBeCloseTo(whole.logLikelihoods[1]!, 2);
    }
  });

  for (const depth of [6, 90, 700]) {
    it(`counts what logarithms in f64 do, of likelihoods down to e^-${depth}`, async () => {
      const random = seeded(depth);
      const interior = walks.interiorIndex.length;
      const columns = 3 * interior;
      const rows = 24;
      // some rows contradict those before, so that all hangs on what had hardly been expected
      const logs = Float64Array.from(
        { length: rows * columns },
        () => random() < 0.05 ? -Infinity : -depth * random() ** 2,
      );
      const states = stateModel({
        ...mixedStates(),
        discreteTransition: [[0.9, 0.1, 0], [0.1, 0.85, 0.05], [1e-9, 0.3, 1 - 0.3 - 1e-9]],
      });
      const wanted = expectationInLogs({
        logInitial: logInitialOf(walks, states),
        logTransition: logTransitionOf(walks, states),
        logLikelihoods: logs,
      }, Array.from({ length: columns }, (_, bin) => Math.floor(bin / interior)));
      const found = await fitted({ states, logs, columns, grid: walks }, { maxIterations: 1 });
      expect(found.logLikelihoods[0]! / wanted.logLikelihood).toBeCloseTo(1, 6);
      const matrix = updateTransitions(wanted.counts, states.discreteTransition, noPrior(3));
      found.states.discreteTransition.flat().forEach((value, i) =>
        expect(Math.abs(value - matrix.flat()[i]!)).toBeLessThan(1e-5)
      );
      found.initialProbs.forEach((value, bin) =>
        expect(Math.abs(value - wanted.first[bin]!)).toBeLessThan(1e-5)
      );
    });
  }

  it("goes on where it was interrupted, between iterations and within them: the same bits", async () => {
    const rows = many(60);
    const options = { maxIterations: 3, tolerance: 1e-12, tileRows: 10 };
    const whole = await fitted(rows, options);
    const { append } = Journal.prototype;
    let lines = 0;
    for (let kills = 0; kills < cases(1, 20); kills++) {
      const out = place();
      let result: Awaited<ReturnType<typeof fitted>> | undefined;
      // stopped twice each, and gone on with in tiles of another size
      for (const [turn, tileRows] of [10, 4, 60].entries()) {
        const cancel = new AbortController();
        const stopAt = turn === 2 ? Infinity : lines + 3 + (7 * kills + 5 * turn) % 31;
        Journal.prototype.append = async function (entry) {
          await append.call(this, entry);
          if (++lines === stopAt) cancel.abort(new Error("interrupted"));
        };
        try {
          result = await planOf(rows, { ...options, out, tileRows }).run({ signal: cancel.signal });
          await result.decode.close();
        } catch (error) {
          expect((error as Error).message).toBe("interrupted");
        } finally {
          Journal.prototype.append = append;
        }
      }
      expect(result!.states).toEqual(whole.states);
      expect(result!.initialProbs).toEqual(whole.initialProbs);
      expect(result!.logLikelihoods).toEqual(whole.logLikelihoods);
    }
  });

  it("decodes with what it found, and keeps it", async () => {
    const recording = smallRecording({ seconds: 4 });
    const states = stateModel({ ...mixedStates() });
    const decoder = sortedSpikes({ ...recording, states, binSize: 8, positionStd: 3 });
    const out = place();
    const options = { out, time: { step: 0.02 }, maxIterations: 2 };
    const plan = decoder.em(gpu(), options);
    expect(plan.explain()).toMatch(/expectation.*\n[^]*decode/);
    const found = await plan.run();
    const own = sortedSpikes({
      ...recording,
      states: found.states,
      initialProbs: found.initialProbs,
      binSize: 8,
      positionStd: 3,
    });
    const decoded = await own.smooth(gpu(), { out: place(), time: { step: 0.02 } }).run();
    expect(await readAll(decoded.posterior)).toEqual(await readAll(found.decode.posterior));
    expect(found.logLikelihoods).toHaveLength(3);
    expect(found.logLikelihoods[2]).toBe(decoded.marginalLogLikelihood);
    await decoded.close();
    await found.decode.close();
    const store = await openStore(out);
    const kept = await store.get("/parameters.json");
    await store.close();
    const { decode: _, ...parameters } = found;
    expect(await openParameters(out)).toEqual(parameters);
    const cut = place();
    const other = await openStore(cut, { mode: "write" });
    await other.set("/parameters.json", kept!.subarray(0, 60));
    await other.close();
    await expect(openParameters(cut)).rejects.toThrow("its parameters are not JSON");
    // what is done is returned; other settings are not taken for it
    const again = await decoder.em(gpu(), options).run();
    expect(again.states).toEqual(found.states);
    await again.decode.close();
    await expect(decoder.em(gpu(), { ...options, tolerance: 1e-3 }).run()).rejects.toThrow(
      /results of another analysis/,
    );
  });

  it("keeps what it is told to keep, and says what came of a prior", async () => {
    const rows = {
      states: named([[0.9, 0.1], [0.2, 0.8]]),
      logs: chain([[0.9, 0.1], [0.3, 0.7]], cases(100, 400), 5),
      columns: 2,
    };
    const options = { maxIterations: 1, posterior: false };
    const kept = await fitted(rows, { ...options, fitInitial: false, frozen: ["state 1"] });
    expect([...kept.initialProbs]).toEqual([0.5, 0.5]);
    expect(kept.states.discreteTransition[1]).toEqual([0.2, 0.8]);
    const still = await fitted(rows, { ...options, fitTransitions: false });
    expect(still.states.discreteTransition).toEqual(rows.states.discreteTransition);
    const prior = { concentration: 3, stickiness: [5, 0], frozen: ["state 1"] };
    const told = await fitted(rows, { maxIterations: 1, ...prior });
    const states = stateModel({ ...rows.states, prior });
    const believed = await fitted({ ...rows, states }, { maxIterations: 1 });
    expect(believed.states.discreteTransition).toEqual(told.states.discreteTransition);
    const forced = await fitted(rows, {
      ...options,
      maxIterations: 3,
      tolerance: 1e-9,
      stickiness: [1e6, 1e6],
    });
    expect(forced.falls).not.toEqual([]);
    expect(forced.warnings[0]).toMatch(/fell after update/);
  });

  it("takes as much of the device for two million rows as for some, and no memory for posteriors", () => {
    const ofRows = (rows: number) =>
      logLikelihoods({
        logLikelihoods: { shape: [rows, 57], read: () => Promise.reject(new Error("read")) },
        states: mixedStates(),
        grid: walks,
      }).em(gpu(), { out: place(), posterior: false, tileRows: 256, lanes: 1 }).projected;
    const [few, many] = [ofRows(1000), ofRows(2_000_000)];
    expect(many.gpu).toBe(few.gpu);
    expect(many.host - few.host).toBeLessThan(2 ** 20);
  });

  it("refuses priors of other states, and rows that are impossible, by their number", async () => {
    const rows = { states: named(even(2)), logs: chain(even(2), 20, 1), columns: 2 };
    expect(() => planOf(rows, { stickiness: [1] })).toThrow(/stickiness has 1 values, wanted one/);
    expect(() => planOf(rows, { frozen: ["state 2"] })).toThrow(/frozen names "state 2", wanted/);
    expect(() => planOf(rows, { concentration: 0.5 })).toThrow(/concentration is 0.5/);
    const logs = rows.logs.slice();
    logs.fill(-Infinity, 8, 10);
    await expect(planOf({ ...rows, logs }).run()).rejects.toThrow(/1 rows are impossible/);
    const missing = Uint8Array.from({ length: 20 }, (_, row) => row === 4 ? 1 : 0);
    await fitted({ ...rows, logs }, { isMissing: missing, maxIterations: 1 });
  });
});
