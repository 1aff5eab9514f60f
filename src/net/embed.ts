/**
 * Embeddings that are added to rows, some of them as much as a dose says.
 *
 * @module
 */

import { netAdd } from "../kernels/net_elements.ts";
import { netEmbed, netEmbedGradient } from "../kernels/net_embed.ts";
import type { WholeBatch } from "./batch.ts";
import type { Frame, Layer, LayerKernel } from "./layer.ts";
import { countOf, firstOf, groupsOf } from "./layer.ts";
import type { Parameter, Value } from "./value.ts";
import { quadsOf } from "./value.ts";

/** Uploaded with every tile, 4 words an entry: row of the table, share and dose (f32), and kind. */
export const ENTRIES = "embeddings";
export const ENTRY_WORDS = 4;

/** Kinds of entries; a bit each in what counts. The last two are of tables of one row, which all rows have. */
export const ENTRY_KINDS = {
  ...{ none: 0, perturbation: 1, covariate: 2, batch: 3 },
  ...{ onlyCovariate: 4, onlyBatch: 5 },
} as const;

/** Bits of kinds. */
export const KIND_BITS = {
  perturbation: 1 << ENTRY_KINDS.perturbation,
  covariate: 1 << ENTRY_KINDS.covariate | 1 << ENTRY_KINDS.onlyCovariate,
  batch: 1 << ENTRY_KINDS.batch | 1 << ENTRY_KINDS.onlyBatch,
} as const;

/** What all rows have in the same way. */
const ALIKE = 1 << ENTRY_KINDS.onlyCovariate | 1 << ENTRY_KINDS.onlyBatch;

export interface EmbedParts {
  x: Value;
  /** Tables that follow each other. */
  table: Parameter;
  tableRows: number;
  /** The first rows of the table, which have doses. */
  dosed: number;
  /** beta and bias of sigmoid(beta dose + bias) - sigmoid(bias); a dose is a factor itself without. */
  doser: { beta: Parameter; bias: Parameter } | undefined;
  /** Of a row. */
  entries: number;
  /** A bit for each of {@link ENTRY_KINDS} that counts. */
  kinds: number;
}

export function embedLayer(frame: Frame, output: Value, parts: EmbedParts): Layer {
  const { x, table, doser, kinds } = parts;
  const { names } = frame;
  const { axis, width } = output;
  const constants = { DOSER: doser ? 1 : 0 };
  const words = (batch: WholeBatch, counted = kinds) =>
    Uint32Array.of(
      ...[countOf(axis, batch), width, frame.capacity(axis), firstOf(axis, batch), parts.entries],
      ...[table.offset, doser?.beta.offset ?? 0, doser?.bias.offset ?? 0],
      ...[parts.tableRows, parts.dosed, counted, Number(batch.adds)],
    );
  return {
    output,
    forward: () => [{
      kernel: netEmbed,
      constants,
      buffers: { x: x.name, parameters: names.parameters, entries: ENTRIES, y: output.name },
      params: (batch) => words(batch),
      workgroups: (batch) => [groupsOf(countOf(axis, batch), 1)],
    }],
    backward(gradients) {
      const idle = gradients.sumsToZero(output);
      const { buffer, adds } = gradients.into(x, idle);
      const copy: LayerKernel = {
        kernel: netAdd,
        buffers: { a: gradients.of(output), b: names.unused, y: buffer },
        params: (batch) =>
          Uint32Array.of(
            ...[countOf(axis, batch), quadsOf(width), frame.capacity(axis), 0, adds],
          ),
        workgroups: (batch) => [groupsOf(countOf(axis, batch) * quadsOf(width)), 1],
      };
      return [copy, {
        kernel: netEmbedGradient,
        constants,
        buffers: {
          y_gradient: gradients.of(output),
          parameters: names.parameters,
          entries: ENTRIES,
          gradient: names.gradient,
        },
        // what is 0 is not left to rounding, by which Adam would move what all rows have
        params: (batch) => words(batch, idle ? kinds & ~ALIKE : kinds),
        workgroups: () => [Math.ceil(parts.tableRows / 64)],
      }];
    },
  };
}

/** Bytes of the entries of a row. */
export function entryBytes(entries: number): number {
  return 4 * ENTRY_WORDS * entries;
}
