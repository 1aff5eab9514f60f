/**
 * What linear probes share: they are fitted, kept at a place, and predict.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Stored } from "../stream/output.ts";
import { openStored } from "../stream/places.ts";
import { Plan } from "../stream/plan.ts";
import type { Measured } from "../stream/task.ts";
import { unmeasured } from "../stream/task.ts";
import type { ProbePredictOptions } from "./logistic_options.ts";
import { probePredictOptions } from "./logistic_options.ts";
import type { LinearModel, ProbePrediction, StoredProbePrediction } from "./predict_task.ts";
import { ProbePredictTask } from "./predict_task.ts";
import type { ProbeFit, ProbeKind } from "./results.ts";
import { probeFormat, readFit } from "./results.ts";

type ToStore = ProbePredictOptions & { out: string };
type ToReturn = ProbePredictOptions & { out?: never };

/** A linear probe, or several over the same features. */
export abstract class LinearProbe {
  #model: LinearModel | undefined;

  /**
   * What was fitted.
   *
   * @throws {RangeError} Before a fit has run.
   */
  get model(): LinearModel {
    if (!this.#model) {
      throw new RangeError("Cannot use a probe: it is not fitted, run fit() first");
    }
    return this.#model;
  }

  /**
   * Plans logits and probabilities of rows `[rows, features]`: `[rows]` of one probe, `[rows, probes]` of
   * several, in the order of the fit. With `out` they are streamed there.
   *
   * @throws {RangeError} If nothing is fitted, or rows have other features.
   */
  predict(gpu: Gpu, features: ChunkedArray, options: ToStore): Plan<StoredProbePrediction>;
  predict(gpu: Gpu, features: ChunkedArray, options?: ToReturn): Plan<ProbePrediction>;
  predict(
    gpu: Gpu,
    features: ChunkedArray,
    options: ProbePredictOptions,
  ): Plan<ProbePrediction | StoredProbePrediction>;
  predict(gpu: Gpu, features: ChunkedArray, options: ProbePredictOptions = {}): Plan<unknown> {
    const { out, overwrite, ...choices } = probePredictOptions.check(options);
    const told = { out, overwrite, adapter: gpu.adapter.name };
    return new Plan(gpu, new ProbePredictTask(features, this.model, told), choices);
  }

  /** As {@link predict}, by a probe whose logits may be beyond f32: those are Infinity or NaN, and no error. */
  predictAnyway(gpu: Gpu, features: ChunkedArray): Plan<ProbePrediction> {
    const told = { out: undefined, overwrite: false, adapter: gpu.adapter.name, keepsLost: true };
    const plan: Plan<unknown> = new Plan(gpu, new ProbePredictTask(features, this.model, told));
    return plan as Plan<ProbePrediction>;
  }

  /** What callers get of a fit that just ran, or is found. */
  protected async learn(stored: Stored, measured: Measured): Promise<ProbeFit> {
    const fit = await readFit(stored);
    this.#model = fit;
    return { ...fit, ...measured };
  }

  /** Takes what is stored at a place. */
  protected async load(place: string, kind: ProbeKind): Promise<ProbeFit> {
    return await this.learn(await openStored(place, probeFormat(kind)), unmeasured());
  }
}
