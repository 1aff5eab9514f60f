/**
 * The passes in which logistic probes go down: gradients on the device, checks and second derivatives where
 * they are worth it.
 *
 * @module
 */

import * as residual from "../kernels/logistic_residual.ts";
import * as project from "../kernels/project_rows.ts";
import * as weighted from "../kernels/weighted_sums.ts";
import { toPanels } from "../math/panels.ts";
import type { Pass } from "../stream/pass.ts";
import { Turns } from "../turns.ts";
import { isWhole } from "./components.ts";
import type { DeviceRows } from "./device_rows.ts";
import { BLOCK } from "./device_rows.ts";
import type { LogisticFit } from "./logistic_fit.ts";
import { momentPass } from "./moment_pass.ts";

/** Rows that are checked for one probe after the other. */
const CHECKED_ROWS = 64;
/** Descents, between which slow probes get second derivatives; and sweeps that most fits take. */
const [ROUNDS, USUAL_SWEEPS] = [8, 24] as const;

export interface DescentPasses {
  rows: DeviceRows;
  probes: number;
  /** Times that rows may be gone through. */
  maxPasses: number;
  /** Whose passes they are, asked once there is one. */
  fit(): LogisticFit;
}

export function descentPasses(passes: DescentPasses): Pass[] {
  const rounds = isWhole(passes.rows.features) ? ROUNDS : 1;
  return [
    ...Array.from({ length: rounds - 1 }, (_, i) => [
      descentPass(passes, i + 1, false),
      curvaturePass(passes, i + 1),
    ]).flat(),
    descentPass(passes, rounds, true),
  ];
}

/** Moments of rows by the curvature of a probe that is slow, a sweep each: its own second derivatives. */
function curvaturePass({ rows, probes, fit }: DescentPasses, number: number): Pass {
  const slow = () => fit().descents.find((descent) => descent.wantsCurvature);
  return {
    ...momentPass(rows.source, rows.tileRows, BLOCK, {
      into: () => fit().held.products,
      weight: (row) => slow()!.curvatureOf(row),
    }),
    name: `curvature ${number}`,
    // nobody knows beforehand whether it is needed
    cost: 0,
    needed: () => slow() !== undefined,
    tables: () => {
      fit().held.products.fill(0);
      return {};
    },
    sweeps: {
      most: probes,
      again: () => {
        fit().countPass();
        slow()!.takeCurvature(fit().held.products);
        return slow() !== undefined;
      },
    },
  };
}

/**
 * Goes down, a sweep at a time: the device evaluates the next steps of probes that run, and the host checks in
 * f64 those that wait for that.
 *
 * @param isLast Whether no second derivatives come after it, which slow ones would wait for.
 */
function descentPass(
  { rows: from, probes, maxPasses, fit }: DescentPasses,
  number: number,
  isLast: boolean,
): Pass {
  const { source, tileRows, features } = from;
  const shape = { features, blockRows: BLOCK, tileRows };
  const bytes = project.projectedBytes(tileRows, probes);
  const stride = project.projectedRows(tileRows);
  const running = () =>
    fit().descents.filter((descent) => descent.isRunning && (isLast || !descent.wantsCurvature));
  const waiting = () => fit().descents.filter((descent) => descent.isWaiting);
  // one that is not there costs less than knowing what to do without
  const columns = () => Math.max(1, running().length);
  return {
    name: `descent ${number}`,
    direction: "forward",
    // nobody knows how many there will be
    cost: number === 1 ? USUAL_SWEEPS * probes : 0,
    grain: BLOCK,
    needed: () => running().length + waiting().length > 0,
    sweeps: {
      most: maxPasses,
      again: async ({ signal }) => {
        const turns = new Turns(signal);
        const passes = fit().countPass();
        const checked = waiting();
        for (const descent of running()) {
          descent.evaluate();
          await turns.next();
        }
        for (const descent of checked) {
          descent.check(passes >= maxPasses);
          await turns.next();
        }
        if (passes >= maxPasses - 1) {
          for (const descent of fit().descents) if (descent.isRunning) descent.wait();
        }
        return running().length + waiting().length > 0;
      },
    },
    tables: () => {
      const vectors = new Float32Array(columns() * features);
      const offsets = new Float32Array(Math.ceil(probes / 8) * 8);
      running().forEach(({ trial, sums }, i) => {
        vectors.set(trial.subarray(0, features), i * features);
        offsets[i] = trial[features]!;
        sums.fill(0);
      });
      for (const { sums } of waiting()) sums.fill(0);
      return { vectors: project.packVectors(vectors, features), offsets };
    },
    slotBuffers: [
      ...from.slotBuffers,
      { name: "anchors", bytes, role: "upload" },
      { name: "projected", bytes, role: "download" },
      { name: "residuals", bytes, role: "scratch" },
      { name: "sums", bytes: weighted.weightedBytes(shape, probes), role: "download" },
    ],
    steps: [
      from.projectStep(columns),
      {
        kernel: residual.logisticResidual,
        constants: residual.logisticResidualConstants(tileRows),
        order: "ascending",
        params: (_tile, first, end) => residual.logisticResidualParams(first, end, columns()),
        workgroups: (some) => residual.logisticResidualWorkgroups(some, columns()),
      },
      from.sumStep(shape, "residuals", columns),
    ],
    hostBytes: { read: source.readBytes(tileRows), write: 8 * probes * features },
    besideBytes: 8 * tileRows * features,
    read: async ({ start, end }, { signal }) => {
      const anchors = new Float32Array(bytes / 4);
      running().forEach(({ anchor }, i) =>
        anchors.set(anchor.logits.subarray(start, end), i * stride)
      );
      if (waiting().length === 0) return { ...await from.read({ start, end }, signal), anchors };
      const rows = await source.read(start, end, signal);
      return { rows, anchors, ...(!from.isResident && { points: toPanels(rows, features) }) };
    },
    write: async ({ start, end }, downloads, { beside, signal }) => {
      const own = running();
      const projected = new Float32Array(downloads.projected!);
      const sums = new Float64Array(own.length * features);
      const blocks = new Float32Array(downloads.sums!);
      weighted.addWeightedSums(blocks, end - start, shape, own.length, sums);
      own.forEach((descent, i) => {
        descent.trialShifts.set(projected.subarray(i * stride, i * stride + end - start), start);
        for (let d = 0; d < features; d++) descent.sums[d]! += sums[i * features + d]!;
      });
      const checked = waiting();
      const turns = new Turns(signal);
      for (let row = start; row < end && checked.length > 0; row += CHECKED_ROWS) {
        const rows = beside.rows as Float64Array;
        const first = (row - start) * features;
        const some = rows.subarray(first, first + CHECKED_ROWS * features);
        for (const { anchor } of checked) anchor.add(row, some);
        await turns.next();
      }
    },
  };
}
