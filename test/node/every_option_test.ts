import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import { condition } from "../../src/cli/condition.ts";
import { cpa } from "../../src/cli/cpa.ts";
import { predict, transform } from "../../src/cli/apply.ts";
import { acts } from "../../src/cli/acts.ts";
import { probe } from "../../src/cli/probe.ts";
import { samples } from "../../src/cli/samples.ts";
import { viterbi } from "../../src/cli/viterbi.ts";
import { check } from "../../src/cli/check.ts";
import { decode } from "../../src/cli/decode.ts";
import { em } from "../../src/cli/em.ts";
import { encode } from "../../src/cli/encode.ts";
import { exportStore } from "../../src/cli/export.ts";
import { info } from "../../src/cli/info.ts";
import { kmeans } from "../../src/cli/kmeans.ts";
import { pca } from "../../src/cli/pca.ts";
import { plotCommand } from "../../src/cli/plot.ts";
import { status } from "../../src/cli/status.ts";
import { COMMANDS as ALL_COMMANDS } from "../../src/cli/commands.ts";
import type { Command, CommandContext } from "../../src/cli/usage.ts";
import { flagOf, helpOf } from "../../src/cli/usage.ts";
import { windowsCommand } from "../../src/cli/windows.ts";
import { checkShuffle } from "../../src/feed/order.ts";
import { kmeansOptions } from "../../src/cluster/kmeans_options.ts";
import { pcaOptions } from "../../src/decompose/pca_options.ts";
import * as sluice from "../../src/mod.ts";
import type { Declaration, Option, Options } from "../../src/options.ts";
import { storedOf } from "../../src/options.ts";
import { openStore } from "../../src/store/open_store.ts";
import { readGroupAttributes } from "../../src/zarr/metadata.ts";
import { runCli } from "../support/cli.ts";
import { useGpu } from "../support/gpu.ts";
import { boxGrid } from "../support/hmm_problem.ts";
import { COMMANDS, DECLARATIONS, optionsPage, usual } from "../support/option_tables.ts";
import { smallRecording } from "../support/recordings.ts";

// deno-lint-ignore no-explicit-any -- what is handed over here is wrong on purpose
type Anything = any;
type Call = (options: Anything) => unknown;

const gpu = useGpu();
const rows = fromTypedArray(Float32Array.from({ length: 60 }, (_, i) => i * i % 17), [20, 3]);
const classes = Uint8Array.from({ length: 20 }, (_, i) => i % 3 === 0 ? 1 : 0);
const recording = smallRecording({ seconds: 2 });
const model = () =>
  sluice.KMeans.from(Float32Array.from({ length: 6 }, (_, i) => i), { k: 2, inits: 1 });
const marked = {
  position: recording.position,
  spikes: { times: [0.5], electrodes: [0], features: [1, 2] },
  binSize: 10,
};
const ownPosterior = {
  grid: boxGrid([2]),
  posterior: sluice.fromTypedArray(Float32Array.of(0.5, 0.5), [1, 2]),
  time: sluice.fromTypedArray(Float64Array.of(0.5)),
};
const ownLikelihoods = {
  logLikelihoods: sluice.fromTypedArray(new Float32Array(20), [4, 5]),
  states: sluice.decoder.continuous(),
};
const otherEnvironment = { name: "b", intervals: [[1.001, 2]] as const, binSize: 10 };
const severalEnvironments = {
  ...recording,
  states: sluice.decoder.multiEnvironment({ environments: ["a", "b"] }),
  environments: [{ name: "a", intervals: [[0, 1]] as const, binSize: 10 }, otherEnvironment],
};

const decoder = () => sluice.decoder.sortedSpikes({ ...recording, binSize: 10 });
const view = () => sluice.windows(new Float32Array(20), { size: 2 });
const pcaModel = () => new sluice.PCA({ components: 2 });
const activations = () =>
  sluice.collect(new Float32Array(6), { dims: "bsh", shape: [1, 3, 2], attentionMask: [1, 1, 1] });
const nothing = {} as Anything;
const diagnosis = { slices: { all: { ratio: 1 } }, control: { ratio: 1 } } as Anything;

