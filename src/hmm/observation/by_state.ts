/**
 * Observations of states that differ in what they expect: by the part that was encoded for them, by where the animal is,
 * and rows of states of one bin.
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
import type { PartCells } from "./part_cells.ts";
import { rangesOf } from "./part_cells.ts";

/** What states expect. */
export interface StateExpectations {
  /** [states] kind of each; of a state of one bin, 0. */
  kindOf: readonly number[];
  /** [kinds] which part is expected in bins, and which bias is added to it. */
  kinds: readonly { part: number; bias?: number }[];
  /** What is done to bins by where the animal is: [rows] interior bin of it, -1 where nobody knows. */
  biases: readonly { of: AnimalBiases; animalBins: Int32Array }[];
  /** [states] f64 natural logarithms [rows] of those of one bin. */
  own: readonly (Float64Array | undefined)[];
  /** [rows] 1 for rows that carry no evidence. */
  missing?: Uint8Array | undefined;
}

/** Whether states differ in nothing but the part that they expect. */
export function differInParts({ biases, own }: StateExpectations): boolean {
  return biases.length === 0 && own.every((rows) => rows === undefined);
}

interface ByStateParts {
  /** Of the recording. */
  rows: number;
  lanes: LaneCuts;
  recursion: Pick<Recursion, "cells" | "kindCells" | "toCells">;
}

/** @param partsOf What is expected in the bins of parts. */
export function byState(
  partsOf: (cells: PartCells) => Observation,
  expected: StateExpectations,
  { rows: recorded, lanes, recursion }: ByStateParts,
): Observation {
  const { kinds, biases, own, missing } = expected;
  const { cells, kindCells, toCells } = recursion;
  const kindRanges = rangesOf(kindCells);
  if (differInParts(expected)) {
    return partsOf({ parts: kinds.map(({ part }) => part), ranges: kindRanges, cells, toCells });
  }
  const ones = own.flatMap((rows) => rows ? [rows] : []);
  const parts = [...new Set(kinds.map(({ part }) => part))];
  // kinds have the cells of their part, and of their bias
  const firstOf = (isIt: (kind: { part: number; bias?: number }) => boolean) =>
    kinds.findIndex(isIt);
  const ofPart = parts.map((part) => firstOf((kind) => kind.part === part));
  const ofBias = biases.map((_, bias) => firstOf((kind) => kind.bias === bias));
  const ranges = rangesOf(ofPart.map((kind) => kindCells[kind]!));
  const biasRanges = rangesOf(ofBias.map((kind) => kindCells[kind]!));
  const partAt = kinds.map(({ part }) => parts.indexOf(part));
  const shared = partsOf({
    ...{ parts, ranges, cells: cellsOf(ranges) },
    toCells(values, outside) {
      const all = toCells((bin, kind) => values(bin, partAt[kind]!), outside);
      return Float64Array.from(ofPart.flatMap((kind) => [...cut(all, kindRanges[kind]!)]));
    },
  });
  const shape: StateRowShape = {
    sources: kinds.flatMap(({ bias }, kind) =>
      Array.from({ length: kindCells[kind]! }, (_, cell): [number, number] => [
        ranges[partAt[kind]!]!.first + cell,
        bias === undefined ? NO_BIAS : biasRanges[bias]!.first + cell,
      ])
    ),
    ...{ spatialCells: cellsOf(ranges), biasCells: cellsOf(biasRanges) },
    ...{ ones: ones.length, cells },
  };
  // [biases][bins] where each lies in a row of biases
  const order = toCells((bin) => bin + 1, 0);
  const places = ofBias.map((kind, bias) => {
    const found: number[] = [];
    cut(order, kindRanges[kind]!).forEach((bin, at) => {
      if (bin > 0) found[bin - 1] = 4 * biasRanges[bias]!.first + at;
    });
    return Int32Array.from(found);
  });
  const biasWidth = 4 * shape.biasCells;
  const sources = Uint32Array.from(shape.sources.flat());
  const kindTable = Uint32Array.from(
    kinds.flatMap(({ bias }, kind) => [partAt[kind]!, bias ?? NO_BIAS]),
  );
  const animals = biases.map(({ animalBins }) => animalBins);
  const rowOf = (lane: number, row: number) => lane * lanes.rows + row;
  return {
    ...shared,
    inputs: [...shared.inputs, kindTable, ...ones, ...animals],
    hostBytes: shared.hostBytes + sources.byteLength +
      [...ones, ...animals, ...places].reduce((sum, { byteLength }) => sum + byteLength, 0) +
      biases.reduce((sum, bias) => sum + bias.of.keptBytes, 0),
    shared: () => [...shared.shared(), tableBuffer("state_sources", sources)],
    uploads(tileRows) {
      const rows = lanes.count * tileRows;
      return [
        ...shared.uploads(tileRows),
        { name: "spatial", bytes: 16 * shape.spatialCells * rows, role: "scratch" },
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
        buffers: { sources: "state_sources", bias: "animal_bias", own: "one_bin" },
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
        biases.forEach(({ of, animalBins }, i) => {
          if (animalBins[row]! < 0) return;
          of.of(animalBins[row]!).forEach((log, bin) => {
            bias[biasWidth * at + places[i]![bin]!] = Math.max(RULED_OUT, log / Math.LN2);
          });
        });
      }
      return { ...uploads, animal_bias: bias, one_bin: oneBin };
    },
  };
}

