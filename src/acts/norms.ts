/**
 * How long activations are: a few tokens, often the first of a sample, are far longer than others.
 *
 * @module
 */

import type { ReadOptions } from "../chunked_array.ts";
import { toNumbers } from "../chunked_array.ts";
import { quantiles } from "../math/quantiles.ts";
import type { Acts } from "./acts.ts";

/** Times the median beyond which a token is reported. */
export const LONG = 100;
const READ_ROWS = 256;

/** Lengths of the rows of a layer, Euclidean, f64. */
export interface LayerNorms {
  /** `undefined` where layers are no axis. */
  layer: number | undefined;
  /** Rows that were looked at: all tokens of some samples, spread evenly, detected or not. */
  rows: number;
  least: number;
  median: number;
  mean: number;
  most: number;
  /** Rows that are longer than 100 times the median, as a share. */
  longShare: number;
  /** Of those, how many are the first token of their sample. */
  longFirst: number;
  long: number;
  /** Rows with a NaN or an infinity, which are left out of the rest. */
  notFinite: number;
}

/**
 * Norms of every layer. Nothing is filtered out: it is for whoever wonders why a mean is what it is.
 *
 * @param mostRows Rows of a layer that are looked at, about.
 */
export async function tokenNorms(
  acts: Acts,
  mostRows: number,
  options: ReadOptions = {},
): Promise<LayerNorms[]> {
  const some = spread(acts, mostRows);
  const layers = acts.layers ?? [undefined];
  const norms: LayerNorms[] = [];
  for (const layer of layers) {
    const own = layer === undefined ? some : some.selectLayers(layer);
    const { rows, offsets } = own.dims === "bsh"
      ? own.tokens()
      : { rows: own.features(), offsets: undefined };
    const firsts = new Set(offsets);
    const all: number[] = [];
    const isFirst: boolean[] = [];
    let notFinite = 0;
    const [count, hidden] = rows.shape as [number, number];
    for (let start = 0; start < count; start += READ_ROWS) {
      const end = Math.min(count, start + READ_ROWS);
      const values = toNumbers(await rows.read(start, end, options));
      for (let row = 0; row < end - start; row++) {
        let sum = 0;
        for (let at = row * hidden; at < (row + 1) * hidden; at++) sum += values[at]! ** 2;
        if (!Number.isFinite(sum)) notFinite++;
        else {
          all.push(Math.sqrt(sum));
          isFirst.push(firsts.has(start + row));
        }
      }
    }
    const sorted = Float64Array.from(all).sort();
    const median = sorted.length > 0 ? quantiles(sorted, [0.5])[0]! : NaN;
    const isLong = all.map((norm) => norm > LONG * median);
    const long = isLong.filter(Boolean).length;
    norms.push({
      ...{ layer, rows: count, median, notFinite, long },
      least: sorted[0] ?? NaN,
      most: sorted.at(-1) ?? NaN,
      mean: all.reduce((sum, norm) => sum + norm, 0) / all.length,
      longShare: all.length > 0 ? long / all.length : 0,
      longFirst: isLong.filter((own, i) => own && isFirst[i]).length,
    });
  }
  return norms;
}

/** Samples, spread evenly, that have about so many rows. */
function spread(acts: Acts, mostRows: number): Acts {
  const rows = acts.dims.includes("s") ? acts.tokenCount : acts.samples;
  if (rows <= mostRows) return acts;
  const count = Math.max(1, Math.floor(acts.samples * mostRows / rows));
  return acts.sliceBatch(
    Array.from({ length: count }, (_, i) => Math.floor(i * acts.samples / count)),
  );
}
