/**
 * The pass that finds the main directions of the rows.
 *
 * @module
 */

import * as project from "../kernels/project_rows.ts";
import * as weighted from "../kernels/weighted_sums.ts";
import type { Pass } from "../stream/pass.ts";
import { componentCount, componentSweeps, isWhole } from "./components.ts";
import type { DeviceRows } from "./device_rows.ts";
import { BLOCK } from "./device_rows.ts";
import type { LogisticFit } from "./logistic_fit.ts";
import { momentPass } from "./moment_pass.ts";

/** Rows that are summed up in f32 at a time, where sums need not be exact. */
const COARSE_BLOCK = 1024;

/** @param fit Asked once there is one. */
export function componentPass(rows: DeviceRows, fit: () => LogisticFit): Pass {
  return isWhole(rows.features) ? momentsPass(rows, fit) : turnsPass(rows, fit);
}

/** Moments of rows, which all directions are found of. */
function momentsPass({ source, tileRows, features }: DeviceRows, fit: () => LogisticFit): Pass {
  return {
    ...momentPass(source, tileRows, BLOCK, { into: () => fit().held.products, weight: () => 1 }),
    name: "components",
    cost: features,
    tables: () => {
      fit().held.products.fill(0);
      return {};
    },
    sweeps: {
      most: 1,
      again: () => {
        fit().countPass();
        fit().components.find();
        return false;
      },
    },
  };
}

/** Products X^T X v of directions v. */
function turnsPass(rows: DeviceRows, fit: () => LogisticFit): Pass {
  const { tileRows, features } = rows;
  const count = componentCount(rows.source.rows, features);
  const shape = { features, blockRows: COARSE_BLOCK, tileRows };
  return {
    name: "components",
    direction: "forward",
    cost: count,
    grain: COARSE_BLOCK,
    sweeps: {
      most: componentSweeps(features),
      again: ({ sweep }) => {
        fit().countPass();
        fit().components.turn(sweep);
        return true;
      },
    },
    tables: () => {
      const { products, directions } = fit().held;
      products.fill(0);
      return { vectors: project.packVectors(directions, features) };
    },
    slotBuffers: [
      ...rows.slotBuffers,
      { name: "projected", bytes: project.projectedBytes(tileRows, count), role: "scratch" },
      { name: "sums", bytes: weighted.weightedBytes(shape, count), role: "download" },
    ],
    steps: [rows.projectStep(() => count), rows.sumStep(shape, "projected", () => count)],
    hostBytes: { read: rows.hostBytes },
    read: (tile, { signal }) => rows.read(tile, signal),
    write: ({ start, end }, { sums }) => {
      const own = new Float32Array(sums!);
      weighted.addWeightedSums(own, end - start, shape, count, fit().held.products);
    },
  };
}
