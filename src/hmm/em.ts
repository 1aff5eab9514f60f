/**
 * A search for the parameters of a model that make a recording likeliest: expectation and update in turn, each
 * iteration a part of a series, and a decode with what was found.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";
import { digestOf } from "../math/digest.ts";
import type { CheckedOf } from "../options.ts";
import { storedOf } from "../options.ts";
import { childPlace } from "../store/place.ts";
import type { PlanChoices, RunOptions } from "../stream/choices.ts";
import type { Plan } from "../stream/plan.ts";
import type {
  Finished,
  InputOptions,
  SeriesInput,
  SeriesPart,
  SeriesSpec,
} from "../stream/series.ts";
import { Series } from "../stream/series.ts";
import type { SeriesBytes } from "../stream/series_memory.ts";
import type { SeriesPlaceSpec } from "../stream/series_place.ts";
import { decodeOutput } from "./decode_options.ts";
import { emChoices } from "./em_options.ts";
import type { DecodeResult } from "./decode_result.ts";
import type { Operator } from "./decode_task.ts";
import { withoutMatrices } from "./decode_task.ts";
import type { FoundParameters, Iteration } from "./em_parameters.ts";
import { EmParameters } from "./em_parameters.ts";
import { normalised } from "./em_update.ts";
import type { Expectation, ExpectationTask } from "./expectation_task.ts";
import { readLocal } from "./expectation_task.ts";
import type { SmoothParts } from "./plan_decode.ts";
import { cheapest, planExpectation, planSmooth } from "./plan_decode.ts";
import { StateBins } from "./state_bins.ts";
import type { StateModel } from "./states.ts";
import { PARAMETERS_KEY, parametersText } from "./stored_parameters.ts";
import { rowSeconds, timeFacts } from "./time_grid.ts";
import type { TransitionCounts } from "./transition/transition_counts.ts";
import { transitionCounts } from "./transition/transition_counts.ts";

type Choices = CheckedOf<typeof emChoices & typeof decodeOutput>;

/** Parameters that were found, and how. */
export interface EmResult extends FoundParameters {
  /** The decode with these parameters, to be closed. */
  decode: DecodeResult;
  /** Place of the encoding that it was made with, where that was fitted. */
  encoding?: string;
}

/** An encoding to fit. */
export interface Refit extends Pick<Encoded, "save"> {
  /**
   * Encodes anew.
   *
   * @param local [rows] how likely local states were.
   * @returns `undefined` where that is too little to go by.
   */
  encode(local: Float64Array): Encoded | undefined;
}

/** What a decode works on by an encoding, and how that is stored. */
interface Encoded {
  parts: SmoothParts;
  save(place: string): Promise<void>;
}

/** Where an encoding is stored that was fitted. */
const ENCODING_KEY = "/encoding.zarr";

/** What a part leaves. */
type Outcome = Iteration | { kind: "decode"; logLikelihood: number };

/** A search with its memory, ready to be looked at and run. */
export class EmPlan {
  readonly #series: Series<Outcome, EmResult>;
  readonly #overwrite: boolean;

  /** @param refit Where the encoding is fitted, too. */
  constructor(gpu: Gpu, parts: SmoothParts, options: Choices, refit?: Refit) {
    this.#series = new Series(gpu, new EmSeries(gpu, parts, options, refit));
    this.#overwrite = options.overwrite;
  }

  /** Bytes that the part which takes most holds, at most. */
  get projected(): SeriesBytes {
    return this.#series.projected;
  }

  /** A table for people: what iterations and the decode hold. */
  explain(): string {
    return this.#series.explain();
  }

  /**
   * Runs it, or what an interrupted run left: iterations that are done stay, and one that was under way goes on
   * within its rows.
   *
   * @throws {RangeError} If a row is impossible under the model.
   * @throws {OutputConflictError} If `out` holds something else, or results of other settings or input.
   */
  run(options: RunOptions = {}): Promise<EmResult> {
    return this.#series.run({ ...options, overwrite: this.#overwrite });
  }
}