/** Every call that takes options: as few as have to be given, and how it is called with them. */
const CALLS: Record<keyof typeof DECLARATIONS, { good?: object; call: Call }> = {
  "openGpu()": { call: async (options) => (await sluice.openGpu(options)).close() },
  "openArray()": { call: (options) => sluice.openArray(new Float32Array(2), options) },
  "readNumbers()": { call: (options) => sluice.readNumbers("memory:none.npy", options) },
  "listArrays()": { call: (options) => sluice.listArrays("memory:nothing", options) },
  "readNwb()": { call: (options) => sluice.readNwb("memory:nothing.nwb", options) },
  "createArray()": {
    good: { shape: [2], dtype: "int8", dims: ["row"] },
    call: async (options) => (await sluice.createArray("memory:created", options)).close(),
  },
  "openEpisodes()": { call: (options) => sluice.openEpisodes("memory:nothing", options) },
  "openAnnData()": { call: (options) => sluice.openAnnData("memory:nothing", options) },
  "plan.run()": { call: (options) => model().predict(gpu(), rows).run(options) },
  "live()": { call: (options) => sluice.live(model().predict(gpu(), rows), options).result },
  "new KMeans()": { good: { k: 2 }, call: (options) => new sluice.KMeans(options) },
  "KMeans.fit()": { call: (options) => new sluice.KMeans({ k: 2 }).fit(gpu(), rows, options) },
  "KMeans.predict()": { call: (options) => model().predict(gpu(), rows, options) },
  "KMeans.transform()": { call: (options) => model().transform(gpu(), rows, options) },
  "KMeans.partialFit()": { call: (options) => model().partialFit(gpu(), rows, options) },
  "new PCA()": { good: { components: 2 }, call: (options) => new sluice.PCA(options) },
  "PCA.fit()": { call: (options) => pcaModel().fit(gpu(), rows, options) },
  "PCA.transform()": {
    call: async (options) => {
      const fitted = pcaModel();
      await fitted.fit(gpu(), rows).run();
      fitted.transform(gpu(), rows, options);
    },
  },
  "new IncrementalPCA()": {
    good: { components: 2 },
    call: (options) => new sluice.IncrementalPCA(options),
  },
  "IncrementalPCA.fit()": {
    call: (options) => new sluice.IncrementalPCA({ components: 2 }).fit(gpu(), rows, options),
  },
  "IncrementalPCA.partialFit()": {
    call: (options) =>
      new sluice.IncrementalPCA({ components: 2 }).partialFit(gpu(), rows, options),
  },
  "new LogisticProbe()": { call: (options) => new sluice.LogisticProbe(options) },
  "LogisticProbe.fit()": {
    call: (options) => new sluice.LogisticProbe().fit(gpu(), rows, classes, options),
  },
  "LogisticProbe.predict()": {
    call: async (options) => {
      const probe = new sluice.LogisticProbe();
      await probe.fit(gpu(), rows, classes).run();
      probe.predict(gpu(), rows, options);
    },
  },
  "new MassMeanProbe()": { call: (options) => new sluice.MassMeanProbe(options) },
  "new MlpProbe()": { call: (options) => new sluice.MlpProbe(options) },
  "new AttentionProbe()": { call: (options) => new sluice.AttentionProbe(options) },
  "new MultiMaxProbe()": { call: (options) => new sluice.MultiMaxProbe(options) },
  "new GatedBipolarProbe()": { call: (options) => new sluice.GatedBipolarProbe(options) },
  "new SoftAttentionProbe()": { call: (options) => new sluice.SoftAttentionProbe(options) },
  "new RollingAttentionProbe()": { call: (options) => new sluice.RollingAttentionProbe(options) },
  "new PositionalAttentionProbe()": {
    call: (options) => new sluice.PositionalAttentionProbe(options),
  },
  "MlpProbe.fit()": {
    call: (options) => new sluice.MlpProbe().fit(gpu(), rows, classes, options),
  },
  "MlpProbe.predict()": {
    call: async (options) => {
      const probe = new sluice.MlpProbe({ hidden: 2, epochs: 1 });
      await probe.fit(gpu(), rows, classes).run();
      probe.predict(gpu(), rows, options);
    },
  },
  "MlpProbe.predictTokens()": {
    call: async (options) => {
      const probe = new sluice.MlpProbe({ hidden: 2, epochs: 1 });
      await probe.fit(gpu(), rows, classes).run();
      const offsets = Float64Array.of(0, rows.shape[0]!);
      probe.predictTokens(gpu(), { rows, offsets }, options);
    },
  },
  "new ProbeSweep()": {
    call: (options) =>
      new sluice.ProbeSweep(gpu(), {
        layers: [{ layer: 1, features: rows }],
        labels: classes,
        probes: [{ kind: "logistic" }],
      }, options),
  },
  "metrics.bootstrap()": {
    call: (options) => sluice.metrics.bootstrap([0, 1], [1, 2], sluice.metrics.auroc, options),
  },
  "collect()": {
    good: { dims: "bh", shape: [3, 2] },
    call: (options) => sluice.collect(new Float32Array(6), options),
  },
  "collectLive()": {
    good: { layers: [0], hidden: 2 },
    call: (options) => sluice.collectLive(async function* () {}, options),
  },
  "load()": { call: (options) => sluice.load("memory:no activations", options) },
  "messageMask()": {
    good: { last: 1, tokens: 2 },
    call: (options) => sluice.messageMask([0, 1], options),
  },
  "Acts.ema()": { call: (options) => activations().ema(options) },
  "Acts.rolling()": { call: (options) => activations().rolling(options) },
  "Acts.realize()": { call: (options) => activations().realize(gpu(), options) },
  "Acts.save() and cache()": {
    call: (options) => activations().save(gpu(), "memory:options of activations", options),
  },
  "contexts()": {
    good: { width: 2, mode: "mean" },
    call: (options) => sluice.contexts(rows, options),
  },
  "patches()": { good: { size: 2 }, call: (options) => sluice.patches(rows, options) },
  "expand()": {
    good: { index: Int32Array.of(0, 2, 3), size: 4 },
    call: (options) => sluice.expand(rows, options),
  },
  "decoder.sortedSpikes()": {
    good: { ...recording, binSize: 10 },
    call: (options) => sluice.decoder.sortedSpikes(options),
  },
  "decoder.continuous()": { call: (options) => sluice.decoder.continuous(options) },
  "decoder.contFrag()": { call: (options) => sluice.decoder.contFrag(options) },
  "decoder.noSpikeContFrag()": { call: (options) => sluice.decoder.noSpikeContFrag(options) },
  "decoder.multiEnvironment()": {
    good: { environments: ["a", "b"] },
    call: (options) => sluice.decoder.multiEnvironment(options),
  },
  "decoder.environments()": {
    good: severalEnvironments,
    call: (options) => sluice.decoder.environments(options),
  },
  "decoder.environments(), an environment": {
    good: severalEnvironments.environments[0]!,
    call: (own) =>
      sluice.decoder.environments({
        ...severalEnvironments,
        environments: [own, otherEnvironment],
      }),
  },
  "decoder.environments(), a group": {
    good: { name: "all", intervals: [[0, 10]] },
    call: (group) => sluice.decoder.environments({ ...severalEnvironments, groups: [group] }),
  },
  "decoder.nonLocal()": { call: (options) => sluice.decoder.nonLocal(options) },
  "decoder.stateModel()": {
    good: {
      names: ["one"],
      initial: [1],
      discreteTransition: [[1]],
      transitions: [[{ kind: "uniform" }]],
    },
    call: (options) => sluice.decoder.stateModel(options),
  },
  "SortedSpikesDecoder.smooth()": {
    good: { out: "memory:every option" },
    call: (options) => decoder().smooth(gpu(), options),
  },
  "decoder.clusterless()": {
    good: marked,
    call: (options) => sluice.decoder.clusterless(options),
  },
  "SortedSpikesDecoder.viterbi()": { call: (options) => decoder().viterbi(gpu(), options) },
  "SortedSpikesDecoder.saveEncoding()": {
    call: (options) => decoder().saveEncoding("memory:encoding", options),
  },
  "StoredEncoding.decoder()": {
    good: { spikes: recording.spikes },
    call: async (options) => {
      await decoder().saveEncoding("memory:encoding");
      return (await sluice.decoder.openEncoding("memory:encoding")).decoder(options);
    },
  },
  "SortedSpikesDecoder.samples()": { call: (options) => decoder().samples(gpu(), options) },
  "LogLikelihoodDecoder.samples()": {
    call: (options) => sluice.decoder.logLikelihoods(ownLikelihoods).samples(gpu(), options),
  },
  "SortedSpikesDecoder.em()": {
    good: { out: "memory:em" },
    call: (options) => decoder().em(gpu(), options),
  },
  "LogLikelihoodDecoder.em()": {
    good: { out: "memory:em" },
    call: (options) => sluice.decoder.logLikelihoods(ownLikelihoods).em(gpu(), options),
  },
  "LogLikelihoodDecoder.viterbi()": {
    call: (options) => sluice.decoder.logLikelihoods(ownLikelihoods).viterbi(gpu(), options),
  },
  "decoder.logLikelihoods()": {
    good: ownLikelihoods,
    call: (options) => sluice.decoder.logLikelihoods(options),
  },
  "LogLikelihoodDecoder.smooth()": {
    good: { out: "memory:every option" },
    call: (options) => sluice.decoder.logLikelihoods(ownLikelihoods).smooth(gpu(), options),
  },
  "open()": {
    call: (options) => sluice.open("memory:nothing", options),
  },
  "decoder.highestDensity()": {
    call: (options) => sluice.decoder.highestDensity(ownPosterior, options),
  },
  "decoder.hpdOverlap()": {
    call: (options) => sluice.decoder.hpdOverlap(ownPosterior, ownPosterior, options),
  },
  "decoder.mapSpeed()": {
    call: (options) => sluice.decoder.mapSpeed(ownPosterior, options),
  },
  "decoder.distanceFromAnimal()": {
    good: { position: { times: [0, 1], values: [0, 1] } },
    call: (options) => sluice.decoder.distanceFromAnimal(ownPosterior, options),
  },
  "decoder.aheadBehind()": {
    good: { position: { times: [0, 1], values: [0, 1] }, direction: [0, 0] },
    call: (options) => sluice.decoder.aheadBehind(ownPosterior, options),
  },
  "decoder.timeRescaling()": {
    good: { intensity: Float64Array.of(1, 1), spikes: Float64Array.of(0, 1) },
    call: (options) => sluice.decoder.timeRescaling(options),
  },
  "decoder.simulateReplay()": {
    good: { seed: 1, encodedSeconds: 1, stretches: [] },
    call: (options) => sluice.decoder.simulateReplay(options),
  },
  "decoder.simulateMarks()": {
    good: { seed: 1 },
    call: (options) => sluice.decoder.simulateMarks([0], options),
  },
  "decoder.simulateSession()": {
    good: { seed: 1, seconds: 1 },
    call: (options) => sluice.decoder.simulateSession(options),
  },
  "windows()": {
    good: { size: 2 },
    call: (options) => sluice.windows(new Float32Array(20), options),
  },
  "windows(), pad": {
    call: (pad) => sluice.windows(new Float32Array(20), { size: 9, pad }),
  },
  "windows(), a key": {
    good: { values: new Float32Array(20), offsets: [0] },
    call: (key) => sluice.windows(new Float32Array(20), { size: 2, keys: { key } }),
  },
  "Windows.batches(), on a GPU": { call: (options) => view().batches(gpu(), options) },
  "Windows.batches(), on the host": { call: (options) => view().batches(options) },
  "shuffle, on two levels": { good: { seed: 1 }, call: (shuffle) => checkShuffle(shuffle) },
  "balanced()": { call: (options) => sluice.balanced([0, 1], options) },
  "prioritized()": { call: (options) => sluice.prioritized([0, 1], options) },
  "rarityWeights()": {
    good: { buttons: 2, factor: 3 },
    call: (options) => sluice.rarityWeights([0, 1], options),
  },
  "condition.run(), the configuration": {
    good: { input: { latents: "memory:nothing" }, out: "memory:every option" },
    call: (config) => sluice.condition.checkConfig(config),
  },
  "condition.run()": {
    call: (options) => {
      const config = { input: { latents: "memory:nothing" }, out: "memory:every option" };
      return sluice.condition.run(gpu(), config, options);
    },
  },
  "condition.splitSpeakers()": {
    call: (options) => sluice.condition.splitSpeakers([], options),
  },
  "condition.diagnose()": {
    good: {
      normalizer: { mean: new Float32Array(3), std: new Float32Array(3), rows: 1 },
      ids: new Int32Array(1),
      effective: { ids: new Int32Array(1), counts: new Float64Array(1) },
      permutationSeed: 1,
    },
    call: (options) =>
      sluice.condition.diagnose({ frames: rows, utterances: [], firstTarget: 1 }, options),
  },
  "condition.decide()": {
    call: (thresholds) => sluice.condition.decide(diagnosis, diagnosis, thresholds),
  },
  "cpa.setup()": {
    good: { perturbationKey: "perturbation", controlGroup: "control" },
    call: (options) => sluice.cpa.setup(nothing, options),
  },
  "cpa.readDegMasks()": {
    good: { key: "genes", categoryKey: "condition" },
    call: (options) => sluice.cpa.readDegMasks(nothing, options),
  },
  "cpa.train()": { call: (options) => sluice.cpa.train(gpu(), nothing, nothing, options) },
  "TrainedCpa.latents()": {
    call: (options) => trainedCpa().latents(gpu(), nothing, nothing, options),
  },
  "TrainedCpa.reconstruct()": {
    call: (options) => trainedCpa().reconstruct(gpu(), nothing, nothing, options),
  },
  "TrainedCpa.predictor()": {
    call: (options) => trainedCpa().predictor(gpu(), nothing, nothing, options),
  },
  "TrainedCpa.counterfactual()": {
    good: { perturbations: ["A"] },
    call: (options) => trainedCpa().counterfactual(gpu(), nothing, nothing, options as never),
  },
  "cpa.sumCells() and cpa.evaluate()": {
    call: (options) => sluice.cpa.evaluate(nothing, [], [], options),
  },
  "plot()": { call: (options) => sluice.plot("memory:nothing", options) },
  "exportNetcdf()": {
    call: (options) => sluice.exportNetcdf("memory:nothing", "memory:nothing.nc", options),
  },
  "exportZip()": {
    call: (options) => sluice.exportZip("memory:nothing", "memory:nothing.zip", options),
  },
  "checkStore()": { call: (options) => sluice.checkStore("memory:nothing", options) },
};

