/**
 * The plan of a k-means fit: a look at every row, first centres, Lloyd's iterations, and a last
 * assignment. The data are read once a sweep, or once in all where they fit on the device.
 *
 * @module
 */

import type { Look, Points } from "../feed/points.ts";
import type { ResultArray } from "../array/result_store.ts";
import { readResult, ResultStore } from "../array/result_store.ts";
import { GpuError } from "../errors.ts";
import type { Account } from "../gpu/ledger.ts";
import { digestOf } from "../math/digest.ts";
import { PANEL_ROWS } from "../math/panels.ts";
import type { HostState } from "../store/journal.ts";
import type { Pass, SharedBuffer, Tile } from "../stream/pass.ts";
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
import type { Codes } from "./codes.ts";
import { codesOf } from "./codes.ts";
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
  /** `[k, features]` f64, in the array's units. */
  centroids: Float64Array;
  /** `[rows]` i32: the nearest centroid of every row, the lowest of equals. */
  ids: Int32Array;
  /** `[rows]`: Euclidean distance to it; f64 of f64 rows, or f32. */
  distances: Float32Array | Float64Array;
  /** Sum of squared distances, in f64. */
  inertia: number;
  /** Iterations of the best run. */
  iterations: number;
  /** Whether the best run ended because its centroids stood still. */
  converged: boolean;
  /** Rows whose two nearest centroids were closer than rounding, and that were decided in f64. */
  nearTies: number;
  /** Clusters without rows: fewer rows than `k` differ. */
  emptyClusters: number;
}

/** What a snapshot says beside centres. */
interface FitFacts {
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
  #look!: Look;
  #seeding: Seeding | undefined;
  #runs: Lloyd[] = [];
  #assignment: Assignment | undefined;
  /** `[k, features]` */
  #centroids: Float64Array = new Float64Array(0);
  #best: Lloyd | undefined;