class EmSeries implements SeriesSpec<Outcome, EmResult> {
  readonly name = "em";
  readonly place: SeriesPlaceSpec;
  readonly parts: readonly SeriesPart<Outcome>[];
  readonly #gpu: Gpu;
  readonly #parts: SmoothParts;
  readonly #options: Choices;
  readonly #refit: Refit | undefined;
  readonly #parameters: EmParameters;
  readonly #counts: TransitionCounts;
  readonly #operator: Operator;
  /** With room for any probabilities of states: what comes later takes no more, and takes its tiles. */
  readonly #roomy: {
    expectation: Plan<Expectation>;
    task: ExpectationTask;
    decode: Plan<DecodeResult>;
  };

  constructor(gpu: Gpu, parts: SmoothParts, options: Choices, refit: Refit | undefined) {
    this.#refit = refit;
    this.#gpu = gpu;
    this.#parts = parts;
    this.#options = options;
    const { grid, model, lanes, time, positions, likelihoodOf } = parts;
    const bins = new StateBins(grid, model);
    this.#parameters = new EmParameters(model, bins, parts.initialProbs, options);
    const { maxStorageBufferBindingSize, maxBufferSize } = gpu.device.limits;
    this.#counts = transitionCounts(grid, model, bins, {
      bindingBytes: Math.min(maxStorageBufferBindingSize, maxBufferSize),
      ...(positions && { positions }),
    });
    const sources = { ...(positions && { positions }), ...(likelihoodOf && { likelihoodOf }) };
    const any = anyTransitions(model);
    const { operator } = options;
    // not by the budget: a search that goes on under another one gives the same bits
    this.#operator = operator === "auto"
      ? cheapest(grid, any, { ...sources, lanes: lanes.count })[0]!
      : { kind: operator, reason: `${operator}, as was asked for` };
    const { plan, task } = this.#expectation({ ...parts, model: any }, 0, options);
    this.#roomy = {
      ...{ expectation: plan, task },
      decode: this.#decode({ ...parts, model: any }, options),
    };
    this.place = {
      place: options.out,
      manifest: "/em.json",
      format: "sluice.em",
      adapter: gpu.adapter.name,
      settings: {
        states: withoutMatrices(model),
        operator: this.#operator.kind,
        ...{ time: timeFacts(time), lanes: { ...lanes } },
        ...storedOf({ ...emChoices, ...decodeOutput }, options),
        ...(refit && { fitEncoding: true }),
      },
      folders: [
        ...["/iterations", "/steps", "/decode.zarr", "/decode.zarr.journal"],
        ...(refit ? [ENCODING_KEY] : []),
      ],
      isOwn: () => true,
      files: ["/decode.json", PARAMETERS_KEY],
    };
    const iterations = Array.from({ length: options.maxIterations }, (_, i) => this.#iteration(i));
    this.parts = [...iterations, this.#last()];
  }

  encode(outcome: Outcome): string {
    return JSON.stringify(outcome);
  }

  decode(text: string): Outcome {
    return JSON.parse(text);
  }

  async openInput({ signal }: InputOptions): Promise<SeriesInput> {
    const { feeds, identity } = this.#roomy.task;
    const look = async () => {
      const found = await Promise.all(feeds.map((feed) => feed.look({ digest: true, signal })));
      return await digestOf([
        ...identity.arrays ?? [],
        ...found.map(({ digest }) => digest ?? ""),
      ]);
    };
    const digest = await look();
    return {
      digest,
      async checkUnchanged() {
        if (feeds.length === 0 || await look() === digest) return;
        throw new RangeError(
          "Cannot fit parameters: what is read has changed since they were begun, wanted the same rows " +
            "whenever they are asked for",
        );
      },
      close: () => Promise.resolve(),
    };
  }

  async finish(outcomes: readonly Outcome[]): Promise<Finished<EmResult>> {
    const found = this.#parameters.found(
      iterationsOf(outcomes),
      outcomes.at(-1)!.logLikelihood,
      rowSeconds(this.#parts.time),
    );
    const { openResult } = await import("./decode_result.ts");
    const { out } = this.#options;
    const decode = await openResult(childPlace(out, "decode.zarr"));
    return {
      whole: {
        ...{ ...found, decode },
        ...(this.#refit && { encoding: childPlace(out, ENCODING_KEY.slice(1)) }),
      },
      files: { [PARAMETERS_KEY]: parametersText(found) },
    };
  }

  #iteration(index: number): SeriesPart<Outcome> {
    const { expectation } = this.#roomy;
    return {
      name: `iteration ${index + 1}`,
      kind: "iteration",
      key: `/iterations/${String(index + 1).padStart(3, "0")}.json`,
      cost: 1,
      memory: () => ({
        held: [],
        work: [{ name: expectation.name, projected: expectation.projected }],
      }),
      needed: (before) => !this.#parameters.haveConverged(iterationsOf(before)),
      run: async ({ before, run }) => {
        const { model, initialProbs } = this.#parameters.after(iterationsOf(before));
        const { parts } = await this.#encoded(index);
        const { plan } = this.#expectation(
          { ...parts, model, initialProbs },
          index + 1,
          { tileRows: expectation.tileRows, slots: expectation.slots },
        );
        return this.#parameters.update(model, await run(plan));
      },
    };
  }

  #last(): SeriesPart<Outcome> {
    const { decode } = this.#roomy;
    return {
      name: "decode",
      kind: "decode",
      key: "/decode.json",
      cost: 1,
      memory: () => ({ held: [], work: [{ name: decode.name, projected: decode.projected }] }),
      run: async ({ before, run }) => {
        const { model, initialProbs } = this.#parameters.after(iterationsOf(before));
        const { parts, save } = await this.#encoded(iterationsOf(before).length);
        if (this.#refit) await save(childPlace(this.#options.out, ENCODING_KEY.slice(1)));
        const plan = this.#decode(
          { ...parts, model, initialProbs },
          { ...this.#options, tileRows: decode.tileRows, slots: decode.slots },
        );
        const result = await run(plan);
        await result.close();
        return { kind: "decode", logLikelihood: result.marginalLogLikelihood };
      },
    };
  }

  /** By the last of so many steps that tells enough to encode from; at first, as it was given. */
  async #encoded(steps: number): Promise<Encoded> {
    for (let step = steps; this.#refit && step > 0; step--) {
      const found = this.#refit.encode(await readLocal(this.#stepPlace(step)));
      if (found) return found;
    }
    return { parts: this.#parts, save: (place) => this.#refit!.save(place) };
  }

  #stepPlace(step: number): string {
    return childPlace(this.#options.out, `steps/${String(step).padStart(3, "0")}`);
  }

  #expectation(parts: SmoothParts, step: number, { tileRows, slots }: PlanChoices) {
    return planExpectation(this.#gpu, parts, {
      operator: this.#operator,
      counts: this.#counts,
      place: this.#stepPlace(step),
      tellLocal: this.#refit !== undefined,
      ...(tileRows !== undefined && { tileRows }),
      ...(slots !== undefined && { slots }),
    });
  }

  #decode(parts: SmoothParts, options: Choices): Plan<DecodeResult> {
    const own = Object.keys(decodeOutput).map((name) => [name, options[name as keyof Choices]]);
    return planSmooth(this.#gpu, parts, {
      ...Object.fromEntries(own.filter(([, value]) => value !== undefined)),
      out: childPlace(options.out, "decode.zarr"),
      operator: this.#operator.kind,
      overwrite: false,
    });
  }
}

function iterationsOf(outcomes: readonly Outcome[]): Iteration[] {
  return outcomes.filter((outcome) => outcome.kind === "iteration");
}

/** A model with probabilities of states that have nothing in common: its transition is as large as any. */
function anyTransitions(model: StateModel): StateModel {
  return {
    ...model,
    discreteTransition: model.names.map((_, from) =>
      normalised(model.names.map((_, to) => 1 + Math.sqrt(2 + 3 * from + 7 * to * (from + 1)) % 1))
    ),
  };
}