const trainedCpa = () => new sluice.cpa.TrainedCpa(nothing, {}, nothing, nothing);

/** Public functions that take no options. */
/** Commands that need none. */
const NO_GPU = ["encode", "export", "plot", "submit", "worker"];

const WITHOUT_OPTIONS = [
  "formatSweep",
  "logMemory",
  "AnnDataWriter",
  ...["classWeights", "conditionLabel", "fillSlots", "strataOf", "GroupSums", "drawCount"].map(
    (name) => `cpa.${name}`,
  ),
  ...[
    "openModel",
    "HeldCells",
    "energyDistance",
    "kernelWidth",
    "principalAxes",
    "project",
    "squaredMmd",
  ].map(
    (name) => `cpa.${name}`,
  ),
  "openArray",
  "fromTypedArray",
  "readAll",
  "openNetcdf",
  "persistStorage",
  "weighted",
  "everyNth",
  "formatBytes",
  "parseBytes",
  "decoder.fromUint16",
  "decoder.toUint16",
  "decoder.posteriorMean",
  "decoder.mapPosition",
  "decoder.klDivergence",
  "decoder.mostLikelySequence",
  "decoder.openParameters",
  "decoder.openEncoding",
  "condition.deltaNormalizer",
  "condition.effectiveClusters",
  "collectActivations",
  "loadActivations",
  "hiddenStates",
  "tokenNorms",
  "condition.plan",
  "condition.quartileEdges",
  "condition.quartileIds",
];
/** What makes instances that others hand out, and is called by nobody. */
const MADE_BY_OTHERS = [
  "Acts",
  "Episodes",
  "Gpu",
  "Windows",
  "condition.ClusterMoments",
  "decoder.ClusterlessDecoder",
  "decoder.EnvironmentsDecoder",
  "decoder.LogLikelihoodDecoder",
  "cpa.TrainedCpa",
  "decoder.SortedSpikesDecoder",
];

