/** What is told of decodes and paths, as they come and as they are opened again. */

import { describe, expect, it } from "vitest";
import { fromTypedArray, readAll } from "../../../src/array/array.ts";
import {
  distanceFromAnimal,
  highestDensity,
  mapPosition,
  mostLikelySequence,
  nonLocal,
  sortedSpikes,
} from "../../../src/hmm/decoder.ts";
import { open } from "../../../src/open.ts";
import { useGpu } from "../../support/gpu.ts";
import { largestDifference } from "../../support/hmm_problem.ts";
import { smallRecording } from "../../support/recordings.ts";

const gpu = useGpu();
const OUT = "memory:analysis-results-test";

describe("a decode", () => {
  it("tells its grid, and where its bins lie, of states that are nowhere too", async () => {
    const recording = smallRecording({ dimensions: 2, seconds: 4 });
    const model = sortedSpikes({ ...recording, states: nonLocal({ movementVar: 9 }), binSize: 5 });
    const out = `${OUT}-grid`;
    await (await model.smooth(gpu(), { time: { step: 0.1 }, causal: true, out }).run()).close();
    const result = await open(out);
    if (result.kind !== "decode") throw new TypeError(`it is a ${result.kind}`);
    const { grid } = model;
    expect(result.grid).toMatchObject({
      ...grid,
      edges: expect.anything(),
      centers: expect.anything(),
    });
    for (const  of of["edges", "centers"] as const) {
      grid[of].forEach((along, d) =>
        expect(largestDifference(result.grid![of][d]!, along)).toBeLessThan(1e-12)
      );
    }
    const bins = [...grid.interiorIndex.keys()];
    expect([...result.places]).toEqual([-1, -1, ...bins, ...bins]);
    expect(result.stateNames).toEqual(model.states.names);

    // the same of a copy in memory
    const posterior = await readAll(result.causal!.posterior) as Float32Array;
    const copy = {
      ...{ grid, places: result.places, time: result.time },
      posterior: fromTypedArray(posterior, result.posterior.shape),
    };
    const [regions, wanted] = [await highestDensity(result.causal!), await highestDensity(copy)];
    expect(regions.threshold).toEqual(wanted.threshold);
    expect(largestDifference(regions.spatialCoverage, wanted.spatialCoverage)).toBeLessThan(1e-9);
    expect(
      largestDifference((await mapPosition(result.causal!))[1]!, (await mapPosition(copy))[1]!),
    )
      .toBeLessThan(1e-12);
    const { position } = recording;
    expect(await distanceFromAnimal(result, { position }))
      .toEqual(await distanceFromAnimal({ ...result, grid: result.grid }, { position }));
    await result.close();
  });
});

const states = (names: string[], values: number[][] | number[], edges: number[]) => ({
  stateNames: names,
  states: Array.isArray(values[0])
    ? fromTypedArray(Float32Array.from(values.flat()), [values.length, names.length])
    : fromTypedArray(Int32Array.from(values as number[])),
  timeBinStart: fromTypedArray(Float64Array.from(edges.slice(0, -1))),
  timeBinEnd: fromTypedArray(Float64Array.from(edges.slice(1))),
});

describe("mostLikelySequence()", () => {
  it("lists stretches of a path, from the start of their first row to the end of their last", async () => {
    const runs = await mostLikelySequence(
      states(["rest", "run"], [1, 1, 0, 1, 1, 1], [0, 1, 2, 3, 4, 5, 7]),
    );
    expect(runs).toEqual([
      { state: "run", stateInd: 1, startTime: 0, endTime: 2, duration: 2, rows: [0, 2] },
      { state: "rest", stateInd: 0, startTime: 2, endTime: 3, duration: 1, rows: [2, 3] },
      { state: "run", stateInd: 1, startTime: 3, endTime: 7, duration: 4, rows: [3, 6] },
    ]);
  });

  it("takes the likeliest state of every row of a decode, the first of equals, and no rows that are not stored", async () => {
    const rows = [[0.25, 0.75], [0.5, 0.5], [NaN, NaN], [1, 0]];
    const runs = await mostLikelySequence(states(["rest", "run"], rows, [0, 1, 2, 3, 4]));
    expect(runs.map(({ state, rows }) => [state, ...rows])).toEqual([
      ["run", 0, 1],
      ["rest", 1, 2],
      ["rest", 3, 4],
    ]);
  });

  it("is that of viterbi(), and of smooth(), by edges and by points in time", async () => {
    const model = sortedSpikes({
      ...smallRecording({ seconds: 4 }),
      states: nonLocal({ movementVar: 9 }),
      binSize: 5,
    });
    for (const timeGrid of ["edges", "timestamps"] as const) {
      const time = { step: 0.1 };
      const path = await model.viterbi(gpu(), { time, timeGrid }).run();
      const own = await readAll(path.states) as Int32Array;
      const runs = await mostLikelySequence(path);
      expect(runs.flatMap(({ rows: [from, to], stateInd }) => new Array(to - from).fill(stateInd)))
        .toEqual([...own]);
      expect(runs[0]!.startTime).toBe(0);
      expect(runs.at(-1)!.endTime).toBeCloseTo(4, 12);
      await path.close();
      const decode = await model.smooth(gpu(), { time, timeGrid, out: `${OUT}-${timeGrid}` }).run();
      const stretches = await mostLikelySequence(decode);
      expect(stretches.at(-1)!.rows[1]).toBe(decode.posterior.shape[0]);
      expect(stretches.at(-1)!.endTime).toBeCloseTo(4, 12);
      await decode.close();
    }
  });
});
