/**
 * The whole analysis: splits, contexts, models, numbers and the decision, lag by lag and condition by
 * condition, each of which is stored when it is done.
 *
 * @module
 */

import type { ConditionReport, ConditionResult, SplitSize } from "./results.ts";
import type { ReadOptions } from "../array/array.ts";
import { OutputConflictError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { digestOf } from "../math/digest.ts";
import type { OptionsOf } from "../options.ts";
import { declare, flag } from "../options.ts";
import { siblingPlace } from "../store/place.ts";
import type { Store } from "../store/store.ts";
import { openStore } from "../store/open_store.ts";
import { runOptions } from "../stream/choices.ts";
import { VERSION } from "../version.ts";
import type { Condition, ConditionConfig, Settings, SliceName } from "./config.ts";
import { checkConfig } from "./config.ts";
import type { Corpus } from "./inputs.ts";
import { openCorpus } from "./corpus.ts";

import { decide } from "./decision.ts";
import type { Diagnosis, EffectiveClusters, Slices } from "./diagnose.ts";
import { diagnose, effectiveClusters, mostRowsOfSpeaker } from "./diagnose.ts";
import { keepRecord, readRecord } from "./identity.ts";
import { HostMemory } from "./host_memory.ts";
import type { Model } from "./models.ts";
import { Models } from "./models.ts";
import type { ClusterMoments } from "./moments.ts";
import type { Normalizer } from "./normalizer.ts";
import { deltaNormalizer } from "./normalizer.ts";
import { describeResults, parseNumbers, RESULT_FILES, stringifyNumbers } from "./report.ts";
import type { Id, IdKind, Rows, Utterance } from "./rows.ts";
import { countFrames, countRows } from "./rows.ts";
import { medianEnergy, sliceRows } from "./slices.ts";
import { splitSpeakers } from "./splits.ts";
import { Steps } from "./steps.ts";

export const conditionOptions = declare("analyse", {
  /** Replaces the results of another analysis or input, and copies groups again. Default false. */
  overwrite: flag({
    default: false,
    stored: false,
    says: "replace the results of another analysis or input; groups are copied again",
  }),
  ...runOptions.options,
});

export type ConditionOptions = OptionsOf<typeof conditionOptions>;

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
 * features is held. What is done is stored at once: the same configuration of the same input goes on where it
 * was interrupted, and returns what is there when all is done.
 *
 * An input is the same if a digest of all that is read of it is. Of files that lie still for two seconds
 * before they are read, size, times and number are kept in `<out>.journal`, and spare the next run to read
 * them for that.
 *
 * `out` gets `metrics.json`, `tables.csv`, `speakers.csv`, `decision.json`, `splits.json`, `report.html` to
 * look at, and a zarr group with the model of every lag and condition in `models/`.
 *
 * @throws {RangeError} If the configuration or the input make no sense, before any work where it can.
 * @throws {BudgetError} If a model does not fit the budget, before any work.
 * @throws {OutputConflictError} If `out` holds something else, or results of what the input was before.
 */
export async function run(
  gpu: Gpu,
  config: ConditionConfig,
  options: ConditionOptions = {},
): Promise<ConditionReport> {
  const settings = checkConfig(config);
  const { out } = settings;
  const { overwrite, signal } = conditionOptions.check(options);
  const progress = new Steps(settings.lags.length * settings.conditions.length + 1, options);
  const store = await openStore(out, { mode: "write" });
  try {
    const unlock = await store.lock(LOCK);
    try {
      const manifest = await checkPlace(store);
      const settingsHash = await hashSettings(settings, gpu);
      if (manifest && !overwrite && manifest.settings_hash !== settingsHash) {
        throw otherAnalysis(store);
      }
      const corpus = await openCorpus(settings.input, {
        check: (corpus) => new Analysis(gpu, settings, corpus, store, progress).checkBudget(),
        copyTo: siblingPlace(out, "/frames.zarr"),
        overwrite,
        record: overwrite ? undefined : await readRecord(out),
        expected: overwrite ? undefined : manifest?.input_digest,
        onRead: (share, what) => progress.show(what, share),
        ...(signal && { signal }),
      });
      try {
        await keepRecord(out, corpus.record);
        const own = { settings_hash: settingsHash, input_digest: corpus.digest };
        const analysis = new Analysis(gpu, settings, corpus, store, progress);
        return await analysis.run(overwrite, own, () => corpus.checkUnchanged());
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

/** What says whose results there are. */
interface Manifest {
  settings_hash: string;
  input_digest: string;
}

/** All that changes results, but for the input. */
function hashSettings(settings: Settings, { adapter }: Gpu): Promise<string> {
  const { input: _, out: __, ...own } = settings;
  return digestOf([JSON.stringify([VERSION, own, adapter.name])]);
}

function otherAnalysis({ place }: Store): OutputConflictError {
  return new OutputConflictError(
    `Cannot write to ${place}: it holds the results of another analysis, allow overwriting or ` +
      "name another place",
    place,
  );
}

/**
 * Whose results are there, if any.
 *
 * @throws {OutputConflictError} If the place holds files, and none of ours.
 */
async function checkPlace(store: Store): Promise<Manifest | undefined> {
  const begun = await store.get(MANIFEST);
  const manifest = begun && parseManifest(begun);
  if (manifest) return manifest;
  const keys = (await store.list("/")).filter((key) => key !== LOCK);
  // frames are copied before anything else
  if (keys.every((key) => key.startsWith(COPY))) return undefined;
  throw new OutputConflictError(
    `Cannot write to ${store.place}: it holds files that are no results, name another place`,
    store.place,
  );
}

/** `undefined` of a file that only has our name. */
function parseManifest(bytes: Uint8Array): Manifest | undefined {
  try {
    const manifest = JSON.parse(new TextDecoder().decode(bytes));
    return manifest?.format === FORMAT ? manifest : undefined;
  } catch {
    return undefined;
  }
}

class Analysis {
  readonly #gpu: Gpu;
  readonly #settings: Settings;
  readonly #corpus: Corpus;
  readonly #store: Store;
  readonly #steps: Steps;
  readonly #models: Models;
  readonly #memory: HostMemory;
  readonly #splits: Record<SplitName, Split>;
  readonly #slices: readonly SliceName[];
  /** Utterances that are too short. */
  readonly #short: number;
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
    const { energy, frames, kinds } = corpus;
    if (settings.slices?.includes("high_energy") && !energy) {
      throw new RangeError(
        "Cannot slice by energy: the input has none, wanted energy of every frame",
      );
    }
    this.#slices = settings.slices ?? ["all", ...energy ? ["high_energy" as const] : [], "medial"];
    // the same rows for all lags
    const firstTarget = Math.max(settings.window - 1 + Math.max(...settings.lags), 1);
    const { minSeconds, frameRate = 1 } = settings;
    const utterances = corpus.utterances.filter(({ start, end }) =>
      (end - start) / frameRate >= minSeconds
    );
    this.#short = corpus.utterances.length - utterances.length;
    if (utterances.length === 0) {
      throw new RangeError(
        `Cannot analyse: all ${this.#short} utterances are shorter than ${minSeconds} s at ` +
          `${frameRate} frames a second`,
      );
    }
    const { seed, shuffle, trainShare, holdout, speakers } = settings;
    const splits = splitSpeakers(utterances, {
      ...{ seed, shuffle, trainShare, holdout, kinds },
      ...(speakers && { speakers }),
    });
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
    const present = this.#present.map((name) => this.#splits[name]);
    const most = (counts: number[]) => Math.max(...counts);
    const isHigh = this.#slices.includes("high_energy");
    this.#memory = new HostMemory(gpu, {
      allRows: present.reduce((sum, split) => sum + countRows(split), 0),
      rows: most(present.map(countRows)),
      trainRows: countRows(this.#splits.train),
      speakerRows: most(present.map(mostRowsOfSpeaker)),
      dims: frames.shape[1]!,
      slices: this.#slices.filter((name) => name !== "all").length,
      energies: isHigh
        ? most([...present.map(countRows), countFrames(this.#energySplit().utterances)])
        : 0,
      minClusterSize: settings.minClusterSize,
    });
  }

  /** @param checkUnchanged Looks whether the input is as it was, before what was taken of it is stored. */
  async run(
    overwrite: boolean,
    own: Manifest,
    checkUnchanged: () => Promise<void>,
  ): Promise<ConditionReport> {
    const { lags, conditions } = this.#settings;
    await this.#claim(overwrite, own);
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
        if (!stored) {
          await checkUnchanged();
          await this.#write(key, stringifyNumbers(result));
        }
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
    const { lags, conditions } = this.#settings;
    const fitBytes = conditions.map((condition) => {
      const view = this.#models.contexts(this.#splits.train, lags[0]!, condition);
      return this.#models.check(view, condition);
    });
    this.#memory.check(conditions, fitBytes);
  }

  /** Makes the place that of this analysis. */
  async #claim(overwrite: boolean, own: Manifest): Promise<void> {
    this.#hash = await digestOf([own.settings_hash, own.input_digest]);
    if (overwrite) {
      // what says that something is done goes first, and what says whose it is stays to the end
      await this.#store.deleteAll("/results");
      await this.#store.deleteAll("/models");
      for (const name of RESULT_FILES) await this.#store.delete(`/${name}`);
    }
    const { input: _, out: __, ...settings } = this.#settings;
    const manifest = {
      format: FORMAT,
      sluice_version: VERSION,
      ...own,
      plan_hash: this.#hash,
      adapter: this.#gpu.adapter.name,
      settings,
    };
    await this.#write(MANIFEST, JSON.stringify(manifest, undefined, 2));
  }

  /** Looks at all frames once: checks them, and takes the normaliser and the slices. */
  async #prepare(): Promise<void> {
    if (this.#normalizer) return;
    this.#steps.begin("prepare");
    const options = this.#steps.signal ? { signal: this.#steps.signal } : {};
    const names = this.#present;
    for (const [i, name] of names.entries()) {
      this.#steps.show(`frames of ${name}`, i / names.length);
      const normalizer = await deltaNormalizer(this.#splits[name], options);
      if (name === "train") this.#normalizer = normalizer;
    }
    const release = this.#memory.holdEnergies();
    try {
      await this.#slice(names, options);
    } finally {
      release();
    }
    this.#steps.end();
  }

  /** Whose median energy is taken: held out or not, they are frames of train speakers. */
  #energySplit(): Pick<Split, "utterances" | "firstTarget"> {
    const { train, holdout } = this.#splits;
    return this.#settings.energyMedian === "rows"
      ? train
      : { ...train, utterances: [...train.utterances, ...holdout.utterances] };
  }

  async #slice(names: readonly SplitName[], options: ReadOptions): Promise<void> {
    const { energy } = this.#corpus;
    const over = this.#settings.energyMedian;
    const high = this.#slices.includes("high_energy")
      ? {
        array: energy!,
        median: await medianEnergy({ ...this.#energySplit(), frames: energy! }, over, options),
      }
      : undefined;
    for (const name of names) {
      const split = this.#splits[name];
      split.slices = await sliceRows(split, this.#slices, high, options);
    }
  }

  async #compute(lag: number, condition: Condition): Promise<ConditionResult> {
    const release = this.#memory.holdScores(condition);
    try {
      const { model, effective, train } = await this.#train(lag, condition);
      const others: Partial<Record<SplitName, Diagnosis>> = {};
      for (const name of this.#present) {
        if (name === "train") continue;
        const view = this.#models.contexts(this.#splits[name], lag, condition);
        const ids = await model.assign(view);
        await this.#diagnose(name, condition, ids, effective, [0.8, 1], ({ diagnosis }) => {
          others[name] = diagnosis;
        });
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
      release();
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
    let train: Diagnosis | undefined;
    await this.#diagnose("train", condition, ids, effective, [0.5, 0.6], async (found) => {
      train = found.diagnosis;
      const { moments } = found;
      const normalizer = this.#normalizer!;
      const told = { hash: this.#hash, lag, condition, normalizer, effective, moments };
      await this.#models.store(model, told);
    });
    return { model, effective, train: train! };
  }

  /** @param use Told what was found, whose moments are not held afterwards. */
  async #diagnose(
    name: SplitName,
    condition: Condition,
    ids: Int32Array,
    effective: EffectiveClusters,
    part: [number, number],
    use: (found: { diagnosis: Diagnosis; moments: ClusterMoments }) => void | Promise<void>,
  ): Promise<void> {
    const split = this.#splits[name];
    const rows = countRows(split);
    const release = this.#memory.holdDiagnosis(condition);
    try {
      const found = await diagnose(split, {
        normalizer: this.#normalizer!,
        ids,
        effective,
        slices: split.slices!,
        permutationSeed: this.#settings.seed + CONTROL_SEEDS[name],
        minSpeakerRows: this.#settings.minSpeakerRows,
        onRows: (done) => this.#steps.show(`deltas of ${name}`, done / rows, part),
        ...(this.#steps.signal && { signal: this.#steps.signal }),
      });
      await use(found);
    } finally {
      release();
    }
  }

  #report(results: ConditionResult[]): ConditionReport {
    const { frames, utterances, empty } = this.#corpus;
    const size = ({ utterances, ...rows }: Split): SplitSize => ({
      speakers: new Set(utterances.map(({ speaker }) => speaker)).size,
      utterances: utterances.length,
      rows: countRows({ utterances, ...rows }),
    });
    // who is in which split is told by itself
    const { input: _, out: __, speakers: ___, holdout, ...settings } = this.#settings;
    const { window, lags, conditions, ...others } = settings;
    return {
      passed: results.some(({ passed }) => passed),
      frames: frames.shape[0]!,
      features: frames.shape[1]!,
      utterances: utterances.length,
      skipped: { empty, short: this.#short },
      splits: Object.fromEntries(
        Object.entries(this.#splits).map(([name, split]) => [name, size(split)]),
      ),
      settings: {
        window,
        lags,
        conditions,
        slices: this.#slices,
        ...others,
        ...(typeof holdout === "number" && { holdout }),
      },
      results,
    };
  }

  /** Speakers of every split, and the utterances that are held out, as a configuration would name them. */
  #splitNames(): Record<string, Id[]> {
    const { train, holdout, eval: evaluation } = this.#splits;
    const { speaker, utterance } = this.#corpus.kinds;
    const own = (kind: IdKind, name: string) =>
      kind === "number" && Number.isSafeInteger(Number(name)) ? Number(name) : name;
    const speakers = (utterances: Utterance[]) =>
      [...new Set(utterances.map(({ speaker }) => speaker))].sort()
        .map((name) => own(speaker, name));
    return {
      train_speakers: speakers([...train.utterances, ...holdout.utterances]),
      eval_speakers: speakers(evaluation.utterances),
      holdout_utterances: holdout.utterances.map(({ id }) => own(utterance, id)),
    };
  }

  async #write(key: string, text: string): Promise<void> {
    await this.#store.set(key, new TextEncoder().encode(text));
  }
}