async function refusalOf(call: Call, options: object): Promise<Error> {
  try {
    await call(options);
  } catch (error) {
    return error as Error;
  }
  throw new Error(`nothing was refused: ${JSON.stringify(Object.keys(options))}`);
}

const isNumeric = ({ wanted }: Option) => /^("\w+" or )*(a (whole )?number|one of \d)/.test(wanted);
const named = (name: string) => new RegExp(`(^|[^\\w])${name}($|[^\\w])`);

describe.each(Object.entries(CALLS))("%s", (name, { good = {}, call }) => {
  const { options, action } = DECLARATIONS[name as keyof typeof CALLS] as Declaration;
  const each = Object.entries(options);

  it("refuses an option that it does not know, and says which may be meant", async () => {
    for (const [key] of each) {
      const { message, name } = await refusalOf(call, { ...good, [`${key}x`]: 1 });
      expect(message).toContain(`Cannot ${action}: there is no option "${key}x", `);
      expect(message).toMatch(named(key));
      expect(name).toBe("TypeError");
    }
  });

  it("refuses an option of another kind, by its name", async () => {
    for (const [key, option] of each) {
      for (const value of [null, Symbol("odd"), ...isNumeric(option) ? [true] : ["5", 5n]]) {
        // some may be a text, or a large number
        if (value === "5" && !option.isFlag) continue;
        if (value === 5n && key === "fill") continue;
        const { message, name } = await refusalOf(call, { ...good, [key]: value });
        expect(message).toMatch(named(key));
        expect([name, key]).toEqual(["TypeError", key]);
      }
    }
  });

  it("refuses a number that makes no sense, and a word that is not known", async () => {
    for (const [key, option] of each) {
      const wrong = isNumeric(option)
        ? [NaN]
        : option.wanted.startsWith("one of")
        ? ["nonsense"]
        : [];
      for (const value of wrong) {
        if (key === "fill") continue; // NaN is what it is by default
        const { message, name } = await refusalOf(call, { ...good, [key]: value });
        expect(message).toMatch(named(key));
        expect([name, key]).toEqual(["RangeError", key]);
      }
    }
  });

  it("says of every option what it is", () => {
    for (const [key, { says, required, default: own }] of each) {
      expect([key, says?.length]).not.toEqual([key, 0]);
      expect([key, says]).not.toEqual([key, undefined]);
      expect([key, required && own !== undefined]).not.toEqual([key, true]);
    }
  });
});

