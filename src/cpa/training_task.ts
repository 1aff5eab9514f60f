/**
 * The training of a perturbation model as a task: a row is a batch, a sweep is an epoch. What was learned stays on the device,
 * and a run that was killed goes on within an epoch, to the same bits.
 *
 * @module
 */

import { formatBytes } from "../math/format.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import type { LoopKernel, Pass, SharedBuffer, SlotBuffer, Tile } from "../stream/pass.ts";
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
import { BestStates } from "./best_states.ts";
import type { CellFacts } from "./cell_uploads.ts";
import { cellUploads } from "./cell_uploads.ts";
import type { PlacedTurn } from "./epoch_batches.ts";
import { EpochBatches, mixedCells } from "./epoch_batches.ts";
import { CELL_LOSSES, CELLS } from "./gene_kernels.ts";
import type { HeldCells } from "./held_cells.ts";
import { initialParameters } from "./initial.ts";
import type { CpaModel } from "./model.ts";
import { CELL_DIVERGENCES } from "./model_layers.ts";
import type { CpaOptimizers } from "./optimizers.ts";
import type { Schedule } from "./schedule.ts";
import type { Judge, RecordHeld } from "./training_record.ts";
import { HISTORY, recordHeld, TrainingRecord } from "./training_record.ts";
import { improves, opposes, whenever } from "./turns.ts";
import { Validation } from "./validation.ts";
import type { GeneLists } from "./validation_scores.ts";
import { categoriesOf } from "./validation_scores.ts";

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
  judge: Judge;
  seed: number;
  /** Whether genes that do not differ make scores what the original makes of them. */
  compat: boolean;
  /** Genes that cells which validate are compared on, where not on all. */
  lists: GeneLists | undefined;
  identity: Identity;
  output: Pick<
    OutputSpec,
    "kind" | "formatVersion" | "place" | "overwrite" | "adapter" | "attributes"
  >;
  /** Choices that an output was begun with. */
  adopt?(attributes: Record<string, unknown>): CpaTrainingTask<Result> | undefined;
  result(stored: Stored, measured: Measured): Promise<Result>;
}

type TrainingHeld = RecordHeld & Record<"learned", HeldSpec<"float32">>;

// larger tiles gain nothing, and are lost when a run is killed
const MOST_TILE_ROWS = 16;

export class CpaTrainingTask<Result> implements Task<TrainingHeld, Result> {
  readonly name = "train a perturbation model";
  readonly identity: Identity;
  readonly feeds: readonly Feed[];
  readonly held: TrainingHeld;
  readonly output: OutputSpec;
  readonly adopt?: (attributes: Record<string, unknown>) => CpaTrainingTask<Result> | undefined;
  readonly #parts: TrainingParts<Result>;
  readonly #best: BestStates;
  readonly #batches: EpochBatches;
  readonly #scores: Validation | undefined;
  #record!: TrainingRecord;
  #learned!: Float32Array;

