/**
 * Training as a task: nets side by side learn from the same batches, epoch by epoch, each until its validation
 * loss stops to fall. What they have learned stays on the device, and a run that was killed goes on within an
 * epoch, to the same bits.
 *
 * A row of the task is a piece of a batch, a sweep is an epoch.
 *
 * @module
 */

import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import type { LoopKernel, Pass, SlotBuffer, Tile } from "../stream/pass.ts";
import type {
  Beginning,
  Feed,
  Held,
  HostItem,
  Identity,
  Measured,
  Task,
  TaskLayout,
} from "../stream/task.ts";
import type { AdamOptions } from "./adam.ts";
import { Adam } from "./adam.ts";
import type { Batches } from "./batches.ts";
import { KeepBest } from "./keep_best.ts";
import { LOSS_PARTS, PROGRESS_WORDS } from "./loss.ts";
import type { Net } from "./net.ts";
import { TileBatches } from "./tile_batches.ts";
import type { TrainingHeld } from "./training_record.ts";
import { addLosses, beginRecord, endEpoch, recordValues, trainingHeld } from "./training_record.ts";

/** Where samples come from. */
export interface SampleSource extends Feed {
  /** What it has in the host's memory while it is used. */
  readonly tables: readonly HostItem[];
  /** Host bytes that reading a tile takes beside what it gives. */
  readonly readBytes: number;
  begin(signal: AbortSignal): Promise<void>;
  /** Rows that are uploaded of a sample; 0 where nets have samples alone. */
  rowsOf(sample: number): number;
  /** What a tile of these samples uploads, by the names of the net's inputs. */
  read(samples: Uint32Array, signal: AbortSignal): Promise<Record<string, ArrayBufferView>>;
}

export interface TrainingOptions<Result> {
  /** Of the plan. */
  name: string;
  /** With its layers and its loss. */
  net: Net;
  /** `[nets, stride]`, what training begins with. */
  initial(): Float32Array<ArrayBuffer>;
  optimizer: AdamOptions;
  batches: Batches;
  source: SampleSource;
  epochs: number;
  /** Validations without a lower loss until a net stands still; where batches validate. */
  patience: number;
  /** What decides the result beside what is read. */
  identity: Identity;
  output: Pick<
    OutputSpec,
    "kind" | "formatVersion" | "place" | "overwrite" | "adapter" | "attributes"
  >;
  result(stored: Stored, measured: Measured): Promise<Result>;
}

// larger tiles gain nothing, and are lost when a run is killed
const MOST_TILE_ROWS = 64;
const MOST_TILE_BYTES = 32 * 2 ** 20;

export class TrainingTask<Result> implements Task<TrainingHeld, Result> {
  readonly name: string;
  readonly identity: Identity;
  readonly feeds: readonly Feed[];
  readonly held: TrainingHeld;
  readonly output: OutputSpec;
  readonly #options: TrainingOptions<Result>;
  readonly #optimizer: Adam;
  readonly #best: KeepBest | undefined;
  #epoch = 0;
  #batches: TileBatches;

  constructor(options: TrainingOptions<Result>) {
    this.#options = options;
    this.#batches = new TileBatches(options);
    const { name, net, source, epochs, batches, patience, identity, output } = options;
    const { nets, parameters, stride } = net;
    this.name = name;
    this.identity = identity;
    this.feeds = [source];
    this.held = trainingHeld(nets, stride, epochs);
    this.#optimizer = new Adam(net, options.optimizer);
    this.#best = batches.rows > batches.trainingRows ? new KeepBest(net, { patience }) : undefined;
    this.output = {
      ...output,
      streamed: [],
      whole: [
        ...parameters.map(({ name, shape }) =>
          variable(name, "float32", [nets, ...shape], ["net", ...shape.map((_, i) => `axis_${i}`)])
        ),
        variable("training_loss", "float64", [nets, epochs], ["net", "epoch"]),
        variable("validation_loss", "float64", [nets, epochs], ["net", "epoch"]),
        variable("epochs", "int32", [nets], ["net"]),
        variable("best_epoch", "int32", [nets], ["net"]),
      ],
    };
  }

