/**
 * An analysis as a series: a part for each lag and condition.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import type { Gpu } from "../gpu/device.ts";
import { siblingPlace } from "../store/place.ts";
import type {
  Finished,
  InputOptions,
  SeriesInput,
  SeriesPart,
  SeriesSpec,
  SeriesTurn,
} from "../stream/series.ts";
import type { SeriesPlaceSpec } from "../stream/series_place.ts";
import { isResultFile } from "../stream/series_place.ts";
import type { Stretch } from "../stream/series_progress.ts";
import type { AnalysisSplits, SplitName } from "./analysis_splits.ts";
import { sizesOf, sliceSplits, splitCorpus } from "./analysis_splits.ts";
import type { Condition, Settings } from "./config.ts";
import { decide } from "./decision.ts";
import type { Diagnosis, EffectiveClusters, Slices } from "./diagnose.ts";
import { diagnose, effectiveClusters } from "./diagnose.ts";
import type { AnalysisSizes } from "./host_memory.ts";
import { DIAGNOSIS, diagnosisWork, energyItems, scoreItems } from "./host_memory.ts";
import { keepRecord, readRecord } from "./identity.ts";
import type { Corpus, OpenedCorpus } from "./inputs.ts";
import type { Model } from "./models.ts";
import { Models } from "./models.ts";
import type { ClusterMoments } from "./moments.ts";
import type { Normalizer } from "./normalizer.ts";
import { deltaNormalizer } from "./normalizer.ts";
import {
  describeResults,
  parseNumbers,
  reportOf,
  RESULT_FILES,
  splitNames,
  stringifyNumbers,
} from "./report.ts";
import type { ConditionReport, ConditionResult } from "./results.ts";
import { countRows } from "./rows.ts";

const CONTROL_SEEDS: Record<SplitName, number> = { train: 1000, eval: 2000, holdout: 3000 };

type Turn = SeriesTurn<ConditionResult>;

/** What is known of all rows before the first model. */
interface Prepared {
  /** Of train deltas. */
  normalizer: Normalizer;
  slices: Partial<Record<SplitName, Slices>>;
}

export class Analysis implements SeriesSpec<ConditionResult, ConditionReport> {
  readonly name = "condition";
  readonly place: SeriesPlaceSpec;
  readonly prepare: NonNullable<SeriesSpec<ConditionResult, ConditionReport>["prepare"]>;
  readonly parts: readonly SeriesPart<ConditionResult>[];
  readonly reads: NonNullable<SeriesSpec<ConditionResult, ConditionReport>["reads"]>;
  readonly #settings: Settings;
  readonly #opened: OpenedCorpus;
  readonly #models: Models;
  readonly #sizes: AnalysisSizes;
  #corpus: Corpus;
  #splits: AnalysisSplits;
  #prepared: Prepared | undefined;

