/**
 * The original's score of batches that validate: what is uploaded and downloaded for it, and the kernels that make it.
 *
 * @module
 */

import type { LoopKernel, SharedBuffer, SlotBuffer } from "../stream/pass.ts";
import type { CellFacts } from "./cell_uploads.ts";
import type { CpaModel } from "./model.ts";
import type { TurnOf } from "./turns.ts";
import { passing, passingPart } from "./turns.ts";
import type { BatchScores, GeneLists } from "./validation_scores.ts";
import {
  CATEGORIES,
  categoryRanges,
  GENE_LISTS,
  JUDGED_LATENTS,
  packGeneLists,
  PROFILE_ERRORS,
  profileErrorsKernel,
  rSquaredByCategory,
  scoresOf,
  summedPurity,
} from "./validation_scores.ts";

export class Validation {
  readonly #model: CpaModel;
  readonly #facts: CellFacts;
  readonly #categories: Uint32Array;
  readonly #lists: GeneLists | undefined;
  readonly #compat: boolean;

  /** @param options `compat`: whether genes that do not differ, and those of no list, count as with the original. */
  constructor(
    model: CpaModel,
    facts: CellFacts,
    categories: Uint32Array,
    { lists, compat }: { lists: GeneLists | undefined; compat: boolean },
  ) {
    this.#model = model;
    this.#facts = facts;
    this.#categories = categories;
    this.#lists = lists;
    this.#compat = compat;
  }

  sharedBuffers(): SharedBuffer[] {
    const { genes } = this.#model.shape;
    const data = packGeneLists(this.#lists ?? { genes, rows: new Uint8Array(genes).fill(1) });
    return [{ name: GENE_LISTS, bytes: data.byteLength, data, kind: "storage" }];
  }

  slotBuffers(cells: number): SlotBuffer[] {
    const { latent } = this.#model.shape;
    return [
      { name: CATEGORIES, bytes: 16 * cells, role: "upload" },
      { name: PROFILE_ERRORS, bytes: 16 * cells, role: "download" },
      ...Object.values(JUDGED_LATENTS).map((name): SlotBuffer => ({
        ...{ name, bytes: 4 * latent * cells, role: "download" },
      })),
    ];
  }

  /** Host bytes that comparing the latents of a batch takes. */
  writeBytes(cells: number): number {
    return (16 + 2 * 4 * 32) * cells;
  }

  uploads(
    batches: readonly { cells: Uint32Array; validates: boolean }[],
  ): Record<string, Uint32Array> {
    return { [CATEGORIES]: categoryRanges(batches, this.#categories, this.#lists?.rowOf) };
  }

  /** After what is expected of a batch is made. */
  kernels(turnOf: TurnOf): LoopKernel[] {
    const { shape, body, head, latents, means, others, parts } = this.#model;
    const batchOf = passing(turnOf);
    return [
      // batches that validate are of one part
      ...head.loop(
        [profileErrorsKernel(shape, head, means, others, this.#compat)],
        passingPart(turnOf, 0, parts.rows),
      ),
      ...body.store(latents.basal!, JUDGED_LATENTS.basal, batchOf),
      ...body.store(latents.after!, JUDGED_LATENTS.after, batchOf),
    ];
  }

  /** Of a batch whose cells begin at one of the tile. */
  scores(
    downloads: Record<string, ArrayBuffer>,
    cells: Uint32Array,
    firstSample: number,
  ): BatchScores {
    const { shape } = this.#model;
    const ranges = categoryRanges([{ cells, validates: true }], this.#categories);
    const counts = Array.from(ranges.filter((_, i) => i % 4 === 1)).filter((count) => count > 0);
    const errors = new Float32Array(downloads[PROFILE_ERRORS]!, 16 * firstSample);
    const purity = (name: string) => {
      const from = 4 * shape.latent * firstSample;
      const own = new Float32Array(downloads[name]!, from, shape.latent * cells.length);
      return summedPurity(shape, this.#facts, cells, own);
    };
    return scoresOf(rSquaredByCategory(errors, counts, this.#compat), {
      basal: purity(JUDGED_LATENTS.basal),
      after: purity(JUDGED_LATENTS.after),
    });
  }
}
