/**
 * Passes that hand on rows as they are, or as another type: all that are read, or one for each sample.
 *
 * @module
 */

import type { Pass } from "../stream/pass.ts";
import type { RowStep } from "./graph.ts";
import { hiddenOf } from "./graph.ts";
import type { RowReader } from "./plane.ts";
import { PlaneReader, WideReader } from "./plane.ts";
import { LostValueError, roundTo, takeSteps } from "./row_steps.ts";
import { sampleAt } from "./selection.ts";
import { sampleName } from "./source.ts";
import type { ActsType, CastType, StoredValues } from "./types.ts";
import { createValues, findUnsound, toFloat32, TYPE_BYTES } from "./types.ts";
import type { ActsOutput, ActsWork } from "./work.ts";

/** A reader of the planes of an output. */
export function readerOf({ source, selection }: ActsWork, { planes }: ActsOutput): RowReader {
  const own = planes.map((plane) => source.planes[plane]!);
  return own.length === 1
    ? new PlaneReader(own[0]!, selection.map, source.count)
    : new WideReader(own, selection.map, source.count);
}

/** Host bytes of reading rows and of what is made of them, beside what is handed on. */
export function readBytes(
  { source, graph }: ActsWork,
  { planes }: ActsOutput,
  rows: number,
): number {
  const width = planes.length * source.hidden;
  const reading = Math.max(
    ...planes.map((plane) => PlaneReader.hostBytes(source.planes[plane]!, rows)),
  );
  const held = planes.length > 1
    ? planes.reduce((sum, plane) => sum + PlaneReader.hostBytes(source.planes[plane]!, 0), 0)
    : 0;
  const steps = graph.before.length > 0 || source.dtype === "float64" ? 3 * 4 * width * rows : 0;
  return reading + held + steps + 2 * rows * width * TYPE_BYTES[source.dtype];
}

/** Where a value of rows that were read lies, in words. */
export function nameValue(
  { source, graph, selection }: ActsWork,
  { planes }: ActsOutput,
  row: number,
  channel: number,
): string {
  const { offsets, firstTokens } = selection;
  const at = sampleAt(offsets, row);
  const token = firstTokens[at]! + row - offsets[at]!;
  const plane = planes[Math.floor(channel / source.hidden)]!;
  const layer = source.layers ? `, layer ${source.layers[plane]}` : "";
  const inSample = source.dims.includes("s") && graph.tokens?.kind !== "extract"
    ? `, token ${token}`
    : "";
  return `${sampleName(source, graph.samples[at]!)}${inSample}${layer}, channel ${
    channel % source.hidden
  }`;
}

/** Rows of a tile as the result has them. @throws {RangeError} If a type does not hold a value, or there is a NaN. */
function rowsFor(
  work: ActsWork,
  output: ActsOutput,
  values: StoredValues,
  { firstRow, refusesNaN }: { firstRow: number; refusesNaN: boolean },
): StoredValues {
  const { source, graph } = work;
  const { planes } = output;
  const width = planes.length * source.hidden;
  const nameAt = (position: number, each = width) =>
    nameValue(work, output, firstRow + Math.floor(position / each), position % each);
  if (refusesNaN) {
    const at = findUnsound(values, source.dtype, { infinite: false });
    if (at >= 0) {
      throw new RangeError(
        `Cannot read activations: ${nameAt(at)} is NaN, wanted numbers; leave the token out by a ` +
          "detectionMask, or the sample by sliceBatch()",
      );
    }
  }
  try {
    return convert(values, source.dtype, [...graph.before, ...graph.after], graph.dtype, {
      layers: planes.length,
      hidden: source.hidden,
    });
  } catch (error) {
    if (!(error instanceof LostValueError)) throw error;
    throw new RangeError(`Cannot cast activations: ${nameAt(error.position)} is ${error.message}`);
  }
}

/** Rows after steps, as another type. */
export function convert(
  values: StoredValues,
  dtype: ActsType,
  steps: readonly RowStep[],
  wanted: ActsType,
  shape: { layers: number; hidden: number },
): StoredValues {
  if (steps.length === 0 && dtype === wanted) return values;
  const rows = steps.length === 0
    ? toFloat32(values, dtype)
    : takeSteps(values, dtype, steps, shape);
  return roundTo(rows, wanted as CastType);
}

/** Every row that is read, in order. */
export function copyPass(work: ActsWork, output: ActsOutput, tileRows: number): Pass {
  const reader = lazily(() => readerOf(work, output));
  const refusesNaN = work.graph.tokens !== undefined;
  return {
    ...handsOn(work, output, tileRows),
    read: async ({ start, end }, { signal }) => {
      const values = await reader().read(start, end, { signal });
      return { values: rowsFor(work, output, values, { firstRow: start, refusesNaN }) };
    },
  };
}

/** A row for each sample, zeros where there is none. */
export function pickPass(work: ActsWork, output: ActsOutput, tileRows: number): Pass {
  const reader = lazily(() => readerOf(work, output));
  const { offsets } = work.selection;
  return {
    ...handsOn(work, output, tileRows),
    read: async ({ start, end }, { signal }) => {
      const [from, to] = [offsets[start]!, offsets[end]!];
      const values = await reader().read(from, to, { signal });
      const rows = rowsFor(work, output, values, { firstRow: from, refusesNaN: true });
      const { graph } = work;
      const width = hiddenOf(work.source, graph);
      const all = createValues(graph.dtype, (end - start) * width);
      for (let sample = start; sample < end; sample++) {
        const at = offsets[sample]! - from;
        if (offsets[sample + 1]! > offsets[sample]!) {
          all.set(rows.subarray(at * width, (at + 1) * width), (sample - start) * width);
        }
      }
      return { values: all };
    },
  };
}

function handsOn(work: ActsWork, output: ActsOutput, tileRows: number): Omit<Pass, "read"> {
  const { source, graph } = work;
  const width = output.planes.length * source.hidden;
  return {
    name: output.name,
    direction: "forward",
    cost: 1,
    slotBuffers: [],
    steps: [],
    resumesAt: () => true,
    hostBytes: { read: readBytes(work, output, tileRows) },
    besideBytes: tileRows * width * TYPE_BYTES[graph.dtype],
    writes: [output.name],
    async write({ start }, _downloads, { beside, store }) {
      await store(output.name, start, beside.values as StoredValues);
    },
  };
}

/** Makes something at its first use: plans are laid out more often than run. */
export function lazily<Value>(make: () => Value): () => Value {
  let made: { value: Value } | undefined;
  return () => (made ??= { value: make() }).value;
}
