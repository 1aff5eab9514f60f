/**
 * One decode: its tables, its passes and its output.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";
import { FILTER_SUMS_HEAD, logNormaliser } from "../kernels/hmm_filter.ts";
import * as poisson from "../kernels/poisson_likelihood.ts";
import { hilbertDistance } from "../math/hilbert.ts";
import { toWideRow } from "../math/wide.ts";
import { CODECS } from "../zarr/codecs.ts";
import type { KernelStep, Pass, SharedBuffer, SlotBuffer, Tile } from "../stream/pass.ts";
import { tileSize } from "../stream/pass.ts";
import type {
  Commit,
  FoundOutput,
  PlanActions,
  PlanLayout,
  RunContext,
  RunReport,
  StepRecord,
} from "../stream/plan.ts";
import type { NumericArray } from "../types.ts";
import type { OperatorKind } from "./transition/choose_operator.ts";
import type { DecodeOptions } from "./decode_options.ts";
import type { DecodeResult } from "./decode_result.ts";
import type { EncodingFacts } from "./decode_store.ts";
import { DecodeOutput } from "./decode_store.ts";
import { elementBytesOf } from "./posterior_types.ts";
import type { Grid } from "./grid.ts";
import type { LaneCuts } from "./lane_cuts.ts";
import { largestDivisor } from "./lane_cuts.ts";
import type { PredictedLayout, Recursion } from "./transition/recursion.ts";
import { tableBuffer } from "./transition/recursion.ts";
import type { RowKind } from "./row_outputs.ts";
import { RowOutputs } from "./row_outputs.ts";
import type { StateModel } from "./states.ts";
import type { SpikeBins, TimeGrid } from "./time_grid.ts";

const CHUNK_BYTES = 4 * 2 ** 20;
const SHARD_BYTES = 64 * 2 ** 20;
const SUMMARY_CHUNK_ROWS = 4096;

/** How a transition is applied, and why, in a line for people. */
export interface Operator {
  kind: OperatorKind;
  reason: string;
}

/** What a decode works on. */
export interface DecodeParts {
  /** [units, interior] spikes a row. */
  rates: Float64Array;
  spikes: SpikeBins;
  time: TimeGrid;
  lanes: LaneCuts;
  recursion: Recursion;
  operator: Operator;
  encoding: EncodingFacts;
  /** What people should know before they believe the result. */
  warnings: readonly string[];
}

/** The passes of a decode, and what they work on. */
export class DecodeJob implements PlanActions<DecodeResult> {
  readonly name = "decode";
  readonly place: string;
  readonly #chunkRows: number;
  readonly #rowOutputs: RowOutputs;
  readonly #time: TimeGrid;
  readonly #spikes: SpikeBins;
  readonly #states: number;
  readonly #recursion: Recursion;
  readonly #operator: Operator;
  readonly #warnings: readonly string[];
  readonly #tables: poisson.RateTables;
  /** A row of wide numbers. */
  readonly #initial: Uint32Array<ArrayBuffer>;
  readonly #output: DecodeOutput;
  readonly #tableBytes: number;
  readonly #lanes: LaneCuts;
  /** Log-likelihood of every lane so far, natural logarithm, f64. */
  #logLikelihoods: Float64Array;
  /** Rows in which nothing that is expected agrees with the spikes. */
  #impossibleRows = 0;
  #account: RunContext["account"] | undefined;