describe("options", () => {
  it("are declared for every public function", () => {
    const functions = Object.entries(sluice).flatMap(([name, value]): [string, unknown][] =>
      typeof value === "object" ? Object.entries(prefixed(name, value)) : [[name, value]]
    ).filter(([name, value]) => typeof value === "function" && !/Error$/.test(name));
    const called = Object.keys(CALLS).join(" ");
    const unknown = functions.map(([name]) => name).filter((name) =>
      // pictures check what they are given by themselves
      !name.startsWith("view.") && !name.startsWith("metrics.") &&
      !WITHOUT_OPTIONS.includes(name) &&
      !MADE_BY_OTHERS.includes(name) &&
      // its argument is the configuration
      name !== "condition.checkConfig" && !called.includes(`${name}()`)
    );
    expect(unknown).toEqual([]);
  });

  it("are declared for every command", async () => {
    const { stdout } = await runCli(["--help"]);
    const commands = [...stdout.matchAll(/^ {2}(\w+) +\S/gm)].map(([, command]) => command);
    expect(commands).toEqual(Object.keys(COMMANDS));
  });

  it("that people misspelt are refused, and seeds and flags that are texts", async () => {
    const points = { k: 2 };
    const cases: [keyof typeof CALLS, object, string][] = [
      ["SortedSpikesDecoder.smooth()", { summary: ["map"] }, '"summary", "summaries" may be meant'],
      ["SortedSpikesDecoder.smooth()", { casual: true }, '"casual", "causal" may be meant'],
      ["decoder.sortedSpikes()", { positonStd: 3 }, '"positonStd", "positionStd" may be meant'],
      ["new KMeans()", { ...points, n_init: 3 }, '"n_init", "inits" may be meant'],
      ["new KMeans()", { ...points, seed: "abc" }, 'seed is "abc", wanted a whole number'],
      ["new KMeans()", { ...points, spherical: "no" }, 'spherical is "no", wanted true or false'],
    ];
    for (const [name, more, message] of cases) {
      const { good = {}, call } = CALLS[name];
      expect((await refusalOf(call, { ...good, ...more })).message).toContain(message);
    }
  });

  it("that results depend on are in the stores by the names that are declared", async () => {
    const parametersOf = async (place: string) => {
      const store = await openStore(place);
      const { attributes } = (await readGroupAttributes(store))!;
      await store.close();
      return attributes.parameters as Record<string, unknown>;
    };
    const fits = {
      kmeans: (out: string) => new sluice.KMeans({ k: 2, inits: 3 }).fit(gpu(), rows, { out }),
      pca: (out: string) => new sluice.PCA({ components: 2 }).fit(gpu(), rows, { out }),
      incremental: (out: string) =>
        new sluice.IncrementalPCA({ components: 2 }).fit(gpu(), rows, { out, batchRows: 7 }),
    };
    const stored: Record<string, unknown> = {};
    for (const [name, fit] of Object.entries(fits)) {
      const place = `memory:options of ${name}`;
      await fit(place).run();
      stored[name] = await parametersOf(place);
    }
    const told = kmeansOptions.check({ k: 2, inits: 3 });
    expect(stored).toEqual({
      kmeans: { ...storedOf(kmeansOptions.options, told), init: "k-means++" },
      pca: storedOf(pcaOptions.options, { components: 2, whiten: false }),
      incremental: { components: 2, whiten: false, keep: 28, batch_rows: 7 },
    });
    expect(stored.kmeans).toMatchObject({ n_init: 3, max_iter: 100, tolerance: 1e-4, seed: 42 });
  });

  it("are in the docs as they are declared", async () => {
    // to write the page anew: WRITE_DOCS=1 npx vitest run test/node/every_option_test.ts -t docs
    const file = "docs/options.md";
    if (process.env.WRITE_DOCS) await writeFile(file, optionsPage());
    expect(await readFile(file, "utf8")).toBe(optionsPage());
  });
});

