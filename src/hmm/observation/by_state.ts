/**
 * Observations of states that differ in what they expect: one that all states share, biased by where the animal is, and
 * rows of states of one bin.
 *
 * @module
 */

import type { StateRowShape } from "../../kernels/state_rows.ts";
import {
  NO_BIAS,
  RULED_OUT,
  stateRows,
  stateRowsConstants,
  stateRowsParams,
  stateRowsWorkgroups,
  toFixed,
} from "../../kernels/state_rows.ts";
import type { LaneCuts } from "../lane_cuts.ts";
import type { StateBins } from "../state_bins.ts";
import type { Recursion } from "../transition/recursion.ts";
import { tableBuffer } from "../transition/recursion.ts";
import type { AnimalBiases } from "./animal_bias.ts";
import type { LogRows } from "./log_likelihoods.ts";
import type { Observation } from "./observation.ts";
import { LIKELIHOOD } from "./observation.ts";

/** What states expect. */
export interface StateExpectations {
  /** [states] kind of each: see `biases`; of a state of one bin, 0. */
  kindOf: readonly number[];
  /** [kinds] what is done to bins by where the animal is. */
  biases: readonly (AnimalBiases | undefined)[];
  /** [rows] interior bin of the animal, where a bias asks for it. */
  animalBins?: Int32Array;
  /** [states] f64 natural logarithms [rows] of those of one bin. */
  own: readonly (Float64Array | undefined)[];
  /** [rows] 1 for rows that carry no evidence. */
  missing?: Uint8Array | undefined;
}

interface ByStateParts {
  bins: StateBins;
  /** Of the recording. */
  rows: number;
  lanes: LaneCuts;
  recursion: Pick<Recursion, "cells" | "toCells">;
}

/** A part of a recursion: cells of the likelihoods that all states share. */
export type SharedCells = Pick<Recursion, "cells" | "toCells">;

/**
 * @param sharedOf The observation that all states share, over these cells.
 */
