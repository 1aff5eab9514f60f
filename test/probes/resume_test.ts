import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import type { ProbeFit, ProbeFitOptions } from "../../src/probes/probes.ts";
import { LogisticProbe } from "../../src/probes/probes.ts";
import { lendGpu, useGpu } from "../support/gpu.ts";
import { onStates, removeAfterAll, useEveryState } from "../support/kept_states.ts";
import { probeRows } from "../support/probe_rows.ts";
import { cases } from "../support/tier.ts";

const gpu = useGpu();
useEveryState();

const FOLDER = "memory:probes-resume-test";
removeAfterAll(FOLDER);
let places = 0;
const place = () => `${FOLDER}/${places++}`;

const SHAPES = {
  "rows of which the device has several tiles": [1100, 6],
  "fewer rows than features": [60, 520],
} as const;

function fitsOf([rows, features]: readonly [number, number]) {
  const { values, labels } = probeRows(rows, features, {
    threshold: rows > 100 ? 5 : 0,
    strength: 3,
  });
  const points = fromTypedArray(values, [rows, features]);
  const columns = {
    own: labels,
    noisy: labels.map((label, i) => i % 7 === 0 ? 1 - label : label),
    none: new Uint8Array(rows),
  };
  const probe = new LogisticProbe({ c: [0.1, 1000] });
  return (options: ProbeFitOptions = {}, device = gpu()) =>
    probe.fit(device, points, columns, options);
}

const numbersOf = ({ probes, reasons, passes, mean, deviation }: ProbeFit) => ({
  ...{ probes, reasons, passes, mean, deviation },
});

describe("a fit of logistic probes", () => {
  it("gives the same bits with any tile, slots and budget, and keeps its promise", async () => {
    const [rows] = Object.values(SHAPES)[0]!;
    const fit = fitsOf(Object.values(SHAPES)[0]!);
    const wanted = numbersOf(await fit().run());
    expect(wanted.probes.slice(0, 4).every((own) => own!.converged)).toBe(true);
    const small = await lendGpu({ budget: { gpu: "300 KiB", host: "64 MiB" } });
    const plans = [fit({ tileRows: 256, slots: 1 }), fit({ tileRows: 512 }), fit({}, small)];
    expect(plans.at(-1)!.tileRows).toBeLessThan(rows);
    for (const plan of plans) {
      const result = await plan.run();
      const { projectedBytes, peakBytes } = result;
      expect(numbersOf(result)).toEqual(wanted);
      for (const kind of ["gpu", "host", "disk"] as const) {
        expect(peakBytes[kind]).toBeLessThanOrEqual(projectedBytes[kind]);
      }
    }
    small.close();
  });

  for (const [name, shape] of Object.entries(SHAPES)) {
    it(`goes on from any state it kept, with any tile, to the same bits: ${name}`, async () => {
      const fit = fitsOf(shape);
      const states: string[] = [];
      const whole = await onStates(
        ({ stage }) => states.push(stage),
        () => fit({ out: place() }).run(),
      );
      const wanted = numbersOf(whole);
      // it was slow enough for all there is
      expect(states.some((stage) => stage.startsWith("curvature"))).toBe(true);
      const step = Math.ceil(states.length / cases(2, 10));
      // rows that do not stay on the device are not loaded, which is a state less
      for (let i = states.length - 2; i > 0; i -= step) {
        const out = place();
        const cancel = new AbortController();
        const first = { out, ...(i % 2 === 0 && { tileRows: 256 }) };
        await onStates(
          (_, count) => count === i && cancel.abort(new Error("interrupted")),
          () => expect(fit(first).run({ signal: cancel.signal })).rejects.toThrow("interrupted"),
        );
        const result = await fit({ out, ...(i % 2 === 1 && { tileRows: 512 }) }).run();
        expect(result.resumed).toBeDefined();
        expect(numbersOf(result)).toEqual(wanted);
        expect(numbersOf(await fit({ out }).run())).toEqual(wanted);
      }
    });
  }
});
