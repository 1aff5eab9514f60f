/**
 * The training of a perturbation model as a task: a row is a batch, a sweep is an epoch. What was learned stays on the device,
 * and a run that was killed goes on within an epoch, to the same bits.
 *
 * @module
 */

import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import type { CopyStep, LoopKernel, Pass, SharedBuffer, SlotBuffer, Tile } from "../stream/pass.ts";
import type {
  Beginning,
  Feed,
  Held,
  HeldSpec,
  Identity,
  Measured,
  Task,
  TaskLayout,
} from "../stream/task.ts";
import type { CellFacts, MixedCells } from "./cell_uploads.ts";
import { cellUploads } from "./cell_uploads.ts";
import type { HeldCells } from "./held_cells.ts";
import { initialParameters } from "./initial.ts";
import type { CellTurn, CpaModel } from "./model.ts";
import { CELL_LOSSES, CELLS } from "./model.ts";
import type { CpaOptimizers } from "./optimizers.ts";
import type { Schedule } from "./schedule.ts";

export interface TrainingParts<Result> {
  model: CpaModel;
  optimizers: CpaOptimizers;
  schedule: Schedule;
  cells: HeldCells;
  facts: CellFacts;
  /** That say when to stop. */
  validation: Uint32Array;
  epochs: number;
  validateEvery: number;
  patience: number;
  seed: number;
  identity: Identity;
  output: Pick<
    OutputSpec,
    "kind" | "formatVersion" | "place" | "overwrite" | "adapter" | "attributes"
  >;
  result(stored: Stored, measured: Measured): Promise<Result>;
}

/** Sums of an epoch. */
const SUMS = {
  ...{ recon: 0, cells: 1, entropy: 2, entropies: 3 },
  ...{ penalty: 4, penalties: 5, validation: 6, validated: 7 },
} as const;
const SUM_COUNT = 8;

/** Means of an epoch, `[epochs]`; NaN where there was nothing to average. */
export const HISTORY = ["training_loss", "adversary_loss", "penalty", "validation_loss"] as const;

type TrainingHeld =
  & Record<
    typeof HISTORY[number] | "sums" | "best",
    HeldSpec<"float64">
  >
  & Record<"progress", HeldSpec<"uint32">>
  & Record<"learned", HeldSpec<"float32">>;

/** Of `progress`: epochs that are done; validations since the best; the epoch, from 1, of the best; whether that was the last. */
const PROGRESS = { epoch: 0, stale: 1, bestAt: 2, isBest: 3 } as const;

// larger tiles gain nothing, and are lost when a run is killed
const MOST_TILE_ROWS = 16;

/** A batch of an epoch, in its tile. */
interface PlacedTurn extends CellTurn {
  validates: boolean;
}

export class CpaTrainingTask<Result> implements Task<TrainingHeld, Result> {
  readonly name = "train a perturbation model";
  readonly identity: Identity;
  readonly feeds: readonly Feed[];
  readonly held: TrainingHeld;
  readonly output: OutputSpec;
  readonly #parts: TrainingParts<Result>;
  readonly #learnedLength: number;
  readonly #validationBatches: number;
  #held!: Held<TrainingHeld>;
  #places: { epoch: number; start: number; end: number; turns: PlacedTurn[] } | undefined;