export function byState(
  sharedOf: (recursion: SharedCells) => Observation,
  expected: StateExpectations,
  { bins, rows: recorded, lanes, recursion }: ByStateParts,
): Observation {
  const { kindOf, biases, animalBins, own, missing } = expected;
  const kinds = Math.max(...kindOf) + 1;
  const ones = own.flatMap((rows) => rows ? [rows] : []);
  const gridCells = (recursion.cells - Math.ceil(ones.length / 4)) / kinds;
  const firstKind = (cells: Float64Array) => cells.slice(0, 4 * gridCells);
  const shared = sharedOf({
    cells: gridCells,
    toCells: (values, outside) => firstKind(recursion.toCells((bin) => values(bin, 0), outside)),
  });
  const given = biases.flatMap((bias) => bias ? [bias] : []);
  const shape: StateRowShape = {
    kinds: Array.from({ length: kinds }, (_, kind) => {
      const bias = biases[kind];
      return [0, bias ? given.indexOf(bias) : NO_BIAS];
    }),
    ...{ bases: 1, biases: given.length, gridCells, ones: ones.length, cells: recursion.cells },
  };
  // where each interior bin lies among the cells of a kind
  const places = new Int32Array(bins.grid.interiorIndex.length);
  firstKind(recursion.toCells((bin) => bin + 1, 0)).forEach((bin, at) => {
    if (bin > 0) places[bin - 1] = at;
  });
  const biasWidth = 4 * gridCells * given.length;
  const kindTable = Uint32Array.from(shape.kinds.flat());
  const rowOf = (lane: number, row: number) => lane * lanes.rows + row;
  return {
    ...shared,
    inputs: [...shared.inputs, kindTable, ...ones, ...(animalBins ? [animalBins] : [])],
    hostBytes: shared.hostBytes + ones.reduce((sum, rows) => sum + rows.byteLength, 0) +
      (animalBins?.byteLength ?? 0) + places.byteLength +
      given.reduce((sum, bias) => sum + bias.keptBytes, 0),
    shared: () => [...shared.shared(), tableBuffer("state_kinds", kindTable)],
    uploads(tileRows) {
      const rows = lanes.count * tileRows;
      return [
        ...shared.uploads(tileRows),
        { name: "spatial", bytes: 16 * gridCells * rows, role: "scratch" },
        // a binding cannot be empty
        { name: "animal_bias", bytes: 4 * Math.max(4, biasWidth * rows), role: "upload" },
        { name: "one_bin", bytes: 8 * Math.max(1, ones.length * rows), role: "upload" },
      ];
    },
    steps: () => [
      ...shared.steps().map((step) =>
        "kernel" in step ? { ...step, buffers: { [LIKELIHOOD]: "spatial", ...step.buffers } } : step
      ),
      {
        kernel: stateRows,
        constants: stateRowsConstants(shape),
        buffers: { kinds: "state_kinds", bias: "animal_bias", own: "one_bin" },
        order: "any",
        params: (_tile, from, to) => stateRowsParams(from, to),
        workgroups: stateRowsWorkgroups,
      },
    ],
    async read(tile, signal) {
      const tileRows = tile.end - tile.start;
      const count = tile.lanes * tileRows;
      const bias = new Float32Array(Math.max(4, biasWidth * count));
      const oneBin = new Int32Array(2 * Math.max(1, ones.length * count));
      const uploads = await shared.read(tile, signal);
      // what the shared observation leaves for the host to add
      const constantOf = shared.evidence(new ArrayBuffer(8 * count), uploads);
      for (let at = 0; at < count; at++) {
        const row = rowOf(tile.firstLane + Math.floor(at / tileRows), tile.start + at % tileRows);
        // rows that nobody recorded say nothing, nor do those that are missing
        if (!(row >= 0 && row < recorded) || missing?.[row]) continue;
        const constant = constantOf(0, row, at);
        ones.forEach((rows, i) =>
          oneBin.set(toFixed(rows[row]! - constant), 2 * (at * ones.length + i))
        );
        const animalBin = animalBins?.[row] ?? -1;
        given.forEach((own, i) => {
          if (animalBin < 0) return;
          const first = biasWidth * at + 4 * gridCells * i;
          own.of(animalBin).forEach((log, bin) => {
            bias[first + places[bin]!] = Math.max(RULED_OUT, log / Math.LN2);
          });
        });
      }
      return { ...uploads, animal_bias: bias, one_bin: oneBin };
    },
  };
}

/** Log-likelihoods of every state's bins on the host, f64. */
export function stateLogRows(
  shared: LogRows,
  { kindOf, biases, animalBins, own }: StateExpectations,
  bins: StateBins,
): LogRows {
  const columns = bins.count;
  const tables = [
    ...own.flatMap((rows) => rows ? [rows] : []),
    ...(animalBins ? [animalBins] : []),
  ];
  return {
    columns,
    inputs: [...shared.inputs, Int32Array.from(kindOf), ...tables],
    feeds: shared.feeds,
    hostBytes: shared.hostBytes + tables.reduce((sum, { byteLength }) => sum + byteLength, 0) +
      biases.reduce((sum, bias) => sum + (bias?.keptBytes ?? 0), 0),
    readBytes: (rows) => shared.readBytes(rows) + 8 * columns,
    read(start, end, signal, onRow) {
      return shared.read(start, end, signal, (values, row, at) => {
        const logs = new Float64Array(columns);
        own.forEach((rows, state) => {
          const first = bins.starts[state]!;
          if (rows) {
            logs[first] = rows[row]!;
            return;
          }
          const animalBin = animalBins?.[row] ?? -1;
          const bias = animalBin < 0 ? undefined : biases[kindOf[state]!]?.of(animalBin);
          for (let bin = 0; bin < shared.columns; bin++) {
            logs[first + bin] = values[at + bin]! + (bias?.[bin] ?? 0);
          }
        });
        onRow(logs, row, 0, logs.reduce((most, log) => Math.max(most, log), -Infinity));
      });
    },
  };
}
