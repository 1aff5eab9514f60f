/**
 * The whole analysis: splits, contexts, models, numbers and the decision, lag by lag and condition by
 * condition, each of which is stored when it is done.
 *
 * @module
 */

import { digestRows } from "../array/points.ts";
import { OutputConflictError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Account } from "../gpu/ledger.ts";
import { digestOf } from "../math/digest.ts";
import { siblingPlace } from "../store/place.ts";
import type { Store } from "../store/store.ts";
import { openStore } from "../store/store.ts";
import type { RunOptions } from "../types.ts";
import { VERSION } from "../version.ts";
import type { Condition, ConditionConfig, Settings, SliceName } from "./config.ts";
import { checkConfig } from "./config.ts";
import type { Corpus } from "./corpus.ts";
import { openCorpus } from "./corpus.ts";
import type { Check } from "./decision.ts";
import { decide } from "./decision.ts";
import type { Diagnosis, EffectiveClusters, Slices } from "./diagnose.ts";
import { diagnose, diagnoseBytes, effectiveClusters } from "./diagnose.ts";
import type { Model } from "./models.ts";
import { Models } from "./models.ts";
import type { ClusterMoments } from "./moments.ts";
import type { Normalizer } from "./normalizer.ts";
import { deltaNormalizer } from "./normalizer.ts";
import { describeResults, parseNumbers, stringifyNumbers } from "./report.ts";
import type { Rows, Utterance } from "./rows.ts";
import { countRows } from "./rows.ts";
import { medianEnergy, sliceRows } from "./slices.ts";
import { splitSpeakers } from "./splits.ts";
import { Steps } from "./steps.ts";

/** A condition at a lag. */
export interface ConditionResult {
  lag: number;
  condition: string;
  /** Clusters there are, and those with enough train rows. */
  clusters: number;
  effectiveClusters: number;
  train: Diagnosis;
  /** Where utterances are held out. */
  holdout?: Diagnosis;
  eval: Diagnosis;
  passed: boolean;
  checks: Check[];
}

/** What a split is made of. */
export interface SplitSize {
  speakers: number;
  utterances: number;
  rows: number;
}

/** All results, as `metrics.json` holds them. */
export interface ConditionReport {
  /** Whether one of the conditions passed at one of the lags. */
  passed: boolean;
  frames: number;
  features: number;
  utterances: number;
  splits: Record<string, SplitSize>;
  settings: Record<string, unknown>;
  results: ConditionResult[];
}

export interface ConditionOptions extends RunOptions {
  /** Replaces the results of another analysis. Default false. */
  overwrite?: boolean;
}

type SplitName = "train" | "holdout" | "eval";

/** A split as the models and the diagnostics want it. */
interface Split extends Rows {
  utterances: Utterance[];
  slices?: Slices;
}

const FORMAT = "sluice.condition";
const MANIFEST = "/condition.json";
const LOCK = "/lock";
const COPY = "/frames.zarr/";
const CONTROL_SEEDS: Record<SplitName, number> = { train: 1000, eval: 2000, holdout: 3000 };

/**
 * Runs an analysis: does the recent past of frames, made discrete, predict how they change?
 *
 * For every lag and condition a model is fitted to the contexts of train speakers, and the deltas of train
 * and of other speakers are held against its clusters. Train and eval take turns; nothing of size rows x
 * features is held. What is done is stored at once: the same configuration goes on where it was
 * interrupted, and returns what is there when all is done.
 *
 * `out` gets `metrics.json`, `tables.csv`, `speakers.csv`, `decision.json`, `splits.json`, `report.html` to
 * look at, and a zarr group with the model of every lag and condition in `models/`.
 *
 * @throws {RangeError} If the configuration or the input make no sense, before any work where it can.
 * @throws {BudgetError} If a model does not fit the budget, before any work.
 * @throws {OutputConflictError} If `out` holds something else.
 */