  constructor(parts: TrainingParts<Result>) {
    this.#parts = parts;
    const { model, schedule, cells, validation, epochs, facts, judge, identity, output } = parts;
    this.identity = identity;
    this.feeds = [{
      places: cells.places,
      look: async ({ digest }) => digest ? { digest: await cells.digest() } : {},
    }];
    if (parts.adopt) this.adopt = parts.adopt;
    const isScored = judge === "cpaMetric";
    const categories = isScored ? categoriesOf(facts, validation, parts.lists) : undefined;
    this.#batches = new EpochBatches({
      ...parts,
      judged: {
        // scores are of cells that are on the device together
        most: isScored ? Math.min(schedule.most, model.parts.rows) : schedule.most,
        ...categories && { categories },
      },
    });
    this.#scores = categories && new Validation(model, facts, categories, parts);
    const judged = this.#batches.validates ? [model.body, model.head] : [];
    this.#best = new BestStates(model.nets, judged, () => this.#record);
    this.held = {
      ...recordHeld(epochs),
      learned: { dtype: "float32", length: this.#best.length, role: "scratch" },
    };
    this.output = {
      ...{ ...output, streamed: [] },
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
    const { model, cells, facts, optimizers, seed } = this.#parts;
    const shared: SharedBuffer[] = [
      ...model.nets.flatMap((net, index) =>
        net.sharedBuffers(() => initialParameters(net, seed, index))
      ),
      ...optimizers.buffers,
      ...model.sharedBuffers(),
      ...this.#best.sharedBuffers(),
      ...this.#scores?.sharedBuffers() ?? [],
    ];
    return {
      rows: this.#batches.rows,
      shared,
      passes: [
        this.#trainPass(tileRows),
        this.#best.takePass((learned) => this.#learned.set(learned)),
      ],
      tables: [
        { what: "cells, packed", bytes: cells.bytes },
        {
          what: "what cells were given",
          // with categories, and how many entries cells have
          bytes: 4 * cells.cells * (2 * facts.slots + facts.covariates.length + 6),
        },
        { what: "parameters", bytes: 3 * 4 * this.#best.length },
      ],
      notes: notesOf(model),
      mostTileRows: MOST_TILE_ROWS,
    };
  }

  begin(held: Held<TrainingHeld>, { restored }: Beginning): void {
    this.#record = new TrainingRecord(held, this.#parts.judge);
    this.#learned = held.learned;
    if (!restored) this.#record.begin();
  }

  finish(held: Held<TrainingHeld>): Outcome {
    const { model } = this.#parts;
    const values: Outcome["values"] = {};
    let at = 0;
    for (const net of model.nets) {
      values[net.name] = net.unpack(this.#learned.subarray(at, at + net.stride));
      at += net.stride;
    }
    for (const name of HISTORY) values[name] = held[name].slice();
    const { epoch, bestAt } = this.#record;
    return { values, facts: { epochs_run: epoch, best_epoch: bestAt || epoch } };
  }

  result(stored: Stored, measured: Measured): Promise<Result> {
    return this.#parts.result(stored, measured);
  }

  #trainPass(tileRows: number): Pass {
    const { model, schedule, cells, facts, epochs, patience } = this.#parts;
    const most = tileRows * schedule.most;
    return {
      name: "train",
      direction: "forward",
      cost: epochs,
      sweeps: { most: epochs, again: () => this.#record.endEpoch(patience) },
      resumesAt: () => true,
      slotBuffers: [
        ...uploadsOf(model, cells, most),
        ...model.tileOutputs.map(({ name, bytes }): SlotBuffer => ({
          ...{ name, bytes: bytes * most, role: "download" },
        })),
        ...model.classLosses.map(({ name, slotBytes }): SlotBuffer => ({
          ...{ name, bytes: slotBytes * tileRows, role: "download" },
        })),
        ...this.#scores?.slotBuffers(most) ?? [],
      ],
      steps: [
        ...this.#best.keep(),
        {
          name: "train",
          order: "ascending",
          mostTurns: Math.min(tileRows, MOST_TILE_ROWS),
          loop: this.#loop(),
        },
      ],
      hostBytes: { read: 64 * most, write: this.#scores?.writeBytes(schedule.most) ?? 0 },
      read: (tile) => {
        const batches = this.#batches.batches(this.#record.epoch, tile);
        const mixed = mixedCells(batches);
        const { starts, entries } = cells.gather(mixed.cells);
        return Promise.resolve({
          [CELLS.starts]: starts,
          [CELLS.entries]: entries,
          ...cellUploads(model.shape, facts, mixed, true),
          ...this.#scores?.uploads(batches),
        });
      },
      write: (tile, downloads) => this.#addLosses(tile, downloads),
    };
  }

  #loop(): LoopKernel[] {
    const { model, optimizers } = this.#parts;
    const turnOf = (tile: Tile, row: number) => this.#batches.turn(this.#record.epoch, tile, row);
    const when = (kernels: LoopKernel[], does: (turn: PlacedTurn) => boolean) =>
      whenever(kernels, turnOf, does);
    const validates = ({ validates }: PlacedTurn) => validates;
    return [
      ...when(model.encode(turnOf), ({ samples }) => samples > 0),
      ...when(
        model.judge(turnOf, when(this.#scores?.kernels(turnOf) ?? [], validates)),
        (turn) => turn.samples > 0 && (turn.validates || improves(turn)),
      ),
      ...when([...model.improve(turnOf), ...optimizers.improve(turnOf)], improves),
      ...when([...model.oppose(turnOf), ...optimizers.oppose(turnOf)], opposes),
    ];
  }

  #addLosses(tile: Tile, downloads: Record<string, ArrayBuffer>): void {
    const { model } = this.#parts;
    const record = this.#record;
    const told = (name: string) => new Float32Array(downloads[name]!);
    const classes = model.classLosses.map(({ name }) => told(name));
    const divergences = model.shape.variational ? told(CELL_DIVERGENCES) : undefined;
    const perCell = told(CELL_LOSSES);
    for (let row = 0; row < tile.end - tile.start; row++) {
      const turn = this.#batches.turn(record.epoch, tile, row);
      const { firstSample, samples, slot } = turn;
      const sum = (values: Float32Array) =>
        values.subarray(firstSample, firstSample + samples).reduce((all, own) => all + own, 0);
      const loss = sum(perCell);
      if (turn.validates) {
        record.add("validation_loss", loss, samples);
        if (samples > 0 && this.#scores) {
          const { cells } = this.#batches.batch(record.epoch, tile.start + row);
          record.addScores(this.#scores.scores(downloads, cells, firstSample));
        }
        continue;
      }
      if (improves(turn)) {
        record.add("training_loss", loss, samples);
        if (divergences) record.add("divergence", sum(divergences), samples);
      }
      const ofClasses = (part: number) =>
        classes.reduce((all, own) => all + own[2 * slot + part]!, 0);
      record.add("adversary_loss", ofClasses(0), 1);
      if (opposes(turn)) record.add("penalty", ofClasses(1), 1);
    }
  }
}

function uploadsOf(model: CpaModel, cells: HeldCells, most: number): SlotBuffer[] {
  const words = cells.form === "narrow" ? 1 : 2;
  return [
    {
      name: CELLS.entries,
      bytes: Math.max(4, 4 * words * cells.mostEntries(most)),
      role: "upload",
    },
    ...model.tileInputs.map(({ name, bytes }): SlotBuffer => ({
      ...{ name, bytes: bytes * (most + 1), role: "upload" },
    })),
  ];
}

function notesOf({ parts, savedBytes }: CpaModel): string[] {
  return [
    ...parts.count > 1
      ? [
        `genes of ${parts.rows} cells are on the device at a time, ${parts.count} parts make a batch: gradients and norms are of ` +
        "the whole batch, as without parts, up to rounding",
      ]
      : [],
    ...savedBytes > 0
      ? [`${formatBytes(savedBytes)} of GPU memory are saved by making values again: same bits`]
      : [],
  ];
}

function countOf(parameters: readonly { shape: readonly number[] }[]): number {
  return parameters.reduce(
    (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
}
