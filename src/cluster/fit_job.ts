/**
 * The plan of a k-means fit: a look at every row, first centres, Lloyd's iterations, and a last
 * assignment. The data are read once a sweep, or once in all where they fit on the device.
 *
 * @module
 */

import type { Points } from "../array/points.ts";
import type { ResultArray } from "../array/result_store.ts";
import { readResult, ResultStore } from "../array/result_store.ts";
import { GpuError } from "../errors.ts";
import type { Account } from "../gpu/ledger.ts";
import { digestOf } from "../math/digest.ts";
import { PANEL_ROWS, panelElements } from "../math/panels.ts";
import type { HostState } from "../store/journal.ts";
import type { Pass, SharedBuffer, Step, Tile } from "../stream/pass.ts";
import type {
  FoundOutput,
  Measured,
  MemoryItem,
  PlanActions,
  PlanLayout,
  RunContext,
  RunReport,
} from "../stream/plan.ts";
import { measured } from "../stream/plan.ts";
import { VERSION } from "../version.ts";
import type { AssignmentShape } from "./assignment.ts";
import * as assignment from "./assignment.ts";
import { Assignment } from "./assignment.ts";
import { BlockSums } from "./block_sums.ts";
import type { LloydFacts } from "./lloyd.ts";
import { Lloyd } from "./lloyd.ts";
import { seedBuffer, Seeding, seedingBytes, seedingStateBytes, seedPass } from "./seeding.ts";

/** What decides the result of a fit. */
export interface FitSettings {
  k: number;
  seed: number;
  inits: number;
  maxIterations: number;
  tolerance: number;
  spherical: boolean;
  /** `[k, features]` in the array's coordinates. */
  init: Float64Array | undefined;
}

export interface FitOptions {
  out?: string;
  overwrite?: boolean;
  adapter: string;
  /** Whether the points stay on the device. */
  resident: boolean;
  /** Hears of the result. */
  onFit(result: KMeansResult): void;
}

/** A fit. */
export interface KMeansResult extends Measured {
  /** `[k, features]` f32. */
  centroids: Float32Array;
  /** `[rows]` i32: the nearest centroid of every row, the lowest of equals. */
  ids: Int32Array;
  /** `[rows]` f32: Euclidean distance to it. */
  distances: Float32Array;
  /** Sum of squared distances, in f64. */
  inertia: number;
  /** Iterations of the best run. */
  iterations: number;
  /** Whether the best run ended because its centroids stood still. */
  converged: boolean;
  /** Rows whose two nearest centroids were closer than rounding, and that were decided in f64. */
  nearTies: number;
}

/** What a snapshot says beside centres. */
interface FitFacts {
  /** Squared movement at which runs end, as text: JSON has no infinities. */
  tolerance: string;
  runs: LloydFacts[];
  /** Centres found of the run that is being seeded, while there is one. */
  found?: number;
}
/** What it takes to say that of a run. */
const RUN_FACTS_BYTES = 160;

const KIND = "kmeans";

export class FitJob implements PlanActions<KMeansResult> {
  readonly name = "kmeans";
  readonly place?: string;
  readonly #points: Points;
  readonly #settings: FitSettings;
  readonly #options: FitOptions;
  readonly #shape: AssignmentShape;
  readonly #store: ResultStore | undefined;
  readonly #hostBytes: number;
  #hash = "";
  #account!: Account;
  #signal!: AbortSignal;
  /** Sums of every feature and of its squares, over the rows seen. */
  #moments: [Float64Array, Float64Array] = [new Float64Array(0), new Float64Array(0)];
  #seeding: Seeding | undefined;
  #runs: Lloyd[] = [];
  /** Squared movement at which runs end, in the device's coordinates; once every row was seen. */
  #tolerance: number | undefined;
  #assignment: Assignment | undefined;
  /** `[k, features]` f32. */
  #centroids = new Float32Array(0);
  #best: Lloyd | undefined;