  constructor(parts: TrainingParts<Result>) {
    this.#parts = parts;
    const { model, schedule, cells, validation, epochs, identity, output } = parts;
    this.identity = identity;
    this.feeds = [{
      look: async ({ digest }) => digest ? { digest: await cells.digest() } : {},
    }];
    this.#validationBatches = Math.ceil(validation.length / schedule.most);
    this.#learnedLength = model.nets.reduce((sum, { stride }) => sum + stride, 0);
    const perEpoch = { dtype: "float64", length: epochs } as const;
    this.held = {
      ...{ training_loss: perEpoch, adversary_loss: perEpoch },
      ...{ penalty: perEpoch, validation_loss: perEpoch },
      sums: { dtype: "float64", length: SUM_COUNT },
      best: { dtype: "float64", length: 1 },
      progress: { dtype: "uint32", length: 4 },
      learned: { dtype: "float32", length: this.#learnedLength, role: "scratch" },
    };
    this.output = {
      ...output,
      streamed: [],
      whole: [
        ...model.nets.map(({ name, parameters }) =>
          variable(name, "float32", [countOf(parameters)], [`${name}_parameter`])
        ),
        ...HISTORY.map((name) => variable(name, "float64", [epochs], ["epoch"])),
      ],
      longest: { epochs_run: epochs, best_epoch: epochs },
    };
  }

  layout(tileRows: number): TaskLayout {
    const { model, schedule, cells, facts, optimizers, seed } = this.#parts;
    const shared: SharedBuffer[] = [
      ...model.nets.flatMap((net, index) =>
        net.sharedBuffers(() => initialParameters(net, seed, index))
      ),
      ...optimizers.buffers,
      ...model.sharedBuffers(),
      ...this.#judged().map(({ name, stride }): SharedBuffer => ({
        ...{ name: bestOf(name), bytes: 4 * stride, kind: "storage", kept: true },
      })),
    ];
    return {
      rows: schedule.batches + this.#validationBatches,
      shared,
      passes: [this.#trainPass(tileRows), this.#takePass()],
      tables: [
        { what: "cells, packed", bytes: cells.bytes },
        {
          what: "what cells were given",
          bytes: 4 * cells.cells * (2 * facts.slots + facts.covariates.length + 3),
        },
        { what: "parameters", bytes: 3 * 4 * this.#learnedLength },
      ],
      mostTileRows: MOST_TILE_ROWS,
    };
  }

  begin(held: Held<TrainingHeld>, { restored }: Beginning): void {
    this.#held = held;
    this.#places = undefined;
    if (!restored) {
      for (const name of HISTORY) held[name]!.fill(NaN);
      held.best![0] = Infinity;
    }
  }

  finish(held: Held<TrainingHeld>): Outcome {
    const { model } = this.#parts;
    const values: Outcome["values"] = {};
    let at = 0;
    for (const net of model.nets) {
      values[net.name] = net.unpack(held.learned!.subarray(at, at + net.stride));
      at += net.stride;
    }
    for (const name of HISTORY) values[name] = held[name]!.slice();
    const [epochs, , bestAt] = held.progress!;
    return { values, facts: { epochs_run: epochs, best_epoch: bestAt || epochs } };
  }

  result(stored: Stored, measured: Measured): Promise<Result> {
    return this.#parts.result(stored, measured);
  }

  /** Nets whose best state is kept: those that validation judges. */
  #judged() {
    const { model } = this.#parts;
    return this.#validationBatches > 0 ? [model.body, model.head] : [];
  }

  #uploads(rows: number): SlotBuffer[] {
    const { model, schedule, cells } = this.#parts;
    const most = rows * schedule.most;
    const words = cells.form === "narrow" ? 1 : 2;
    return [
      {
        name: CELLS.entries,
        bytes: Math.max(4, 4 * words * this.#mostEntries(most)),
        role: "upload",
      },
      ...model.tileInputs.map(({ name, bytes }): SlotBuffer => ({
        ...{ name, bytes: bytes * (most + 1), role: "upload" },
      })),
    ];
  }

  #mostEntries(count: number): number {
    const { cells } = this.#parts;
    const sizes = Float64Array.from({ length: cells.cells }, (_, cell) => cells.entriesOf(cell));
    return sizes.sort().reverse().subarray(0, count).reduce((sum, size) => sum + size, 0);
  }

  #trainPass(tileRows: number): Pass {
    const { model, optimizers, schedule, cells, facts, epochs } = this.#parts;
    const most = tileRows * schedule.most;
    const turnOf = (tile: Tile, row: number) => this.#turnOf(tile, row);
    const when = (kernels: LoopKernel[], does: (turn: PlacedTurn) => boolean): LoopKernel[] =>
      kernels.map((kernel) => ({
        ...kernel,
        workgroups: (tile, row) => does(turnOf(tile, row)) ? kernel.workgroups(tile, row) : [0],
      }));
    const improves = ({ autoencoder = 0 }: PlacedTurn) => autoencoder > 0;
    const opposes = ({ adversary = 0 }: PlacedTurn) => adversary > 0;
    return {
      name: "train",
      direction: "forward",
      cost: epochs,
      sweeps: { most: epochs, again: () => this.#endEpoch() },
      resumesAt: () => true,
      slotBuffers: [
        ...this.#uploads(tileRows),
        { name: CELL_LOSSES, bytes: 4 * most, role: "download" },
        ...model.classLosses.map(({ name, slotBytes }): SlotBuffer => ({
          ...{ name, bytes: slotBytes * tileRows, role: "download" },
        })),
      ],
      steps: [
        // what was best when the last epoch ended
        ...this.#judged().map(({ name, stride, names }): CopyStep => ({
          copy: { from: names.parameters, to: bestOf(name) },
          ranges: ({ start }) =>
            start === 0 && this.#held.progress![PROGRESS.isBest] === 1
              ? [{ fromOffset: 0, toOffset: 0, bytes: 4 * stride }]
              : [],
        })),
        {
          name: "train",
          order: "ascending",
          loop: [
            ...when(model.encode(turnOf), ({ samples }) => samples > 0),
            ...when(
              [...model.decode(turnOf), ...model.judge(turnOf)],
              (turn) => turn.samples > 0 && (turn.validates || improves(turn)),
            ),
            ...when([...model.improve(turnOf), ...optimizers.improve(turnOf)], improves),
            ...when([...model.oppose(turnOf), ...optimizers.oppose(turnOf)], opposes),
          ],
        },
      ],
      hostBytes: { read: 64 * most },
      read: (tile) => {
        const mixed = this.#mixedCells(tile);
        const { starts, entries } = cells.gather(mixed.cells);
        return Promise.resolve({
          [CELLS.starts]: starts,
          [CELLS.entries]: entries,
          ...cellUploads(model.shape, facts, mixed, true),
        });
      },
      write: (tile, downloads) => this.#addLosses(tile, downloads),
    };
  }

  /** Brings back what was learned: the best state, or the last where nothing validates. */
  #takePass(): Pass {
    const { model } = this.#parts;
    const judged = this.#judged();
    const bytes = 4 * this.#learnedLength;
    let at = 0;
    const copies = model.nets.flatMap((net): CopyStep[] => {
      const toOffset = at;
      at += 4 * net.stride;
      const own = [{ fromOffset: 0, toOffset, bytes: 4 * net.stride }];
      const isCurrent = () => {
        const [, , bestAt, isBest] = this.#held.progress!;
        return !judged.includes(net) || bestAt === 0 || isBest === 1;
      };
      const copy = (from: string, does: () => boolean): CopyStep => ({
        copy: { from, to: "learned" },
        ranges: () => does() ? own : [],
      });
      return [
        copy(net.names.parameters, isCurrent),
        ...judged.includes(net) ? [copy(bestOf(net.name), () => !isCurrent())] : [],
      ];
    });
    return {
      ...{ name: "take", direction: "forward", cost: 0, rows: 1 },
      slotBuffers: [{ name: "learned", bytes, role: "download" }],
      steps: copies,
      read: () => Promise.resolve({}),
      write: (_, { learned }) => {
        this.#held.learned!.set(new Float32Array(learned!, 0, this.#learnedLength));
      },
    };
  }

  /** Cells of a row of the task. */
  #cellsOf(epoch: number, row: number) {
    const { schedule, validation, validateEvery, epochs } = this.#parts;
    if (row < schedule.batches) return { ...schedule.at(epoch, row), validates: false };
    const due = (epoch + 1) % validateEvery === 0 || epoch + 1 === epochs;
    const first = (row - schedule.batches) * schedule.most;
    const cells = due ? validation.subarray(first, first + schedule.most) : new Uint32Array();
    return { cells, partners: cells.map((_, i) => i), share: 1, validates: true };
  }

  #mixedCells({ start, end }: Tile): MixedCells {
    const epoch = this.#held.progress![PROGRESS.epoch]!;
    const batches = Array.from(
      { length: end - start },
      (_, i) => this.#cellsOf(epoch, start + i),
    );
    const count = batches.reduce((sum, { cells }) => sum + cells.length, 0);
    const cells = new Uint32Array(count);
    const partners = new Uint32Array(count);
    const partnersInBatch = new Uint32Array(count);
    const shares = new Float32Array(count);
    let at = 0;
    for (const batch of batches) {
      cells.set(batch.cells, at);
      partnersInBatch.set(batch.partners, at);
      partners.set(batch.partners.map((partner) => at + partner), at);
      shares.fill(batch.share, at, at + batch.cells.length);
      at += batch.cells.length;
    }
    return { cells, partners, partnersInBatch, shares };
  }

  #turnOf({ start, end }: Tile, row: number): PlacedTurn {
    const epoch = this.#held.progress![PROGRESS.epoch]!;
    const known = this.#places;
    if (known?.epoch !== epoch || known.start !== start || known.end !== end) {
      let firstSample = 0;
      const turns = Array.from({ length: end - start }, (_, slot) => {
        const { cells, partners: _partners, ...turn } = this.#cellsOf(epoch, start + slot);
        const own = { ...turn, firstSample, samples: cells.length, slot };
        firstSample += cells.length;
        return own;
      });
      this.#places = { epoch, start, end, turns };
    }
    return this.#places!.turns[row]!;
  }

  #addLosses(tile: Tile, downloads: Record<string, ArrayBuffer>): void {
    const sums = this.#held.sums!;
    const perCell = new Float32Array(downloads[CELL_LOSSES]!);
    const classes = this.#parts.model.classLosses.map(({ name }) =>
      new Float32Array(downloads[name]!)
    );
    for (let row = 0; row < tile.end - tile.start; row++) {
      const turn = this.#turnOf(tile, row);
      const { firstSample, samples, slot, validates, autoencoder = 0, adversary = 0 } = turn;
      let loss = 0;
      for (let i = firstSample; i < firstSample + samples; i++) loss += perCell[i]!;
      if (validates) {
        sums[SUMS.validation]! += loss;
        sums[SUMS.validated]! += samples;
        continue;
      }
      if (autoencoder > 0) {
        sums[SUMS.recon]! += loss;
        sums[SUMS.cells]! += samples;
      }
      for (const own of classes) sums[SUMS.entropy]! += own[2 * slot]!;
      sums[SUMS.entropies]!++;
      if (adversary > 0) {
        for (const own of classes) sums[SUMS.penalty]! += own[2 * slot + 1]!;
        sums[SUMS.penalties]!++;
      }
    }
  }

  /** Writes down how the epoch went; whether there is another. */
  #endEpoch(): boolean {
    const { patience, epochs } = this.#parts;
    const { sums, best, progress } = this.#held;
    const epoch = progress![PROGRESS.epoch]!;
    const mean = (sum: number, count: number) =>
      sums![count] === 0 ? NaN : sums![sum]! / sums![count]!;
    const loss = mean(SUMS.recon, SUMS.cells);
    const validation = mean(SUMS.validation, SUMS.validated);
    this.#held.training_loss![epoch] = loss;
    this.#held.adversary_loss![epoch] = mean(SUMS.entropy, SUMS.entropies);
    this.#held.penalty![epoch] = mean(SUMS.penalty, SUMS.penalties);
    this.#held.validation_loss![epoch] = validation;
    progress![PROGRESS.isBest] = 0;
    if (sums![SUMS.validated]! > 0) {
      if (validation < best![0]!) {
        best![0] = validation;
        progress![PROGRESS.bestAt] = epoch + 1;
        progress![PROGRESS.isBest] = 1;
        progress![PROGRESS.stale] = 0;
      } else {
        progress![PROGRESS.stale]!++;
      }
    }
    // nothing that comes after makes a number of it
    const isLost = sums![SUMS.cells]! > 0 && !Number.isFinite(loss);
    sums!.fill(0);
    progress![PROGRESS.epoch] = epoch + 1;
    this.#places = undefined;
    return epoch + 1 < epochs && !isLost && progress![PROGRESS.stale]! < patience;
  }
}

const bestOf = (net: string) => `${net} best`;

function countOf(parameters: readonly { shape: readonly number[] }[]): number {
  return parameters.reduce(
    (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
}