const { completion: COMPLETION, part: PART, submit: SUBMIT, worker: WORKER } =
  ALL_COMMANDS as Record<
    "completion" | "part" | "submit" | "worker",
    Command
  >;

const RUN: Record<string, (context: CommandContext) => Promise<number | void>> = {
  ...{
    acts,
    check,
    completion: COMPLETION.run,
    condition,
    cpa,
    decode,
    em,
    encode,
    export: exportStore,
    info,
    kmeans,
    part: PART.run,
    pca,
    plot: plotCommand,
    predict,
    probe,
    transform,
    samples,
    status,
    submit: SUBMIT.run,
    worker: WORKER.run,
    viterbi,
    windows: windowsCommand,
  },
};
const { signal } = new AbortController();

describe.each(Object.entries(COMMANDS))("sluice %s", (name, sections) => {
  const refusal = (...args: string[]) => refusalOf(() => RUN[name]!({ args, signal }), {});
  const flags = Object.values(sections).flatMap(flagsOf);

  it("refuses a flag that it does not know, and says which may be meant", async () => {
    for (const [flag] of [...flags, ["json", undefined], ["quiet", undefined]] as const) {
      const { message } = await refusal(`--${flag}x`);
      expect(message).toContain(`there is no option "--${flag}x", `);
      expect(message).toMatch(named(`--${flag}`));
    }
    expect((await refusal("--jsn")).message).toContain('"--json" may be meant');
  });

  it("refuses what a flag cannot be, by its name, before anything is opened", async () => {
    for (const [flag, { wanted, isFlag, read }] of flags) {
      if (isFlag || !read) continue;
      if (/number/.test(wanted)) {
        expect((await refusal(`--${flag}=five`)).message).toMatch(named(`--${flag}`));
        const far = await refusal(`--${flag}=1e999`);
        expect(far.message).toMatch(named(`--${flag}`));
      }
      if (/number (from|above)/.test(wanted)) {
        expect((await refusal(`--${flag}=-1`)).message).toMatch(
          new RegExp(`--${flag}(\\[0\\])? is -1, wanted`),
        );
      }
      if (wanted.startsWith("one of")) {
        expect((await refusal(`--${flag}=nonsense`)).message).toMatch(named(`--${flag}`));
      }
    }
  });

  it("has the defaults of the functions, in its help", () => {
    const help = helpOf(sections).replace(/\s+/g, " ");
    const declared = Object.values(DECLARATIONS).flatMap(({ options }) => flagsOf(options));
    for (const [flag, option] of flags) {
      expect(help).toContain(`--${flag}`);
      const own = declared.filter(([name, { says }]) => name === flag && says === option.says);
      for (const [, { default: usually }] of own) {
        expect([flag, option.default]).toEqual([flag, usually]);
      }
      if (option.isFlag || usual(option) === "") continue;
      expect(help).toContain(`(default: ${usual(option)})`);
    }
  });
});

