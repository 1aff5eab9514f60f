/**
 * Passes of the host's over rows with all their features, where probes are fitted in coordinates of the rows.
 *
 * @module
 */

import type { Pass } from "../stream/pass.ts";
import type { LogisticFit } from "./logistic_fit.ts";
import type { SpanRows } from "./span.ts";
import type { StandardRows } from "./standard_rows.ts";

/** What such passes go over, and whose they are, which is asked once there is one. */
export interface SpanPasses {
  source: StandardRows;
  span: SpanRows;
  tileRows: number;
  fit(): LogisticFit;
}

function hostPass(
  { source, tileRows, fit }: SpanPasses,
  { name, take, end, begin }: {
    name: string;
    begin?: () => void;
    take(start: number, rows: Float64Array): void;
    end?: (signal: AbortSignal) => Promise<void> | void;
  },
): Pass {
  return {
    name,
    direction: "forward",
    cost: 1,
    tables: () => {
      begin?.();
      return {};
    },
    sweeps: {
      most: 1,
      again: async ({ signal }) => {
        fit().countPass();
        await end?.(signal);
        return false;
      },
    },
    slotBuffers: [],
    steps: [],
    hostBytes: { read: source.readBytes(tileRows) },
    besideBytes: 8 * tileRows * source.features,
    read: async ({ start, end }, { signal }) => ({ rows: await source.read(start, end, signal) }),
    write: ({ start }, _, { beside }) => take(start, beside.rows as Float64Array),
  };
}

/** Finds coordinates of the rows in the space that they span. */
export function gatherPass(passes: SpanPasses): Pass {
  const { source, span, fit } = passes;
  return hostPass(passes, {
    name: "span",
    take: (start, rows) => fit().held.gathered.set(rows, start * source.features),
    end: (signal) => span.find(signal),
  });
}

/** Makes weights of features of those that are coordinates. */
export function weightsPass(passes: SpanPasses): Pass {
  const { source: { features }, span, fit } = passes;
  let shares: Float64Array[] = [];
  return hostPass(passes, {
    name: "weights",
    begin: () => {
      fit().held.spanWeights.fill(0);
      shares = fit().descents.map(({ anchor }) => span.sharesOf(anchor.weights));
    },
    take: (start, rows) =>
      shares.forEach((own, i) => {
        const weights = fit().partOf(fit().held.spanWeights, i);
        for (let at = 0, row = start; at < rows.length; at += features, row++) {
          const share = own[row]!;
          for (let d = 0; share !== 0 && d < features; d++) weights[d]! += share * rows[at + d]!;
        }
      }),
  });
}

/** Takes gradients by all features, in f64: what probes say of themselves is said of those weights. */
export function confirmPass(passes: SpanPasses): Pass {
  const { fit } = passes;
  const weights = (probe: number) => fit().partOf(fit().held.spanWeights, probe);
  const gradients = (probe: number) => fit().partOf(fit().held.spanGradients, probe);
  return hostPass(passes, {
    name: "confirm",
    begin: () => fit().held.spanGradients.fill(0),
    take: (start, rows) =>
      fit().descents.forEach(({ anchor }, i) =>
        anchor.addBy(weights(i), start, rows, gradients(i))
      ),
    end: () =>
      fit().descents.forEach(({ anchor, isDone }, i) => {
        if (isDone) anchor.confirm(weights(i), gradients(i));
      }),
  });
}