function cellsOf(ranges: PartCells["ranges"]): number {
  return ranges.reduce((sum, { cells }) => sum + cells, 0);
}

function cut(values: Float64Array, { first, cells }: PartCells["ranges"][number]): Float64Array {
  return values.subarray(4 * first, 4 * (first + cells));
}

/**
 * Log-likelihoods of every state's bins on the host, f64.
 *
 * @param partOf Those of the bins of a part.
 */
export function stateLogRows(
  partOf: (part: number) => LogRows,
  { kindOf, kinds, biases, own }: StateExpectations,
  bins: StateBins,
): LogRows {
  const columns = bins.count;
  const parts = new Map(kinds.map(({ part }) => [part, partOf(part)]));
  const all = [...parts.values()];
  const tables = [
    ...own.flatMap((rows) => rows ? [rows] : []),
    ...biases.map(({ animalBins }) => animalBins),
  ];
  return {
    columns,
    inputs: [...all.flatMap(({ inputs }) => inputs), Int32Array.from(kindOf), ...tables],
    feeds: all.flatMap(({ feeds }) => feeds),
    hostBytes: [...all.map(({ hostBytes }) => hostBytes), ...tables.map((own) => own.byteLength)]
      .reduce((sum, bytes) => sum + bytes, 0) +
      biases.reduce((sum, bias) => sum + bias.of.keptBytes, 0),
    readBytes: (rows) =>
      all.reduce((sum, part) => sum + part.readBytes(rows) + 8 * part.columns, 8 * columns),
    async read(start, end, signal, onRow) {
      for (let row = start; row < end; row++) {
        const found = new Map<number, Float64Array>();
        for (const [part, rows] of parts) {
          await rows.read(row, row + 1, signal, (values, _row, at) => {
            const logs = Float64Array.from({ length: rows.columns }, (_, bin) => values[at + bin]!);
            found.set(part, logs);
          });
        }
        const logs = new Float64Array(columns);
        own.forEach((rows, state) => {
          const first = bins.starts[state]!;
          if (rows) {
            logs[first] = rows[row]!;
            return;
          }
          const { part, bias: which } = kinds[kindOf[state]!]!;
          const told = which === undefined ? undefined : biases[which]!;
          const animalBin = told?.animalBins[row] ?? -1;
          const bias = animalBin < 0 ? undefined : told!.of.of(animalBin);
          found.get(part)!.forEach((log, bin) => logs[first + bin] = log + (bias?.[bin] ?? 0));
        });
        onRow(logs, row, 0, logs.reduce((most, log) => Math.max(most, log), -Infinity));
      }
    },
  };
}