  layout(tileRows: number): TaskLayout {
    const { net, initial, source, batches, epochs } = this.#options;
    const tables = [...source.tables, {
      what: "parameters of the result",
      bytes: 8 * net.nets * net.stride,
    }];
    return {
      rows: batches.rows,
      shared: [
        ...net.sharedBuffers(initial),
        ...this.#optimizer.sharedBuffers(),
        ...this.#best?.sharedBuffers() ?? [],
      ],
      passes: [this.#trainPass(tileRows, epochs), this.#takePass()],
      tables,
      mostTileRows: Math.max(
        1,
        Math.min(MOST_TILE_ROWS, Math.floor(MOST_TILE_BYTES / this.#uploadBytes(1))),
      ),
    };
  }

  async begin(held: Held<TrainingHeld>, { restored, signal }: Beginning): Promise<void> {
    this.#epoch = held.epoch[0]!;
    this.#batches = new TileBatches(this.#options);
    if (!restored) beginRecord(held);
    await this.#options.source.begin(signal);
  }

  finish(held: Held<TrainingHeld>): Outcome {
    const values = {
      ...recordValues(held, this.#best !== undefined),
      ...parameterValues(this.#options.net, held.parameters),
    };
    return { values };
  }

  result(stored: Stored, measured: Measured): Promise<Result> {
    return this.#options.result(stored, measured);
  }

  /** Bytes of uploads of so many pieces. */
  #uploads(pieces: number): SlotBuffer[] {
    const { net, batches, source } = this.#options;
    const rows = batches.most(pieces, (sample) => source.rowsOf(sample));
    const samples = batches.most(pieces, () => 1);
    return net.tileInputs.map(({ name, axis, bytes }) => ({
      name,
      // where samples begin is told of one more
      bytes: bytes * (axis === "rows" ? Math.max(1, rows) : samples + 1),
      role: "upload",
    }));
  }

  #uploadBytes(pieces: number): number {
    return this.#uploads(pieces).reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #trainPass(tileRows: number, epochs: number): Pass {
    const { net, batches, source } = this.#options;
    const { nets, losses } = net;
    const progressBytes = 4 * PROGRESS_WORDS * nets;
    const batchOf = (tile: Tile, row: number) => this.#batches.at(this.#epoch, tile, row);
    // validation has no gradient
    const backward = net.backward(batchOf).map((kernel): LoopKernel => ({
      ...kernel,
      workgroups: (tile, row) =>
        batchOf(tile, row).step === undefined ? [0] : kernel.workgroups(tile, row),
    }));
    return {
      name: "train",
      direction: "forward",
      cost: epochs,
      sweeps: { most: epochs, again: ({ held }) => this.#endEpoch(held as Held<TrainingHeld>) },
      resumesAt: (row) => this.#isBetweenUpdates(row),
      slotBuffers: [
        ...this.#uploads(tileRows),
        { name: losses.name, bytes: losses.slotBytes * tileRows, role: "download" },
        { name: "progress", bytes: progressBytes, role: "download" },
      ],
      steps: [
        {
          name: "train",
          order: "ascending",
          loop: [
            ...net.forward(batchOf),
            ...backward,
            ...this.#optimizer.step(batchOf),
            ...this.#best?.judge(batchOf) ?? [],
          ],
        },
        {
          copy: { from: net.names.progress, to: "progress" },
          ranges: () => [{ fromOffset: 0, toOffset: 0, bytes: progressBytes }],
        },
      ],
      hostBytes: { read: source.readBytes },
      read: (tile, { sweep, signal }) => source.read(this.#batches.samplesOf(sweep, tile), signal),
      write: ({ start, end }, downloads, { held }) => {
        const own = held as Held<TrainingHeld>;
        own.progress.set(new Uint32Array(downloads.progress!, 0, own.progress.length));
        const told = new Float32Array(downloads[losses.name]!);
        for (let row = start; row < end; row++) {
          const at = LOSS_PARTS * nets * (row - start);
          addLosses(
            own,
            told.subarray(at, at + LOSS_PARTS * nets),
            row < batches.trainingRows,
          );
        }
      },
    };
  }

  /** Brings back what was learned: the best state, or the last where nothing validates. */
  #takePass(): Pass {
    const { net } = this.#options;
    const bytes = 4 * net.nets * net.stride;
    const from = this.#best ? `${net.name} best` : net.names.parameters;
    return {
      name: "take",
      direction: "forward",
      cost: 0,
      rows: 1,
      slotBuffers: [{ name: "learned", bytes, role: "download" }],
      steps: [{
        copy: { from, to: "learned" },
        ranges: () => [{ fromOffset: 0, toOffset: 0, bytes }],
      }],
      read: () => Promise.resolve({}),
      write: (_, { learned }, { held }) => {
        const { parameters } = held as Held<TrainingHeld>;
        parameters.set(new Float32Array(learned!, 0, parameters.length));
      },
    };
  }

  /** Whether no gradient is half made before a row: checkpoints have none. */
  #isBetweenUpdates(row: number): boolean {
    const { batches } = this.#options;
    if (row === 0) return true;
    const { step, ends } = batches.at(this.#epoch, row - 1);
    return step === undefined || ends;
  }

  #endEpoch(held: Held<TrainingHeld>): boolean {
    const learnsOn = endEpoch(held, this.#best !== undefined);
    this.#epoch = held.epoch[0]!;
    return learnsOn;
  }
}

/** What every parameter has become, `[nets, ...shape]`. */
function parameterValues(net: Net, parameters: Float32Array): Record<string, Float32Array> {
  const { nets, stride } = net;
  const own = Array.from(
    { length: nets },
    (_, k) => net.unpack(parameters.subarray(k * stride, (k + 1) * stride)),
  );
  const values: Record<string, Float32Array> = {};
  let at = 0;
  for (const { name, shape } of net.parameters) {
    const count = shape.reduce((product, size) => product * size, 1);
    const all = new Float32Array(nets * count);
    own.forEach((one, k) => all.set(one.subarray(at, at + count), k * count));
    values[name] = all;
    at += count;
  }
  return values;
}
