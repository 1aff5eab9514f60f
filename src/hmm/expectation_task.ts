/**
 * What is expected of a model's parameters, given all rows: how often each discrete state follows each, and where the
 * first row was. The posterior itself is made tile by tile, and not kept.
 *
 * @module
 */

import { jsonNumber } from "../math/format.ts";
import { toWideRow } from "../math/wide.ts";
import type { Outcome, OutputSpec, Stored } from "../stream/output.ts";
import { variable } from "../stream/output.ts";
import { openStored } from "../stream/places.ts";
import type { Feed, Held, Identity, Measured, Task, TaskLayout } from "../stream/task.ts";
import type { CountHeld } from "./count_pass.ts";
import { countHeld, CountPass } from "./count_pass.ts";
import type { ModelParts } from "./decode_task.ts";
import { withoutMatrices } from "./decode_task.ts";
import { StateBins } from "./state_bins.ts";
import type { FilterParts } from "./tile_filter.ts";
import { filterBuffers, layoutLanes, TileFilter } from "./tile_filter.ts";
import { gridArrays } from "./grid.ts";
import { timeArrays, timeFacts } from "./time_grid.ts";
import { tableBuffer } from "./transition/recursion.ts";
import type { TransitionCounts } from "./transition/transition_counts.ts";

/** What is expected, given all rows and the parameters so far. */
export interface Expectation {
  /** Of the rows, natural; -Infinity where one is impossible. */
  logLikelihood: number;
  impossibleRows: number;
  /** [from][to] how often a discrete state is followed by each. */
  transitions: number[][];
  /** [state bins] p(state bin in the first row). */
  first: Float64Array;
}

export interface ExpectationParts extends ModelParts {
  counts: TransitionCounts;
  place: string;
  /** Whether it is told how likely local states are in every row. */
  tellLocal: boolean;
}

/** What tells results from others. */
const FORMAT = { kind: "expectation", formatVersion: 1 } as const;

/** [rows] How likely local states were, of a result that tells it. */
export async function readLocal(place: string): Promise<Float64Array> {
  return await (await openStored(place, FORMAT)).read("local") as Float64Array;
}

export class ExpectationTask implements Task<CountHeld, Expectation> {
  readonly name = "expectation";
  readonly feeds: readonly Feed[];
  readonly held: CountHeld;
  readonly identity: Identity;
  readonly output: OutputSpec;
  readonly #parts: ExpectationParts;
  readonly #bins: StateBins;
  /** A row of wide numbers. */
  readonly #initial: Uint32Array<ArrayBuffer>;
  readonly #filter: TileFilter;
  readonly #count: CountPass;
  #held!: Held<CountHeld>;

  constructor(parts: ExpectationParts) {
    this.#parts = parts;
    const { grid, model, time, lanes, recursion, observation } = parts;
    const bins = new StateBins(grid, model);
    this.#bins = bins;
    const states = model.names.length;
    this.feeds = observation.feeds;
    const initial = bins.initialProbs(model, parts.initialProbs);
    this.#initial = toWideRow(
      recursion.toRow((state, bin) => initial[bins.starts[state]! + bin]!),
    );
    const local = parts.tellLocal
      ? model.names.flatMap((_, state) => model.local?.[state] ? [state] : [])
      : [];
    this.held = countHeld(lanes, bins, parts.tellLocal ? time.rows : 0);
    const parameters = {
      states: withoutMatrices(model),
      operator: parts.operator.kind,
      time: timeFacts(time),
      lanes: { ...lanes },
    };
    this.identity = {
      facts: parameters,
      arrays: [
        ...observation.inputs,
        ...recursion.inputs,
        ...[this.#initial, ...gridArrays(grid), ...timeArrays(time)],
      ],
    };
    this.output = {
      ...FORMAT,
      place: parts.place,
      adapter: parts.adapter,
      streamed: [],
      whole: [
        variable("transitions", "float64", [states, states], ["states", "next_states"]),
        variable("first", "float64", [bins.count], ["state_bins"]),
        ...(parts.tellLocal ? [variable("local", "float64", [time.rows], ["time"])] : []),
      ],
      attributes: { parameters },
      longest: { log_likelihood: -Number.MAX_VALUE, impossible_rows: Number.MAX_VALUE },
    };
    const passes: FilterParts = {
      ...{ time, lanes, recursion, observation, states },
      stateBytes: this.#initial.byteLength,
      held: () => this.#held,
    };
    this.#filter = new TileFilter(passes);
    this.#count = new CountPass({ ...passes, bins, local, held: () => this.#held }, this.#filter);
  }

  layout(tileRows: number): TaskLayout {
    const { time, lanes, recursion, observation, model, counts, missing } = this.#parts;
    return {
      rows: time.rows,
      shared: [
        ...filterBuffers({ recursion, observation, lanes }, this.#initial),
        tableBuffer("counting", counts.tables(model.discreteTransition, recursion.packTable)),
        tableBuffer("counting_entries", counts.entries),
      ],
      passes: [this.#filter.pass(tileRows), this.#count.pass(tileRows)],
      tables: [{
        what: "tables",
        bytes: observation.hostBytes + recursion.hostBytes + counts.bytes +
          this.#initial.byteLength + (missing?.byteLength ?? 0),
      }],
      ...layoutLanes(lanes),
    };
  }

  begin(held: Held<CountHeld>): void {
    this.#held = held;
  }

  finish(held: Held<CountHeld>): Outcome {
    const pairs = this.#bins.names.length ** 2;
    const transitions = new Float64Array(pairs);
    held.transitions.forEach((value, i) => transitions[i % pairs]! += value);
    const logLikelihood = held.logLikelihoods.reduce((sum, own) => sum + own, 0);
    return {
      values: {
        ...{ transitions, first: held.first },
        ...(this.#parts.tellLocal && { local: held.local }),
      },
      facts: {
        log_likelihood: jsonNumber(logLikelihood!),
        impossible_rows: held.impossibleRows[0],
      },
    };
  }

  async result({ attributes, read }: Stored, _measured: Measured): Promise<Expectation> {
    const states = this.#bins.names.length;
    const transitions = await read("transitions") as Float64Array;
    return {
      logLikelihood: Number(attributes.log_likelihood),
      impossibleRows: attributes.impossible_rows as number,
      transitions: Array.from(
        { length: states },
        (_, from) => [...transitions.subarray(from * states, (from + 1) * states)],
      ),
      first: await read("first") as Float64Array,
    };
  }
}