export async function run(
  gpu: Gpu,
  config: ConditionConfig,
  options: ConditionOptions = {},
): Promise<ConditionReport> {
  const settings = checkConfig(config);
  const progress = new Steps(settings.lags.length * settings.conditions.length + 1, options);
  const store = await openStore(settings.out, { mode: "write" });
  try {
    const unlock = await store.lock(LOCK);
    try {
      await checkPlace(store);
      const analysis = (corpus: Corpus) => new Analysis(gpu, settings, corpus, store, progress);
      const corpus = await openCorpus(settings.input, {
        check: (corpus) => analysis(corpus).checkBudget(),
        copyTo: siblingPlace(settings.out, "/frames.zarr"),
        onCopy: (share) => progress.show("copy", share),
        ...(options.signal && { signal: options.signal }),
      });
      try {
        return await analysis(corpus).run(options.overwrite ?? false);
      } finally {
        await corpus.close();
      }
    } finally {
      await unlock();
    }
  } finally {
    await store.close();
  }
}

/** @throws {OutputConflictError} If the place holds files, and none of ours. */
async function checkPlace(store: Store): Promise<void> {
  const keys = (await store.list("/")).filter((key) => key !== LOCK);
  const begun = await store.get(MANIFEST);
  // frames are copied before anything else
  if (keys.every((key) => key.startsWith(COPY))) return;
  if (!begun) {
    throw new OutputConflictError(
      `Cannot write to ${store.place}: it holds files that are no results, name another place`,
      store.place,
    );
  }
}

class Analysis {
  readonly #gpu: Gpu;
  readonly #settings: Settings;
  readonly #corpus: Corpus;
  readonly #store: Store;
  readonly #steps: Steps;
  readonly #models: Models;
  readonly #splits: Record<SplitName, Split>;
  readonly #slices: SliceName[];
  #normalizer: Normalizer | undefined;
  #hash = "";

