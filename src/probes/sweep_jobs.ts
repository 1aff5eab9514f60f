/**
 * Kinds of probes as a sweep takes them: options that are lists become probes side by side where a kind can do
 * that, and jobs after one another where it cannot.
 *
 * @module
 */

import type { ChunkedArray } from "../chunked_array.ts";
import type { SampleArray } from "../feed/samples.ts";
import type { Gpu } from "../gpu/device.ts";
import { Plan } from "../stream/plan.ts";
import type { LabelColumns } from "./labels.ts";
import { labelColumns } from "./labels.ts";
import type { ProbePrediction } from "./predict_task.ts";
import { ProbePredictTask } from "./predict_task.ts";
import { LogisticProbe, MassMeanProbe } from "./probes.ts";
import type { TrainedName } from "./trained.ts";
import { createTrained, TRAINED } from "./trained.ts";
import type { TrainedProbe } from "./trained_probe.ts";
import { readLearned, samplesOf } from "./trained_probe.ts";
import { trainProbes } from "./training.ts";

/** Where a fit goes. */
export interface SweepOutput {
  out?: string;
  overwrite?: boolean;
}

/** Probes of a kind that are fitted at once: for every column of labels one with each of the options. */
export interface SweepJob {
  readonly kind: string;
  readonly takes: "features" | "sequences";
  /** What tells its probes apart, as it was given; of one that has nothing to choose, nothing. */
  readonly members: readonly Record<string, unknown>[];
  /** Why there is no probe, or null: by column, then by member. */
  fit(
    gpu: Gpu,
    data: SampleArray,
    labels: LabelColumns,
    output: SweepOutput,
  ): Plan<{ reasons: readonly (string | null)[] }>;
  /** `[samples, columns, members]`, once it is fitted; a logit that f32 cannot hold is Infinity or NaN. */
  predict(gpu: Gpu, data: SampleArray): Plan<ProbePrediction>;
  /** The same of probes that know nothing, for the bytes that it takes. */
  rehearse(gpu: Gpu, data: SampleArray, columns: number): Plan<unknown>;
}

/** A kind of probe, and options, of which lists are tried one by one. */
export interface SweepKind {
  kind: string;
  options?: Readonly<Record<string, unknown>>;
}

/** @param columns Of labels, for each of which a job learns all of its members. */
type CreateJobs = (options: Readonly<Record<string, unknown>>, columns: number) => SweepJob[];

/** Nets side by side, so that what they make of a batch fits the buffers that every device has. */
const MOST_NETS = 32;

/** What probes of the same layers may differ in and still learn side by side. */
const SIDE_BY_SIDE = ["learningRate", "weightDecay", "seed"];

const JOBS: Record<string, CreateJobs> = {
  logistic: ({ c = 1, ...rest }) => {
    const all = Array.isArray(c) ? c : [c];
    return combinations(rest).map((options) => {
      const members = all.map((own) => ({ ...options, c: own }));
      return linearJob("logistic", new LogisticProbe({ ...options, c: all }), members);
    });
  },
  mass_mean: (options) =>
    combinations(options).map((own) => linearJob("mass_mean", new MassMeanProbe(own), [own])),
};
for (const name of Object.keys(TRAINED) as TrainedName[]) {
  JOBS[name] = (options, columns) => {
    const entries = Object.entries(options);
    const isBeside = ([key]: [string, unknown]) => SIDE_BY_SIDE.includes(key);
    const members = combinations(Object.fromEntries(entries.filter(isBeside)));
    const others = combinations(Object.fromEntries(entries.filter((own) => !isBeside(own))));
    const most = Math.max(1, Math.floor(MOST_NETS / columns));
    return others.flatMap((own) => {
      const all = members.map((member) => ({ ...own, ...member }));
      // of the split and the batches, which all share
      const { seed } = createTrained(name, all[0]!).settings;
      return Array.from(
        { length: Math.ceil(all.length / most) },
        (_, i) => trainedJob(name, all.slice(i * most, (i + 1) * most), seed),
      );
    });
  };
}

/** Kinds that sweeps know. */
export const SWEEP_KINDS: readonly string[] = Object.keys(JOBS);

/** @throws {TypeError | RangeError} If a kind is not known, or an option of it makes no sense. */
export function sweepJobs({ kind, options = {} }: SweepKind, columns: number): SweepJob[] {
  if (!Object.hasOwn(JOBS, kind)) {
    throw new RangeError(
      `Cannot sweep: there is no probe of kind "${kind}", wanted one of ${SWEEP_KINDS.join(", ")}`,
    );
  }
  return JOBS[kind]!(options, columns);
}

function linearJob(
  kind: string,
  probe: LogisticProbe | MassMeanProbe,
  members: SweepJob["members"],
): SweepJob {
  return {
    kind,
    takes: "features",
    members,
    fit: (gpu, data, labels, output) => probe.fit(gpu, data as ChunkedArray, labels, output),
    predict: (gpu, data) => probe.predictAnyway(gpu, data as ChunkedArray),
    rehearse(gpu, data, columns) {
      const features = (data as ChunkedArray).shape[1]!;
      const nothing = {
        probes: Array<null>(columns * members.length).fill(null),
        ...{ mean: new Float64Array(features), deviation: new Float64Array(features).fill(1) },
      };
      const told = { out: undefined, overwrite: false, adapter: gpu.adapter.name };
      return new Plan(gpu, new ProbePredictTask(data as ChunkedArray, nothing, told));
    },
  };
}

function trainedJob(name: TrainedName, members: SweepJob["members"], seed: number): SweepJob {
  const probes: TrainedProbe[] = members.map((options) => createTrained(name, options));
  const [first] = probes as [TrainedProbe];
  const { kind } = first;
  return {
    kind: name,
    takes: kind.takes,
    members,
    fit(gpu, data, labels, output) {
      const samples = samplesOf(kind, data, "sweep");
      const columns = labelColumns(labels, samples.count, "sweep");
      return trainProbes(gpu, {
        kind,
        samples,
        members: columns.flatMap(({ name, values, reason }) =>
          probes.map(({ settings }) => ({
            ...{ settings, label: name, labels: values },
            ...(reason !== undefined && { reason }),
          }))
        ),
        seed,
        choices: {},
        ...output,
        result: async (stored) => {
          const learned = await readLearned(stored);
          first.learn(learned);
          return learned;
        },
      });
    },
    predict: (gpu, data) => first.predictAnyway(gpu, data),
    rehearse(gpu, data, columns) {
      const { features } = samplesOf(kind, data, "sweep");
      const none = Array<null>(columns * members.length).fill(null);
      const nothing = { features, probes: none, reasons: none };
      return createTrained(name, members[0]!).learn(nothing).predictAnyway(gpu, data);
    },
  };
}

/** Every choice of one value from each option that is a list. */
function combinations(
  options: Readonly<Record<string, unknown>>,
): Record<string, unknown>[] {
  return Object.entries(options).reduce<Record<string, unknown>[]>(
    (all, [key, value]) =>
      all.flatMap((own) =>
        (Array.isArray(value) ? value : [value]).map((one) => ({ ...own, [key]: one }))
      ),
    [{}],
  );
}