  constructor(
    gpu: Gpu,
    grid: Grid,
    model: StateModel,
    { rates, spikes, time, lanes, recursion, operator, encoding, warnings }: DecodeParts,
    options: DecodeOptions,
  ) {
    this.#operator = operator;
    this.#warnings = warnings;
    this.#time = time;
    this.#spikes = spikes;
    const interior = grid.interiorIndex.length;
    this.#states = model.names.length;
    this.#recursion = recursion;
    this.#tables = poisson.packRates(rates, interior, this.#recursion);
    this.#initial = toWideRow(this.#recursion.toRow((state) => model.initial[state]! / interior));
    this.#lanes = lanes;
    this.#logLikelihoods = new Float64Array(lanes.count);
    const width = this.#states * interior;
    const { zarrFormat = 3, codec = "none", dtype = "f32" } = options;
    this.#rowOutputs = new RowOutputs(grid, model.names.length, {
      dtype,
      posterior: options.posterior ?? true,
      summaries: options.summaries ?? [],
    });
    // without the posterior a row is a few numbers: chunks then hold a large tile's rows
    const rowBytes = options.posterior === false
      ? CHUNK_BYTES / SUMMARY_CHUNK_ROWS
      : elementBytesOf(dtype) * width;
    const rowsOf = (bytes: number) => Math.max(1, Math.floor(bytes / rowBytes));
    // a chunk of every lane is being filled at a time
    const chunkRows = options.chunkRows ??
      Math.min(lanes.rows, divisorFor(lanes, lanes.rows, rowsOf(CHUNK_BYTES / lanes.count)));
    const laneChunks = Math.ceil(lanes.rows / chunkRows);
    const wholeShard = Math.max(1, Math.floor(rowsOf(SHARD_BYTES) / chunkRows));
    const shardChunks = options.shardChunks ??
      (zarrFormat === 2 ? 1 : divisorFor(lanes, laneChunks, wholeShard));
    for (const [name, value] of Object.entries({ chunkRows, shardChunks })) {
      if (!(Number.isInteger(value) && value >= 1)) {
        throw new RangeError(
          `Cannot plan a decode: ${name} is ${value}, wanted a whole number from 1`,
        );
      }
    }
    if (lanes.count > 1 && lanes.rows % (chunkRows * shardChunks) !== 0) {
      throw new RangeError(
        `Cannot plan a decode: ${shardChunks} chunks of ${chunkRows} rows do not divide a lane of ` +
          `${lanes.rows} rows, wanted a divisor such as chunks of ` +
          `${largestDivisor(lanes.rows, chunkRows)}; or 1 lane`,
      );
    }
    if (!CODECS.includes(codec)) {
      throw new RangeError(
        `Cannot plan a decode: codec is "${codec}", wanted one of ${CODECS.join(", ")}`,
      );
    }
    if (!(zarrFormat === 3 || (zarrFormat === 2 && shardChunks === 1))) {
      throw new RangeError(
        `Cannot plan a decode: zarrFormat is ${zarrFormat} with ${shardChunks} chunks in a shard, ` +
          `wanted 3, or 2 and no shards`,
      );
    }
    this.place = options.out;
    this.#chunkRows = chunkRows;
    this.#output = new DecodeOutput({
      place: options.out,
      overwrite: options.overwrite ?? false,
      grid,
      model,
      time,
      rowOutputs: this.#rowOutputs,
      chunkRows,
      lanes,
      operator: operator.kind,
      shardChunks,
      codec,
      zarrFormat,
      causal: options.causal ?? false,
      adapter: gpu.adapter.name,
      allowAdapterChange: options.allowAdapterChange ?? false,
      droppedSpikes: spikes.dropped,
      encoding,
      ...(spikes.missing && { missing: spikes.missing }),
      inputs: [
        rates,
        spikes.rowStarts,
        spikes.units,
        ...(spikes.missing ? [spikes.missing] : []),
        ...this.#recursion.inputs,
        this.#initial,
      ],
    });
    const { logRates, silence } = this.#tables;
    this.#tableBytes = rates.byteLength + logRates.byteLength + silence.byteLength +
      this.#recursion.hostBytes +
      this.#initial.byteLength +
      spikes.rowStarts.byteLength + spikes.units.byteLength + (spikes.missing?.byteLength ?? 0);
  }

  layout(tileRows: number): PlanLayout {
    const { rows } = this.#time;
    const lanes = this.#lanes;
    const stateBytes = this.#initial.byteLength;
    const starts = new Uint32Array(lanes.count * this.#initial.length);
    for (let lane = 0; lane < lanes.count; lane++) {
      starts.set(this.#initial, lane * this.#initial.length);
    }
    const shared: SharedBuffer[] = [
      ...this.#recursion.shared(lanes.count),
      tableBuffer("pack_table", this.#recursion.packTable),
      tableBuffer("log_rates", this.#tables.logRates),
      tableBuffer("silence", this.#tables.silence),
      tableBuffer("predicted_carry", starts),
      { name: "smoothed_carry", bytes: lanes.count * stateBytes, kind: "storage" },
      ...this.#rowOutputs.shared(),
    ];
    return {
      rows,
      shared,
      passes: [this.#filterPass(tileRows), this.#smoothPass(tileRows)],
      memory: [
        { what: "spikes and rate tables", kind: "host", bytes: this.#tableBytes },
        ...this.#output.memory(),
      ],
      ...(lanes.count > 1 && {
        lanes: {
          ...lanes,
          distance: (a: Uint8Array, b: Uint8Array) => hilbertDistance(asWide(a), asWide(b)),
        },
      }),
      alignRows: this.#chunkRows,
      notes: [
        `transition by ${this.#operator.reason}`,
        ...this.#warnings.map((warning) => `warning: ${warning}`),
      ],
    };
  }

  hash(): Promise<string> {
    return this.#output.hash();
  }

  check(begun: boolean): Promise<FoundOutput<DecodeResult>> {
    return this.#output.check(begun);
  }

  verify(steps: readonly StepRecord[]): Promise<Error | undefined> {
    return this.#output.verify(steps);
  }

  async begin(context: RunContext): Promise<void> {
    this.#account = context.account;
    const sums = context.state as readonly string[] | undefined;
    this.#logLikelihoods.forEach((_, lane, all) => all[lane] = Number(sums?.[lane] ?? 0));
    this.#impossibleRows = Number(sums?.[this.#lanes.count] ?? 0);
    context.account.take("host", this.#tableBytes, "spikes and rate tables");
    await this.#output.begin(context);
  }

  commit(pass: Pass, tile: Tile): Promise<Commit> {
    return this.#output.commit(pass, tile);
  }

  redo(_pass: Pass, rows: "all" | "begun" | "none"): void {
    this.#output.redo(rows);
  }

  /** Log-likelihoods of the lanes, then the number of impossible rows. Text: JSON has no infinities. */
  state(): string[] {
    return Array.from([...this.#logLikelihoods, this.#impossibleRows], String);
  }

  async finish(report: RunReport): Promise<DecodeResult> {
    this.#account!.giveBack("host", this.#tableBytes);
    const logLikelihood = this.#logLikelihoods.reduce((sum, own) => sum + own, 0);
    return await this.#output.finish(logLikelihood, this.#impossibleRows, report);
  }

  release(): Promise<void> {
    return this.#output.release();
  }

  get #sumsWidth(): number {
    return FILTER_SUMS_HEAD + this.#states;
  }

  /** Buffers both passes work in. */
  #slotBuffers(tileRows: number): SlotBuffer[] {
    const { cells, rowLength } = this.#recursion;
    const rows = this.#lanes.count * tileRows;
    return [
      { name: "spike_starts", bytes: 4 * (rows + 1), role: "upload" },
      { name: "spike_units", bytes: 4 * this.#mostSpikes(tileRows), role: "upload" },
      { name: "likelihood", bytes: 16 * cells * rows, role: "scratch" },
      { name: "filtered", bytes: 4 * rowLength * rows, role: "scratch" },
      { name: "row_maximum", bytes: poisson.ROW_MAXIMUM_BYTES * rows, role: "scratch" },
      { name: "filter_sums", bytes: 4 * this.#sumsWidth * rows, role: "scratch" },
    ];
  }

  /** Most spikes that tiles of so many rows have, wherever they lie; 1 at least. */
  #mostSpikes(tileRows: number): number {
    const { rows, count, burnInRows } = this.#lanes;
    const { rowStarts } = this.#spikes;
    const spikesBefore = (row: number) => rowStarts[Math.min(Math.max(row, 0), this.#time.rows)]!;
    let most = 1;
    for (let start = -burnInRows; start < rows + burnInRows; start++) {
      let spikes = 0;
      for (let lane = 0; lane < count; lane++) {
        const first = lane * rows + start;
        spikes += spikesBefore(first + tileRows) - spikesBefore(first);
      }
      most = Math.max(most, spikes);
    }
    return most;
  }

  /** Finds out the states that lanes have at the start of every tile. Everything else comes after. */
  #filterPass(tileRows: number): Pass {
    return {
      name: "filter",
      direction: "forward",
      cost: 1,
      slotBuffers: this.#slotBuffers(tileRows),
      carry: { buffer: "predicted_carry", bytes: this.#initial.byteLength },
      steps: [
        this.#likelihoodStep(),
        this.#recursion.filterStep(this.#lanes.count, {
          buffer: "predicted_carry",
          rowStride: 0,
          laneStride: () => this.#recursion.rowLength,
        }),
      ],
      read: (tile) => Promise.resolve(this.#spikesOf(tile)),
      write: () => Promise.resolve(),
    };
  }

  /** Filters each tile again, from the state at its start, and smooths it. */
  #smoothPass(tileRows: number): Pass {
    const stateBytes = this.#initial.byteLength;
    const states = this.#states;
    const { rowLength } = this.#recursion;
    const { rows: laneLength, count, burnInRows } = this.#lanes;
    const { causal } = this.#output;
    const rows = count * tileRows;
    const predicted: PredictedLayout = {
      rowStride: rowLength,
      laneStride: ({ start, end }) => (end - start + 1) * rowLength,
    };
    const outputs: RowKind[] = causal ? ["causal", "acausal"] : ["acausal"];
    const rowSteps = (kind: RowKind) =>
      outputs.includes(kind) ? this.#rowOutputs.steps(rowLength, kind) : [];
    return {
      name: "smooth",
      direction: "backward",
      cost: 3,
      carry: { buffer: "smoothed_carry", bytes: stateBytes },
      startsFrom: { pass: "filter", upload: "checkpoint" },
      slotBuffers: [
        ...this.#slotBuffers(tileRows).map((buffer): SlotBuffer =>
          buffer.name === "row_maximum" || buffer.name === "filter_sums"
            ? { ...buffer, role: "download" }
            : buffer
        ),
        { name: "checkpoint", bytes: count * stateBytes, role: "upload" },
        { name: "predicted", bytes: count * stateBytes * (tileRows + 1), role: "scratch" },
        { name: "smooth_sums", bytes: 4 * states * rows, role: "download" },
        ...outputs.flatMap((kind) => this.#rowOutputs.slotBuffers(rows, kind)),
      ],
      steps: [
        {
          copy: { from: "checkpoint", to: "predicted" },
          ranges: (tile) =>
            Array.from({ length: tile.lanes }, (_, lane) => ({
              fromOffset: lane * stateBytes,
              toOffset: lane * (tile.end - tile.start + 1) * stateBytes,
              bytes: stateBytes,
            })),
        },
        this.#likelihoodStep(),
        this.#recursion.filterStep(count, predicted),
        ...rowSteps("causal"),
        this.#recursion.smoothStep(count, predicted, ({ start, firstLane }) => ({
          firstEnd: this.#time.rows - 1 - firstLane * laneLength - start,
          laneLength,
          burnInEnd: start < laneLength ? undefined : laneLength + burnInRows - 1 - start,
        })),
        ...rowSteps("acausal"),
      ],
      read: (tile) => Promise.resolve(this.#spikesOf(tile)),
      write: async (tile, downloads, signal) => {
        const rows = tileSize(tile);
        const { normalisers, probabilities } = this.#filterSums(tile, downloads);
        // a lane that is smoothed again was filtered rightly
        if (!tile.again) {
          this.#countLogLikelihood(tile, normalisers);
          await this.#store("causal", tile, {
            ...(causal && this.#rowOutputs.values(downloads, rows, probabilities, "causal")),
            ...(this.#rowOutputs.filterVariables.length > 0 && { log_normaliser: normalisers }),
          }, signal);
        }
        const shares = new Float32Array(downloads.smooth_sums!, 0, rows * states);
        const values = this.#rowOutputs.values(downloads, rows, shares, "acausal");
        await this.#store("acausal", tile, values, signal);
      },
    };
  }

  /** Log normaliser of every row, f64, and filtered probability of every discrete state, f32. */
  #filterSums(
    tile: Tile,
    downloads: Record<string, ArrayBuffer>,
  ): { normalisers: Float64Array; probabilities: Float32Array } {
    const states = this.#states;
    const rows = tileSize(tile);
    const width = this.#sumsWidth;
    const maxima = new Int32Array(downloads.row_maximum!, 0, 2 * rows);
    const sums = new Float32Array(downloads.filter_sums!, 0, rows * width);
    const probabilities = new Float32Array(rows * states);
    const normalisers = new Float64Array(rows);
    this.#forEachRow(tile, (row, i) => {
      const [shift, inverse, ...shares] = sums.subarray(i * width, (i + 1) * width);
      normalisers[i] = logNormaliser(shift!, inverse!) +
        poisson.fromFixed(maxima[2 * i]!, maxima[2 * i + 1]!) + this.#constantOf(row);
      probabilities.set(shares, i * states);
    });
    return { normalisers, probabilities };
  }

  /** Adds rows from the last to the first, whatever the tiles are. */
  #countLogLikelihood(tile: Tile, normalisers: Float64Array): void {
    this.#forEachRow(tile, (_row, i, lane) => {
      this.#logLikelihoods[lane]! += normalisers[i]!;
      if (normalisers[i] === -Infinity) this.#impossibleRows++;
    });
  }

  /** Visits the rows of a tile that are rows of the recording, every lane from its last. */
  #forEachRow(
    { start, end, firstLane, lanes }: Tile,
    visit: (row: number, index: number, lane: number) => void,
  ): void {
    for (let own = 0; own < lanes; own++) {
      const first = (firstLane + own) * this.#lanes.rows + start;
      const present = Math.min(end - start, this.#time.rows - first);
      for (let i = present - 1; i >= 0; i--) {
        visit(first + i, own * (end - start) + i, firstLane + own);
      }
    }
  }

  /** Stores what a tile has of every variable, lane by lane. */
  async #store(
    kind: RowKind,
    tile: Tile,
    values: Record<string, NumericArray>,
    signal: AbortSignal,
  ): Promise<void> {
    const { start, end, firstLane, lanes } = tile;
    for (let own = 0; own < lanes; own++) {
      const first = (firstLane + own) * this.#lanes.rows + start;
      const present = Math.min(end - start, this.#time.rows - first);
      if (present <= 0) continue;
      const rows: Record<string, NumericArray> = {};
      for (const [name, all] of Object.entries(values)) {
        const width = all.length / tileSize(tile);
        const from = own * (end - start) * width;
        rows[name] = all.subarray(from, from + present * width);
      }
      await this.#output.write(kind, first, rows, signal);
    }
  }

  #likelihoodStep(): KernelStep {
    return {
      kernel: poisson.poissonLikelihood,
      constants: poisson.poissonLikelihoodConstants(this.#recursion.cells),
      order: "any",
      params: (_tile, from, to) => poisson.poissonLikelihoodParams(from, to),
      workgroups: poisson.poissonLikelihoodWorkgroups,
    };
  }

  /** Spikes of a tile, lane after lane, as offsets into the tile's own list. */
  #spikesOf({ start, end, firstLane, lanes }: Tile): Record<string, ArrayBufferView> {
    const { rowStarts, units, missing } = this.#spikes;
    const spikesBefore = (row: number) => rowStarts[Math.min(Math.max(row, 0), this.#time.rows)]!;
    const rows = end - start;
    const starts = new Uint32Array(lanes * rows + 1);
    const own: Uint32Array[] = [];
    let count = 0;
    for (let lane = 0; lane < lanes; lane++) {
      const first = (firstLane + lane) * this.#lanes.rows + start;
      const before = spikesBefore(first);
      for (let row = 0; row <= rows; row++) {
        starts[lane * rows + row] = count + spikesBefore(first + row) - before;
      }
      for (let row = 0; missing && row < rows; row++) {
        if (missing[first + row]) starts[lane * rows + row]! |= poisson.SILENT_ROW;
      }
      own.push(units.subarray(before, spikesBefore(first + rows)));
      count = starts[(lane + 1) * rows]!;
    }
    const list = new Uint32Array(count);
    let at = 0;
    for (const part of own) {
      list.set(part, at);
      at += part.length;
    }
    return { spike_starts: starts, spike_units: list };
  }

  /** What centring took out of a row's log-likelihood. */
  #constantOf(row: number): number {
    const { rowStarts, units, missing } = this.#spikes;
    if (missing?.[row]) return 0;
    let constant = this.#tables.silenceConstant;
    for (let spike = rowStarts[row]!; spike < rowStarts[row + 1]!; spike++) {
      constant += this.#tables.unitConstants[units[spike]!]!;
    }
    return constant;
  }
}

/** The largest number of rows up to `most` of which a whole number makes `whole`, where lanes ask for it. */
function divisorFor({ count }: LaneCuts, whole: number, most: number): number {
  return count === 1 ? Math.min(whole, most) : largestDivisor(whole, most);
}

function asWide({ buffer, byteOffset, byteLength }: Uint8Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, byteLength / 4);
}