  constructor(points: Points, settings: FitSettings, options: FitOptions) {
    this.#points = points;
    this.#settings = settings;
    this.#options = options;
    const { k, inits } = settings;
    this.#shape = { points, codes: k, resident: options.resident };
    const { rows, features } = points;
    if (options.out !== undefined) {
      this.place = options.out;
      this.#store = new ResultStore({
        place: options.out,
        overwrite: options.overwrite ?? false,
        kind: KIND,
        arrays: resultArrays(k, rows, features),
      });
    }
    // centres, sums, their corrections and new centres of every run, all f64
    this.#hostBytes = 8 * 4 * inits * k * features;
  }

  layout(tileRows: number): PlanLayout {
    const { k, inits, init } = this.#settings;
    const { rows, features } = this.#points;
    const { resident } = this.#options;
    const shared: SharedBuffer[] = assignment.codebookBuffers(this.#shape, inits);
    shared.push(new BlockSums(this.#shape, tileRows, inits).shared());
    if (!init) shared.push(seedBuffer(features));
    if (resident) {
      shared.push({
        name: "resident",
        bytes: 4 * panelElements(rows, features),
        kind: "storage",
        scratch: true,
      });
    }
    const passes = [this.#loadPass(tileRows)];
    if (!init) passes.push(this.#seedPass(tileRows));
    if (this.#settings.maxIterations > 0 || inits > 1) passes.push(this.#iteratePass(tileRows));
    passes.push(this.#assignPass(tileRows));
    const memory: MemoryItem[] = [
      // a tile being read, and one whose near ties are being decided
      { what: "rows on their way", kind: "host", bytes: 2 * this.#rowBytes(tileRows) },
      { what: "centres and sums", kind: "host", bytes: this.#hostBytes },
      { what: "ids and distances", kind: "host", bytes: assignment.assignmentBytes(rows) },
    ];
    if (!init) {
      const bytes = seedingBytes(this.#points, k, inits);
      memory.push({ what: "distances to first centres", kind: "host", bytes });
    }
    if (this.#store) {
      const bytes = this.#store.diskBytes(this.#attributes(LONGEST));
      memory.push({ what: "result", kind: "disk", bytes });
    }
    const runs = inits * (8 * k * features + RUN_FACTS_BYTES);
    const stateBytes = Math.max(runs, init ? 0 : seedingStateBytes(this.#points, k, inits));
    return {
      rows,
      shared,
      passes,
      memory,
      // tiles begin with a panel
      alignRows: 64,
      mostTileRows: 16384,
      restarts: true,
      ...(this.#store && { stateBytes }),
    };
  }

  async hash(signal: AbortSignal): Promise<string> {
    const { init: around } = this.#settings;
    const { digest } = await this.#points.look({
      digest: this.#store !== undefined,
      around,
      signal,
    });
    const { rows, features, array } = this.#points;
    const { init, ...settings } = this.#settings;
    this.#hash = await digestOf([
      JSON.stringify([VERSION, KIND, settings, rows, features, array.dtype, this.#options.adapter]),
      ...(init ? [init] : []),
      ...(digest ? [digest] : []),
    ]);
    return this.#hash;
  }

  async check(begun: boolean): Promise<FoundOutput<KMeansResult>> {
    const kind = await this.#store?.check(this.#hash, begun) ?? "nothing";
    if (kind !== "finished") return { kind };
    const result = await openKMeans(this.place!);
    this.#options.onFit(result);
    return { kind: "finished", result };
  }

  async begin({ account, signal, state }: RunContext): Promise<void> {
    this.#account = account;
    this.#signal = signal;
    const { k, seed, inits, init } = this.#settings;
    const { features, rows } = this.#points;
    const kept = state as HostState | undefined;
    account.take("host", this.#hostBytes, "centres and sums");
    account.take("host", assignment.assignmentBytes(rows), "ids and distances");
    this.#moments = [new Float64Array(features), new Float64Array(features)];
    const { tolerance, runs = [], found } = (kept?.facts ?? {}) as Partial<FitFacts>;
    this.#tolerance = tolerance === undefined ? undefined : Number(tolerance);
    this.#runs = runs.map((known, i) => this.#run(kept!.arrays[i] as Float64Array, known));
    this.#seeding = undefined;
    if (init || runs.length > 0) return;
    account.take("host", seedingBytes(this.#points, k, inits), "distances to first centres");
    this.#seeding = new Seeding(this.#points, k, inits, seed);
    if (kept) this.#seeding.resume({ found: found!, arrays: kept.arrays });
    else await this.#seeding.start(signal);
  }

  snapshot(): HostState {
    const seeding = this.#runs.length > 0 ? undefined : this.#seeding?.state;
    const facts: FitFacts = {
      tolerance: String(this.#tolerance),
      runs: this.#runs.map(({ facts }) => facts),
      ...(seeding && { found: seeding.found }),
    };
    return { facts, arrays: seeding?.arrays ?? this.#runs.map(({ centers }) => centers) };
  }

  #run(centers: Float64Array, known?: LloydFacts): Lloyd {
    const { maxIterations, spherical } = this.#settings;
    const options = { tolerance: this.#tolerance!, maxIterations, spherical };
    return new Lloyd(this.#points, centers, options, known);
  }

  async finish(report: RunReport): Promise<KMeansResult> {
    const account = this.#account;
    const { k, inits } = this.#settings;
    account.giveBack("host", this.#hostBytes);
    account.giveBack("host", assignment.assignmentBytes(this.#points.rows));
    if (this.#seeding) account.giveBack("host", seedingBytes(this.#points, k, inits));
    const { ids, distances, inertia, nearTies } = this.#assignment!;
    const { iterations, converged } = this.#best!;
    const facts = {
      inertia,
      iterations,
      converged,
      near_ties: nearTies,
    };
    if (this.#store) {
      const bytes = await this.#store.write(
        this.#hash,
        { centroids: this.#centroids, ids, distances },
        this.#attributes(facts),
      );
      account.take("disk", bytes, "result");
    }
    const result = {
      centroids: this.#centroids,
      ids,
      distances,
      inertia,
      iterations,
      converged,
      nearTies,
      ...measured({ ...report, peakBytes: { ...account.peak } }),
    };
    this.#options.onFit(result);
    return result;
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  /** Host bytes of a tile's rows: as they are stored, and in panels. */
  #rowBytes(tileRows: number): number {
    return 4 * panelElements(tileRows, this.#points.features) +
      8 * tileRows * this.#points.features;
  }

  /** Looks at every row: for values that are no numbers, for the variance, and to keep them. */
  #loadPass(tileRows: number): Pass {
    const { resident } = this.#options;
    const { features } = this.#points;
    const bytes = (rows: number) => 4 * panelElements(rows, features);
    const look = (row: Float64Array) => {
      const [first, second] = this.#moments;
      for (let d = 0; d < row.length; d++) {
        first[d]! += row[d]!;
        second[d]! += row[d]! * row[d]!;
      }
    };
    const steps: Step[] = !resident ? [] : [{
      copy: { from: "points", to: "resident" },
      ranges: ({ start, end }) => [{
        fromOffset: 0,
        toOffset: 4 * start * features,
        bytes: bytes(end - start),
      }],
    }];
    return {
      name: "load",
      direction: "forward",
      cost: 1,
      fillsDevice: resident,
      slotBuffers: resident ? [{ name: "points", bytes: bytes(tileRows), role: "upload" }] : [],
      steps,
      read: (tile, signal) =>
        this.#held(tile, async () => {
          const { start, end } = tile;
          if (resident && start % PANEL_ROWS !== 0) {
            // only when the driver refused a tile and it was halved too often
            throw new GpuError(
              `Cannot keep the points on the device: a tile begins at row ${start}, wanted a ` +
                `multiple of ${PANEL_ROWS}; allow a smaller budget`,
            );
          }
          const points = await this.#points.readPanels(start, end, { signal, look });
          return resident ? { points } : {};
        }),
      write: (tile) => {
        if (tile.end === this.#points.rows) this.#setTolerance();
        return Promise.resolve();
      },
    };
  }

  /** Counts the host bytes of a tile's rows while they are read and handed over. */
  async #held<Value>({ start, end }: Tile, read: () => Promise<Value>): Promise<Value> {
    const bytes = this.#rowBytes(end - start);
    this.#account.take("host", bytes, "rows on their way");
    try {
      return await read();
    } finally {
      this.#account.giveBack("host", bytes);
    }
  }

  #setTolerance(): void {
    // a run that goes on only wants the points on the device again
    if (this.#tolerance !== undefined) return;
    const { rows } = this.#points;
    const { init, tolerance } = this.#settings;
    const [first, second] = this.#moments;
    let variance = 0;
    first.forEach((sum, d) => variance += second[d]! / rows - (sum / rows) ** 2);
    const mean = Math.max(0, variance / first.length);
    this.#tolerance = tolerance * mean;
    if (init) this.#runs = [this.#run(this.#points.toScaled(init))];
  }

  #seedPass(tileRows: number): Pass {
    const { k, inits } = this.#settings;
    return seedPass(this.#shape, tileRows, inits * k, {
      seeding: () => this.#seeding!,
      read: (tile, signal) => this.#read(tile, signal),
      again: async () => {
        if (await this.#seeding!.next(this.#signal)) return true;
        this.#runs = this.#seeding!.centers.map((centers) => this.#run(centers));
        return false;
      },
    });
  }

  #read(tile: Tile, signal: AbortSignal): Promise<Record<string, ArrayBufferView>> {
    if (this.#options.resident) return Promise.resolve({});
    return this.#held(tile, () => assignment.readTile(this.#shape, tile, signal));
  }

  /** All runs side by side, so that the data are read once an iteration. */
  #iteratePass(tileRows: number): Pass {
    const { k, inits, maxIterations } = this.#settings;
    const sums = new BlockSums(this.#shape, tileRows, inits);
    const active = () => this.#runs.filter((run) => run.active);
    const books = () => active().length;
    return {
      name: "iterate",
      direction: "forward",
      cost: inits * k * maxIterations,
      sweeps: {
        most: maxIterations + 1,
        again: async () => {
          await Promise.all(active().map((run) => run.update(this.#signal)));
          // the last assignment measures the inertia of a run that has no rivals
          return inits > 1 ? books() > 0 : this.#runs[0]!.moving;
        },
      },
      tables: () => assignment.codebookTables(this.#shape, active().map(({ centers }) => centers)),
      slotBuffers: [
        ...assignment.uploadedPoints(this.#shape, tileRows),
        ...assignment.assignmentBuffers(this.#shape, tileRows, inits),
        sums.slotBuffer(),
      ],
      steps: [
        ...assignment.assignmentSteps(this.#shape, tileRows, books),
        ...sums.steps(books),
      ],
      read: (tile, signal) => this.#read(tile, signal),
      write: async (tile, downloads, signal) => {
        const runs = active();
        for (const [book, run] of runs.entries()) {
          const { ids, nearness } = assignment.tileOf(downloads, tile, tileRows, book);
          await run.takeRows(tile, ids, nearness, signal);
        }
        sums.forEach(tile, downloads, runs.length, (book, own) => runs[book]!.takeSums(own));
      },
    };
  }

  #assignPass(tileRows: number): Pass {
    const { k } = this.#settings;
    return {
      name: "assign",
      direction: "forward",
      cost: k,
      tables: () => {
        this.#best = this.#runs.reduce((best, run) => run.inertia! < best.inertia! ? run : best);
        this.#centroids = Float32Array.from(this.#points.toOriginal(this.#best.centers));
        // of the centroids as they are handed out
        const codes = this.#points.toScaled(this.#centroids);
        this.#assignment = new Assignment(this.#points, codes);
        return assignment.codebookTables(this.#shape, [codes]);
      },
      slotBuffers: [
        ...assignment.uploadedPoints(this.#shape, tileRows),
        ...assignment.assignmentBuffers(this.#shape, tileRows, 1),
      ],
      steps: assignment.assignmentSteps(this.#shape, tileRows, () => 1),
      read: (tile, signal) => this.#read(tile, signal),
      write: (tile, downloads, signal) => this.#assignment!.collect(tile, downloads, signal),
    };
  }

  #attributes(facts: Record<string, unknown>): Record<string, unknown> {
    const { init, inits, maxIterations, ...settings } = this.#settings;
    return {
      parameters: {
        ...settings,
        init: init ? "given" : "k-means++",
        n_init: inits,
        max_iter: maxIterations,
      },
      adapter: this.#options.adapter,
      ...facts,
    };
  }
}

// attributes are never longer than with these
const LONGEST = {
  inertia: -Number.MAX_VALUE,
  iterations: Number.MAX_SAFE_INTEGER,
  converged: false,
  near_ties: Number.MAX_SAFE_INTEGER,
};

function resultArrays(k: number, rows: number, features: number): Record<string, ResultArray> {
  return {
    centroids: { dtype: "float32", shape: [k, features], dims: ["cluster", "feature"] },
    ids: { dtype: "int32", shape: [rows], dims: ["row"] },
    distances: { dtype: "float32", shape: [rows], dims: ["row"] },
  };
}

/**
 * Opens a stored fit.
 *
 * @throws {ChunkError} If there is none at `place`, or a newer version wrote it.
 */
export async function openKMeans(place: string): Promise<KMeansResult> {
  const { attributes, arrays } = await readResult(place, KIND);
  const nothing = () => ({ gpu: 0, host: 0, disk: 0 });
  return {
    centroids: arrays.centroids as Float32Array,
    ids: arrays.ids as Int32Array,
    distances: arrays.distances as Float32Array,
    inertia: attributes.inertia as number,
    iterations: attributes.iterations as number,
    converged: attributes.converged as boolean,
    nearTies: attributes.near_ties as number,
    projectedBytes: nothing(),
    peakBytes: nothing(),
    seconds: {},
  };
}