  constructor(gpu: Gpu, settings: Settings, corpus: OpenedCorpus) {
    this.#settings = settings;
    this.#opened = corpus;
    this.#corpus = corpus;
    this.#models = new Models(gpu, settings);
    this.#splits = splitCorpus(settings, corpus);
    this.#sizes = sizesOf(this.#splits, settings);
    const { input, out, ...own } = settings;
    this.reads = Object.values(input).map((given: string | Pick<ChunkedArray, "places">) => ({
      places: typeof given === "string" ? [given] : given.places,
    }));
    this.place = {
      place: out,
      manifest: "/condition.json",
      format: "sluice.condition",
      adapter: gpu.adapter.name,
      settings: own,
      folders: ["/results", "/models"],
      // results of parts, and files of models and of their journals
      isOwn: (key) =>
        /^\/results\/[^/]+\.json$/.test(key) || key.startsWith("/models/") && isResultFile(key),
      files: RESULT_FILES.map((name) => `/${name}`),
      // frames are copied before anything else
      firstFolders: ["/frames.zarr"],
    };
    this.prepare = {
      name: "prepare",
      kind: "prepare",
      memory: () => ({ held: energyItems(this.#sizes), work: [] }),
      run: (turn) => this.#prepare(turn),
    };
    const { lags, conditions } = settings;
    this.parts = lags.flatMap((lag) => conditions.map((condition) => this.#part(lag, condition)));
  }

  encode(result: ConditionResult): string {
    return stringifyNumbers(result);
  }

  decode(text: string): ConditionResult {
    return parseNumbers(text) as ConditionResult;
  }

  async openInput(options: InputOptions): Promise<SeriesInput> {
    const { overwrite, expected, signal, onShare } = options;
    const { out } = this.#settings;
    const corpus = await this.#opened.identify({
      copyTo: siblingPlace(out, "/frames.zarr"),
      overwrite,
      record: overwrite ? undefined : await readRecord(out),
      expected,
      onRead: (share, what) => onShare(what, share),
      signal,
    });
    try {
      await keepRecord(out, corpus.record);
      this.#corpus = corpus;
      this.#splits = splitCorpus(this.#settings, corpus);
      return corpus;
    } catch (error) {
      await corpus.close();
      throw error;
    }
  }

  finish(results: readonly ConditionResult[]): Finished<ConditionReport> {
    const report = reportOf(results, this.#settings, this.#corpus, this.#splits);
    const texts = describeResults(report, splitNames(this.#corpus, this.#splits));
    const files = Object.entries(texts).map(([name, text]) => [`/${name}`, text]);
    return { whole: report, files: Object.fromEntries(files) };
  }

  #part(lag: number, condition: Condition): SeriesPart<ConditionResult> {
    const { name } = condition;
    return {
      name: `lag ${lag} ${name}`,
      kind: name,
      key: `/results/lag${lag}_${name}.json`,
      memory: () => ({
        held: scoreItems(this.#sizes, condition),
        work: [
          ...this.#models.work(this.#splits, lag, condition),
          diagnosisWork(this.#sizes, condition),
        ],
      }),
      run: (turn) => this.#compute(lag, condition, turn),
    };
  }

  /** Looks at all frames once: checks them, and takes the normaliser and the slices. */
  async #prepare({ signal, show }: Turn): Promise<void> {
    const { present } = this.#splits;
    let normalizer: Normalizer | undefined;
    for (const [i, name] of present.entries()) {
      show(`frames of ${name}`, i / present.length);
      const own = await deltaNormalizer(this.#splits[name], { signal });
      if (name === "train") normalizer = own;
    }
    const slices = await sliceSplits(this.#splits, this.#settings, this.#corpus, { signal });
    this.#prepared = { normalizer: normalizer!, slices };
  }

  async #compute(lag: number, condition: Condition, turn: Turn): Promise<ConditionResult> {
    const { model, effective, train } = await this.#train(lag, condition, turn);
    const others: Partial<Record<SplitName, Diagnosis>> = {};
    for (const name of this.#splits.present) {
      if (name === "train") continue;
      const ids = await model.assign(
        this.#models.contexts(this.#splits[name], lag, condition),
      );
      await this.#diagnose(name, ids, effective, turn, [0.8, 1], ({ diagnosis }) => {
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
  }

  /** Fits, scores train rows, of which nothing is left afterwards, and stores the model. */
  async #train(
    lag: number,
    condition: Condition,
    turn: Turn,
  ): Promise<{ model: Omit<Model, "ids">; effective: EffectiveClusters; train: Diagnosis }> {
    const { ids, ...model } = await this.#models.fit(this.#splits.train, lag, condition, turn);
    const effective = effectiveClusters(ids, this.#settings.minClusterSize);
    let train: Diagnosis | undefined;
    await this.#diagnose("train", ids, effective, turn, [0.5, 0.6], async (found) => {
      train = found.diagnosis;
      const { normalizer } = this.#prepared!;
      const { moments } = found;
      const told = { hash: turn.hash, lag, condition, normalizer, effective, moments };
      await this.#models.store(model, told);
    });
    return { model, effective, train: train! };
  }

  /** @param use Told what was found, whose moments are not held afterwards. */
  async #diagnose(
    name: SplitName,
    ids: Int32Array,
    effective: EffectiveClusters,
    { signal, show, work }: Turn,
    stretch: Stretch,
    use: (found: { diagnosis: Diagnosis; moments: ClusterMoments }) => void | Promise<void>,
  ): Promise<void> {
    const { normalizer, slices } = this.#prepared!;
    const split = this.#splits[name];
    const rows = countRows(split);
    await work(DIAGNOSIS, async () => {
      const found = await diagnose(split, {
        normalizer,
        ids,
        effective,
        slices: slices[name]!,
        permutationSeed: this.#settings.seed + CONTROL_SEEDS[name],
        minSpeakerRows: this.#settings.minSpeakerRows,
        onRows: (done) => show(`deltas of ${name}`, done / rows, stretch),
        signal,
      });
      await use(found);
    });
  }
}