  constructor(
    gpu: Gpu,
    settings: Settings,
    corpus: Corpus,
    store: Store,
    steps: Steps,
  ) {
    this.#gpu = gpu;
    this.#settings = settings;
    this.#corpus = corpus;
    this.#store = store;
    this.#steps = steps;
    this.#models = new Models(gpu, settings, steps);
    const { energy, utterances, frames } = corpus;
    if (settings.slices?.includes("high_energy") && !energy) {
      throw new RangeError(
        "Cannot slice by energy: the input has none, wanted energy of every frame",
      );
    }
    this.#slices = settings.slices ?? ["all", ...energy ? ["high_energy" as const] : [], "medial"];
    // the same rows for all lags
    const firstTarget = Math.max(settings.window - 1 + Math.max(...settings.lags), 1);
    const splits = splitSpeakers(utterances, settings);
    const split = (name: SplitName): Split => ({ frames, utterances: splits[name], firstTarget });
    this.#splits = { train: split("train"), holdout: split("holdout"), eval: split("eval") };
    for (const name of ["train", "eval"] as const) {
      if (countRows(this.#splits[name]) > 0) continue;
      throw new RangeError(
        `Cannot analyse ${name}: none of its ${splits[name].length} utterances has more than ` +
          `${firstTarget} frames, wanted ${settings.window} of context and ${
            Math.max(...settings.lags)
          } of lag before a target`,
      );
    }
  }

  async run(overwrite: boolean): Promise<ConditionReport> {
    const { lags, conditions } = this.#settings;
    this.checkBudget();
    await this.#claim(overwrite);
    const results: ConditionResult[] = [];
    for (const lag of lags) {
      for (const condition of conditions) {
        const key = `/results/lag${lag}_${condition.name}.json`;
        const stored = await this.#store.get(key);
        if (!stored) await this.#prepare();
        this.#steps.begin(`lag ${lag} ${condition.name}`);
        const result = stored
          ? parseNumbers(new TextDecoder().decode(stored)) as ConditionResult
          : await this.#compute(lag, condition);
        if (!stored) await this.#write(key, stringifyNumbers(result));
        results.push(result);
        this.#steps.end();
      }
      this.#models.forget();
    }
    const report = this.#report(results);
    for (const [name, text] of Object.entries(describeResults(report, this.#splitNames()))) {
      await this.#write(`/${name}`, text);
    }
    this.#steps.begin("done");
    this.#steps.show("stored", 1);
    return report;
  }

  /** Splits that have rows. */
  get #present(): SplitName[] {
    return (["train", "holdout", "eval"] as const).filter((name) =>
      countRows(this.#splits[name]) > 0
    );
  }

  /** Plans every fit without running it, so that what does not fit is told before any work. */
  checkBudget(): void {
    const lag = this.#settings.lags[0]!;
    for (const condition of this.#settings.conditions) {
      this.#models.check(this.#models.contexts(this.#splits.train, lag, condition), condition);
      this.#openAccount(condition).close();
    }
  }

  /** @throws {OutputConflictError} If results of another analysis are there. */
  async #claim(overwrite: boolean): Promise<void> {
    const { input: _, out: __, ...settings } = this.#settings;
    const { frames, energy, utterances } = this.#corpus;
    const signal = this.#steps.signal;
    const digests: string[] = [];
    for (const array of energy ? [frames, energy] : [frames]) {
      digests.push(await digestRows(array, signal && { signal }));
    }
    const facts = [VERSION, settings, utterances, frames.shape, frames.dtype];
    const adapter = this.#gpu.adapter.name;
    this.#hash = await digestOf([JSON.stringify([...facts, adapter]), ...digests]);
    const found = await this.#store.get(MANIFEST);
    const manifest = found && JSON.parse(new TextDecoder().decode(found));
    if (overwrite) {
      // what says that something is done goes first, and what says whose it is stays to the end
      await this.#store.deleteAll("/results");
      for (const key of await this.#store.list("/")) {
        const isKept = key === LOCK || key === MANIFEST || key.startsWith(COPY);
        if (!isKept) await this.#store.delete(key);
      }
    } else if (manifest && manifest.plan_hash !== this.#hash) {
      const { place } = this.#store;
      throw new OutputConflictError(
        `Cannot write to ${place}: it holds the results of another analysis, allow overwriting or ` +
          "name another place",
        place,
      );
    }
    if (manifest && !overwrite) return;
    const own = {
      format: FORMAT,
      sluice_version: VERSION,
      plan_hash: this.#hash,
      adapter,
      settings,
    };
    await this.#write(MANIFEST, JSON.stringify(own, undefined, 2));
  }

  /** Looks at all frames once: checks them, and takes the normaliser and the slices. */
  async #prepare(): Promise<void> {
    if (this.#normalizer) return;
    this.#steps.begin("prepare");
    const { energy } = this.#corpus;
    const options = this.#steps.signal ? { signal: this.#steps.signal } : {};
    const names = this.#present;
    for (const [i, name] of names.entries()) {
      this.#steps.show(`frames of ${name}`, i / names.length);
      const normalizer = await deltaNormalizer(this.#splits[name], options);
      if (name === "train") this.#normalizer = normalizer;
    }
    const needed = this.#slices.includes("high_energy");
    const median = needed
      ? await medianEnergy({ ...this.#splits.train, frames: energy! }, options)
      : NaN;
    for (const name of names) {
      const split = this.#splits[name];
      const high = needed ? { array: energy!, median } : undefined;
      split.slices = await sliceRows(split, this.#slices, high, options);
    }
    this.#steps.end();
  }

  async #compute(lag: number, condition: Condition): Promise<ConditionResult> {
    const account = this.#openAccount(condition);
    const { host } = account.projected;
    account.take("host", host, "scores, ids and moments");
    try {
      const { model, effective, train } = await this.#train(lag, condition);
      const others: Partial<Record<SplitName, Diagnosis>> = {};
      for (const name of this.#present) {
        if (name === "train") continue;
        const view = this.#models.contexts(this.#splits[name], lag, condition);
        const ids = await model.assign(view);
        others[name] = (await this.#diagnose(name, ids, effective, [0.8, 1])).diagnosis;
      }
      return {
        lag,
        condition: condition.name,
        clusters: model.clusters,
        effectiveClusters: effective.ids.length,
        train,
        ...(others.holdout && { holdout: others.holdout }),
        eval: others.eval!,
        ...decide(train, others.eval!, this.#settings.thresholds),
      };
    } finally {
      account.giveBack("host", host);
      account.close();
    }
  }

  /** Fits, scores train rows, of which nothing is left afterwards, and stores the model. */
  async #train(
    lag: number,
    condition: Condition,
  ): Promise<{ model: Omit<Model, "ids">; effective: EffectiveClusters; train: Diagnosis }> {
    const view = this.#models.contexts(this.#splits.train, lag, condition);
    const { ids, ...model } = await this.#models.fit(view, condition);
    const effective = effectiveClusters(ids, this.#settings.minClusterSize);
    const { diagnosis, moments } = await this.#diagnose("train", ids, effective, [0.5, 0.6]);
    const normalizer = this.#normalizer!;
    const told = { hash: this.#hash, lag, condition, normalizer, effective, moments };
    await this.#models.store(model, told);
    return { model, effective, train: diagnosis };
  }

  /** Opens an account for scores, ids and moments of the larger split. */
  #openAccount({ components = 0, clusters }: Condition): Account {
    const rows = Math.max(...this.#present.map((name) => countRows(this.#splits[name])));
    const effective = Math.floor(rows / this.#settings.minClusterSize);
    const host = 4 * rows * (1 + components) + diagnoseBytes({
      rows,
      clusters: Math.min(clusters ?? 4 ** components, effective),
      dims: this.#corpus.frames.shape[1]!,
      slices: this.#slices.length - 1,
    });
    return this.#gpu.ledger.open("condition", { gpu: 0, host, disk: 0 });
  }

  #diagnose(
    name: SplitName,
    ids: Int32Array,
    effective: EffectiveClusters,
    part: [number, number],
  ): Promise<{ diagnosis: Diagnosis; moments: ClusterMoments }> {
    const split = this.#splits[name];
    const rows = countRows(split);
    return diagnose(split, {
      normalizer: this.#normalizer!,
      ids,
      effective,
      slices: split.slices!,
      permutationSeed: this.#settings.seed + CONTROL_SEEDS[name],
      minSpeakerRows: this.#settings.minSpeakerRows,
      onRows: (done) => this.#steps.show(`deltas of ${name}`, done / rows, part),
      ...(this.#steps.signal && { signal: this.#steps.signal }),
    });
  }

  #report(results: ConditionResult[]): ConditionReport {
    const { frames, utterances } = this.#corpus;
    const size = ({ utterances, ...rows }: Split): SplitSize => ({
      speakers: new Set(utterances.map(({ speaker }) => speaker)).size,
      utterances: utterances.length,
      rows: countRows({ utterances, ...rows }),
    });
    const { input: _, out: __, speakers: ___, ...settings } = this.#settings;
    return {
      passed: results.some(({ passed }) => passed),
      frames: frames.shape[0]!,
      features: frames.shape[1]!,
      utterances: utterances.length,
      splits: Object.fromEntries(
        Object.entries(this.#splits).map(([name, split]) => [name, size(split)]),
      ),
      settings: { ...settings, slices: this.#slices },
      results,
    };
  }

  /** Speakers of every split, and the utterances that are held out. */
  #splitNames(): Record<string, string[]> {
    const { train, holdout, eval: evaluation } = this.#splits;
    const speakers = (utterances: Utterance[]) =>
      [...new Set(utterances.map(({ speaker }) => speaker))].sort();
    return {
      train_speakers: speakers([...train.utterances, ...holdout.utterances]),
      eval_speakers: speakers(evaluation.utterances),
      holdout_utterances: holdout.utterances.map(({ id }) => id),
    };
  }

  async #write(key: string, text: string): Promise<void> {
    await this.#store.set(key, new TextEncoder().encode(text));
  }
}
