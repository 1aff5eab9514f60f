/**
 * A series: parts after one another, each of plans and of work on the host, in a folder that keeps the
 * result of every part. One budget, one progress, one claim of the folder; a run goes on with the first
 * part whose result is not there.
 *
 * @module
 */

import { ChunkError, OutputConflictError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { formatBytes, wrapWords } from "../math/format.ts";
import type { Progress } from "../types.ts";
import type { RunOptions } from "./choices.ts";
import { refuseOverlap } from "./places.ts";
import type { Plan } from "./plan.ts";
import type { SeriesBytes, Step } from "./series_memory.ts";
import { SeriesMemory } from "./series_memory.ts";
import type { SeriesPlaceSpec } from "./series_place.ts";
import { SeriesPlace } from "./series_place.ts";
import type { Stretch } from "./series_progress.ts";
import { SeriesProgress } from "./series_progress.ts";

/** What a part runs with. */
export interface SeriesTurn<Result> {
  /** Of settings and input. */
  readonly hash: string;
  /** Results of the parts before it. */
  readonly before: readonly Result[];
  readonly signal: AbortSignal;
  /** Runs a plan. */
  run<Value>(plan: Plan<Value>, stretch?: Stretch): Promise<Value>;
  /** Does work of this name on the host, for which its bytes are reserved. */
  work<Value>(name: string, job: () => Promise<Value>): Promise<Value>;
  /** Tells how much of a stage is done. */
  show(stage: string, share: number, stretch?: Stretch): void;
}

export interface SeriesPart<Result> extends Step {
  /** File of its result. It is written last, so what is there is done. */
  key: string;
  /** Asked when it is the part's turn: whether it is wanted, after these. When not given, it is. */
  needed?(before: readonly Result[]): boolean;
  run(turn: SeriesTurn<Result>): Promise<Result>;
}

/** What is to be read. */
export interface SeriesInput {
  /** Of all that is read. */
  digest: string;
  /** @throws If what is still to be read is not as it was. */
  checkUnchanged(): Promise<void>;
  close(): Promise<void>;
}

export interface InputOptions {
  overwrite: boolean;
  /** Digest of the input that results are there of. */
  expected: string | undefined;
  signal: AbortSignal;
  onShare(stage: string, share: number): void;
}

export interface SeriesSpec<Result, Whole> {
  /** Of tables, errors and progress. */
  readonly name: string;
  readonly place: SeriesPlaceSpec;
  /** Done before the first part that is not there, by every run that has one. */
  readonly prepare?: Step & { run(turn: SeriesTurn<Result>): Promise<void> };
  readonly parts: readonly SeriesPart<Result>[];
  /** Results as they are stored. */
  encode(result: Result): string;
  decode(text: string): Result;
  /** Asked after every part: whether those that are left are not wanted. */
  isDone?(results: readonly Result[]): boolean;
  /** What is read: the folder must not be there. */
  readonly reads?: Parameters<typeof refuseOverlap>[1];
  /** Called once the folder is taken, and before anything is written to it. */
  openInput(options: InputOptions): Promise<SeriesInput>;
  finish(results: readonly Result[]): Finished<Whole> | Promise<Finished<Whole>>;
}

/** What callers get, and files that tell it, by key. */
export interface Finished<Whole> {
  whole: Whole;
  files: Record<string, string>;
}

export interface SeriesRunOptions extends RunOptions {
  /** Replaces results of other settings or input. */
  overwrite?: boolean;
}

export class Series<Result, Whole> {
  readonly #gpu: Gpu;
  readonly #spec: SeriesSpec<Result, Whole>;
  readonly #memory: SeriesMemory;

  /** @throws {BudgetError} If a part does not fit. */
  constructor(gpu: Gpu, spec: SeriesSpec<Result, Whole>) {
    this.#gpu = gpu;
    this.#spec = spec;
    this.#memory = new SeriesMemory(gpu, stepsOf(spec));
    this.#memory.check();
  }

  /** Bytes of the parts that take most. */
  get projected(): SeriesBytes {
    return this.#memory.projected;
  }

  /** A table for people: what parts hold, and the largest of all. */
  explain(): string {
    const { name, parts } = this.#spec;
    const { adapter, budgetBytes } = this.#gpu;
    const [gpu, host] = [formatBytes(budgetBytes.gpu), formatBytes(budgetBytes.host)];
    const count = parts.length === 1 ? "1 part" : `${parts.length} parts`;
    const title =
      `Series "${name}": ${count} on ${adapter.name}, budget ${gpu} of GPU memory and ` +
      `${host} of the host's`;
    return `${wrapWords(title)}\n${this.#memory.table()}`;
  }

  /**
   * Runs the parts whose results are not there.
   *
   * @throws {BudgetError} If a part does not fit what is free now, before any work.
   * @throws {RangeError} If the folder is, holds or lies in what is read.
   * @throws {OutputConflictError} If the folder is not this series', or its results are of other input.
   * @throws The signal's reason, if it is aborted. The next run goes on.
   */
  async run(options: SeriesRunOptions = {}): Promise<Whole> {
    const { overwrite = false, signal = new AbortController().signal } = options;
    signal.throwIfAborted();
    this.#memory.check();
    const { name, prepare, reads = [] } = this.#spec;
    await refuseOverlap(this.#spec.place.place, reads);
    const progress = new SeriesProgress(name, stepsOf(this.#spec).map(costOf), options);
    const place = await SeriesPlace.take(this.#spec.place, overwrite);
    try {
      progress.begin(prepare?.name ?? "prepare");
      const input = await this.#spec.openInput({
        overwrite,
        expected: place.inputDigest,
        signal,
        onShare: (stage, share) => progress.show(stage, share, prepare ? costOf(prepare) : 0),
      });
      try {
        if (place.inputDigest !== undefined && input.digest !== place.inputDigest) {
          throw otherInput(this.#spec.place.place);
        }
        const hash = await place.claim(input.digest, overwrite);
        const results = await this.#runParts({ place, input, hash, progress, signal });
        const { whole, files } = await this.#spec.finish(results);
        for (const [key, text] of Object.entries(files)) await place.write(key, text);
        progress.finish();
        return whole;
      } finally {
        await input.close();
      }
    } finally {
      await place.release();
    }
  }

  async #runParts(
    { place, input, ...run }: Running & { place: SeriesPlace; input: SeriesInput },
  ): Promise<Result[]> {
    const spec = this.#spec;
    const results: Result[] = [];
    let isPrepared = !spec.prepare;
    for (const part of spec.parts) {
      run.signal.throwIfAborted();
      if (part.needed?.(results) === false) {
        run.progress.end(costOf(part));
        continue;
      }
      const stored = await place.read(part.key);
      if (stored !== undefined) {
        results.push(decodeAt(`${spec.place.place}${part.key}`, () => spec.decode(stored)));
        run.progress.end(costOf(part));
      } else {
        if (!isPrepared) await this.#runStep(spec.prepare!, results, run);
        isPrepared = true;
        const result = await this.#runStep(part, results, run);
        await input.checkUnchanged();
        await place.write(part.key, spec.encode(result));
        results.push(result);
      }
      if (spec.isDone?.(results)) break;
    }
    return results;
  }

  /** Runs a part, or what comes before all, with what it holds reserved. */
  async #runStep<Value>(
    step: Step & { run(turn: SeriesTurn<Result>): Promise<Value> },
    before: readonly Result[],
    { hash, progress, signal }: Running,
  ): Promise<Value> {
    const memory = this.#memory;
    const { name, kind } = step;
    const cost = costOf(step);
    progress.begin(name);
    const release = memory.hold(kind);
    try {
      const value = await step.run({
        hash,
        before,
        signal,
        show: (stage, share, stretch) => progress.show(stage, share, cost, stretch),
        run: (plan, stretch) => {
          memory.checkPlan(kind, plan);
          const onProgress = (inner: Progress) =>
            progress.show(`${plan.name} ${inner.pass}`, inner.fraction, cost, stretch, inner);
          return plan.run({ signal, onProgress });
        },
        async work(name, job) {
          const release = memory.hold(kind, name);
          try {
            return await job();
          } finally {
            release();
          }
        },
      });
      progress.end(cost);
      return value;
    } finally {
      release();
    }
  }
}

/** What all parts of a run share. */
interface Running {
  hash: string;
  progress: SeriesProgress;
  signal: AbortSignal;
}

const costOf = ({ cost = 1 }: Step) => cost;

/** Parts, and first what comes before them. */
function stepsOf(
  { prepare, parts }: { prepare?: Step | undefined; parts: readonly Step[] },
): readonly Step[] {
  return prepare ? [prepare, ...parts] : parts;
}

function decodeAt<Result>(path: string, decode: () => Result): Result {
  try {
    return decode();
  } catch (error) {
    throw new ChunkError(`Cannot go on with "${path}": it cannot be read`, path, error);
  }
}

function otherInput(place: string): OutputConflictError {
  return new OutputConflictError(
    `Cannot go on with ${place}: its results are of other input than there is now, allow ` +
      "overwriting or name another place",
    place,
  );
}
