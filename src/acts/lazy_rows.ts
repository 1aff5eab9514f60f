/**
 * Rows of a graph that needs no device, read when they are asked for.
 *
 * @module
 */

import type { ChunkedArray, ReadOptions } from "../chunked_array.ts";
import { checkRows } from "../chunked_array.ts";
import { copyPass, pickPass } from "./copy_pass.ts";
import type { RaggedArray } from "../feed/ragged.ts";
import { hiddenOf, layersOf } from "./graph.ts";
import type { StoredValues } from "./types.ts";
import { toFloat32 } from "./types.ts";
import type { ActsWork } from "./work.ts";
import { outputsOf } from "./work.ts";

/** Rows `[samples, hidden]`. @throws {RangeError} If there are tokens or layers left, or a device has to pool them. */
export function featureRows(work: ActsWork): ChunkedArray {
  checkGraph(work, "read features", "bh");
  return lazyRows(work);
}

/** Tokens of samples. @throws {RangeError} If there are none, several layers, or layers yet to be pooled. */
export function tokenRows(work: ActsWork): RaggedArray {
  checkGraph(work, "read tokens", "bsh");
  const { offsets, detected } = work.selection;
  return { rows: lazyRows(work), offsets, ...(detected && { detected }) };
}

function checkGraph(
  { source, graph }: ActsWork,
  action: string,
  wanted: "bh" | "bsh",
): void {
  const { dims, tokens } = graph;
  if (dims !== wanted) {
    const remedy = layersOf(source, graph)
      ? 'selectLayers() of one, flatten() or a pool over "l"'
      : wanted === "bh"
      ? "a pool of tokens, select() or extractTokens()"
      : "tokens that are not pooled";
    throw new RangeError(`Cannot ${action}: dims are ${dims}, wanted ${wanted}: ${remedy}`);
  }
  if (tokens?.kind !== "pool") return;
  throw new RangeError(
    `Cannot ${action}: tokens are yet to be pooled on a device, wanted realize(gpu), save(gpu, place) or ` +
      "cache(gpu, folder) first",
  );
}

/** Rows of the only array that a graph makes. */
function lazyRows(work: ActsWork): ChunkedArray {
  const { source, graph, selection } = work;
  const [output] = outputsOf(source, graph);
  const isPicked = graph.tokens?.kind === "pick";
  const rows = isPicked ? graph.samples.length : selection.map.rows;
  const shape = [rows, hiddenOf(source, graph)];
  const pass = isPicked ? pickPass(work, output!, rows) : copyPass(work, output!, rows);
  const read = async (start: number, end: number, { signal }: ReadOptions = {}) => {
    signal?.throwIfAborted();
    checkRows(shape, start, end);
    const turn = { sweep: 0, held: {}, signal: signal ?? new AbortController().signal };
    const tile = { start, end, firstLane: 0, lanes: 1 };
    return (await pass.read(tile, turn)).values as StoredValues;
  };
  const { dtype } = graph;
  const readBits = async (start: number, end: number, options?: ReadOptions) =>
    await read(start, end, options) as Uint16Array;
  const unitRows = Math.max(...graph.planes.map((plane) => source.planes[plane]!.unitRows));
  return {
    shape,
    dtype: dtype === "bfloat16" ? "float32" : dtype,
    dims: undefined,
    chunkRows: Math.max(1, Math.min(rows, unitRows === 1 ? 1024 : unitRows)),
    wholeChunks: unitRows > 1,
    places: source.places,
    read: async (start, end, options) => {
      const values = await read(start, end, options);
      return values instanceof Uint16Array ? toFloat32(values, dtype) : values;
    },
    ...(dtype === "float16" && { readBits }),
    ...(dtype === "bfloat16" && { readBrainBits: readBits }),
    close: () => Promise.resolve(),
  };
}