  constructor(points: Points, settings: FitSettings, options: FitOptions) {
    this.#points = points;
    this.#settings = settings;
    this.#options = options;
    const { k, inits } = settings;
    this.#shape = { points, codes: k, resident: options.resident };
    const { features } = points;
    if (options.out !== undefined) {
      this.place = options.out;
      this.#store = new ResultStore({
        place: options.out,
        overwrite: options.overwrite ?? false,
        kind: KIND,
        arrays: resultArrays(k, points),
      });
    }
    // centres, sums, their corrections and new centres of every run, f64; those the device has, f32
    this.#hostBytes = (4 * 8 + 2 * 4) * inits * k * features;
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
        bytes: assignment.panelBytes(this.#points, rows),
        kind: "storage",
        scratch: true,
      });
    }
    const passes = resident ? [this.#loadPass(tileRows)] : [];
    if (!init) passes.push(this.#seedPass(tileRows));
    if (this.#settings.maxIterations > 0 || inits > 1) passes.push(this.#iteratePass(tileRows));
    passes.push(this.#assignPass(tileRows));
    const memory: MemoryItem[] = [
      // a tile being read, and one whose near ties are being decided
      {
        what: "rows on their way",
        kind: "host",
        bytes: 2 * assignment.rowBytes(this.#points, tileRows),
      },
      { what: "centres and sums", kind: "host", bytes: this.#hostBytes },
      { what: "ids and distances", kind: "host", bytes: assignment.assignmentBytes(this.#points) },
    ];
    if (!init) {
      const bytes = seedingBytes(this.#points, k, inits);
      memory.push({ what: "distances to first centres", kind: "host", bytes });
    }
    if (this.#store) {
      const bytes = this.#store.diskBytes(this.#attributes(LONGEST));
      memory.push({ what: "result", kind: "disk", bytes });
    }
    const runs = inits * ((8 + 4) * k * features + RUN_FACTS_BYTES);
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
    this.#look = await this.#points.look({
      digest: this.#store !== undefined,
      around,
      signal,
    });
    const { digest } = this.#look;
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
    const kept = state as HostState | undefined;
    account.take("host", this.#hostBytes, "centres and sums");
    account.take("host", assignment.assignmentBytes(this.#points), "ids and distances");
    const { runs = [], found } = (kept?.facts ?? {}) as Partial<FitFacts>;
    this.#runs = runs.map((known, i) => {
      const [centers, coarse] = kept!.arrays.slice(2 * i) as [Float64Array, Float32Array];
      return this.#run({ centers, coarse }, known);
    });
    this.#seeding = undefined;
    if (runs.length > 0) return;
    if (init) {
      this.#runs = [this.#run(codesOf(this.#points.toScaled(init)))];
      return;
    }
    account.take("host", seedingBytes(this.#points, k, inits), "distances to first centres");
    this.#seeding = new Seeding(this.#points, k, inits, seed);
    if (kept) this.#seeding.resume({ found: found!, arrays: kept.arrays });
    else await this.#seeding.start(signal);
  }

  snapshot(): HostState {
    const seeding = this.#runs.length > 0 ? undefined : this.#seeding?.state;
    const facts: FitFacts = {
      runs: this.#runs.map(({ facts }) => facts),
      ...(seeding && { found: seeding.found }),
    };
    const arrays = seeding?.arrays ??
      this.#runs.flatMap(({ codes: { centers, coarse } }) => [centers, coarse]);
    return { facts, arrays };
  }

  #run(codes: Codes, known?: LloydFacts): Lloyd {
    const { maxIterations, spherical, tolerance } = this.#settings;
    const { variance } = this.#look;
    const mean = variance.reduce((sum, value) => sum + value, 0) / variance.length;
    const options = { tolerance: tolerance * mean, maxIterations, spherical };
    return new Lloyd(this.#points, codes, options, known);
  }

  async finish(report: RunReport): Promise<KMeansResult> {
    const account = this.#account;
    const { k, inits } = this.#settings;
    account.giveBack("host", this.#hostBytes);
    account.giveBack("host", assignment.assignmentBytes(this.#points));
    if (this.#seeding) account.giveBack("host", seedingBytes(this.#points, k, inits));
    const { ids, distances, inertia, nearTies, counts } = this.#assignment!;
    const emptyClusters = counts.reduce((sum, count) => sum + (count === 0 ? 1 : 0), 0);
    const { iterations, converged } = this.#best!;
    const facts = {
      inertia,
      iterations,
      converged,
      near_ties: nearTies,
      empty_clusters: emptyClusters,
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
      emptyClusters,
      ...measured({ ...report, peakBytes: { ...account.peak } }),
    };
    this.#options.onFit(result);
    return result;
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  /** Brings the points to the device, where they stay. */
  #loadPass(tileRows: number): Pass {
    const points = this.#points;
    return {
      name: "load",
      direction: "forward",
      cost: 1,
      fillsDevice: true,
      slotBuffers: assignment.uploadedPoints({ ...this.#shape, resident: false }, tileRows),
      steps: [{
        copy: { from: "points", to: "resident" },
        ranges: ({ start, end }) => [{
          fromOffset: 0,
          // tiles begin with a panel
          toOffset: assignment.panelBytes(points, start),
          bytes: assignment.panelBytes(points, end - start),
        }],
      }],
      read: (tile, signal) =>
        this.#held(tile, async () => {
          const { start, end } = tile;
          if (start % PANEL_ROWS !== 0) {
            // only when the driver refused a tile and it was halved too often
            throw new GpuError(
              `Cannot keep the points on the device: a tile begins at row ${start}, wanted a ` +
                `multiple of ${PANEL_ROWS}; allow a smaller budget`,
            );
          }
          return { points: await points.readPanels(start, end, { signal }) };
        }),
      write: () => Promise.resolve(),
    };
  }

  /** Counts the host bytes of a tile's rows while they are read and handed over. */
  async #held<Value>({ start, end }: Tile, read: () => Promise<Value>): Promise<Value> {
    const bytes = assignment.rowBytes(this.#points, end - start);
    this.#account.take("host", bytes, "rows on their way");
    try {
      return await read();
    } finally {
      this.#account.giveBack("host", bytes);
    }
  }

  #seedPass(tileRows: number): Pass {
    const { k, inits } = this.#settings;
    return seedPass(this.#shape, tileRows, inits * k, {
      seeding: () => this.#seeding!,
      read: (tile, signal) => this.#read(tile, signal),
      again: async () => {
        if (await this.#seeding!.next(this.#signal)) return true;
        this.#runs = this.#seeding!.centers.map((centers) => this.#run(codesOf(centers)));
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
      tables: () => assignment.codebookTables(this.#shape, active().map(({ codes }) => codes)),
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
          await run.tally.takeRows(tile, ids, nearness, signal);
        }
        sums.forEach(tile, downloads, runs.length, (book, own) => runs[book]!.tally.takeSums(own));
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
        this.#centroids = this.#points.toOriginal(this.#best.codes.centers);
        // of the centroids as they are handed out
        const codes = codesOf(this.#points.toScaled(this.#centroids));
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
  empty_clusters: Number.MAX_SAFE_INTEGER,
};

function resultArrays(k: number, points: Points): Record<string, ResultArray> {
  const { rows, features } = points;
  const distance = assignment.distanceBytes(points) === 8 ? "float64" : "float32";
  return {
    centroids: { dtype: "float64", shape: [k, features], dims: ["cluster", "feature"] },
    ids: { dtype: "int32", shape: [rows], dims: ["row"] },
    distances: { dtype: distance, shape: [rows], dims: ["row"] },
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
    // f32 in stores of version 0.1
    centroids: Float64Array.from(arrays.centroids as Float64Array),
    ids: arrays.ids as Int32Array,
    distances: arrays.distances as Float32Array | Float64Array,
    inertia: attributes.inertia as number,
    iterations: attributes.iterations as number,
    converged: attributes.converged as boolean,
    nearTies: attributes.near_ties as number,
    emptyClusters: attributes.empty_clusters as number,
    projectedBytes: nothing(),
    peakBytes: nothing(),
    seconds: {},
  };
}