describe("defaults", () => {
  it("are these, of functions, commands and configurations alike", async () => {
    const own = (name: keyof typeof DECLARATIONS) => CALLS[name].good ?? {};
    const checked = (name: keyof typeof DECLARATIONS) => DECLARATIONS[name].check(own(name));
    expect(checked("openGpu()")).toEqual({ budget: "1 GiB" });
    expect(checked("new KMeans()")).toEqual({
      ...{ k: 2, seed: 42, maxIterations: 100, tolerance: 1e-4, spherical: false },
    });
    expect(checked("new PCA()")).toEqual({ components: 2, whiten: false });
    expect(checked("contexts()")).toEqual({ width: 2, lag: 1, mode: "mean" });
    expect(checked("decoder.contFrag()")).toEqual({ movementVar: 6, stay: 0.98 });
    expect(checked("decoder.sortedSpikes()")).toMatchObject({ positionStd: 6 });
    expect(checked("SortedSpikesDecoder.smooth()")).toEqual({
      ...own("SortedSpikesDecoder.smooth()"),
      ...{ timeGrid: "edges", missing: [], dtype: "f32", posterior: true, summaries: [] },
      ...{
        causal: false,
        predictive: false,
        codec: "none",
        zarrFormat: 3,
        lanes: "auto",
        laneTolerance: 1e-5,
      },
      ...{ operator: "auto", overwrite: false, allowAdapterChange: false },
    });
    expect(checked("Windows.batches(), on a GPU")).toEqual({
      ...{ size: 256, shuffle: 0, dropLast: false, prefetch: 2, dtype: "float32", eager: false },
      ...{ epoch: 0, epochs: 1 },
    });
    expect(checked("condition.run(), the configuration")).toMatchObject({
      ...{ window: 8, lags: [1, 2, 4], seed: 42, trainShare: 0.8, holdout: 0.1 },
      ...{ minClusterSize: 100, minSpeakerRows: 50 },
    });
    expect(checked("condition.diagnose()")).toMatchObject({ minSpeakerRows: 50 });
    for (const [name, sections] of Object.entries(COMMANDS)) {
      if (Object.keys(sections).length === 0 || NO_GPU.includes(name)) continue;
      const [, budget] = helpOf(sections).split("--budget SIZE");
      expect([name, budget]).toEqual([
        name,
        expect.stringMatching(/^ +GPU memory allowed[^(]*\(default: 1 GiB\)/),
      ]);
    }
    const opened = await sluice.openGpu();
    expect(opened.budgetBytes.gpu).toBe(2 ** 30);
    opened.close();
  });
});

function flagsOf(options: Options): (readonly [flag: string, option: Option])[] {
  return Object.entries(options).flatMap(([name, option]) => {
    if (option.flag === false) return [];
    if (option.members) return flagsOf(option.members);
    const hasFlag = option.isFlag || option.takes || option.read;
    return hasFlag ? [[flagOf(name, option), option] as const] : [];
  });
}

function prefixed(prefix: string, names: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(names).map(([name, value]) => [`${prefix}.${name}`, value]),
  );
}
