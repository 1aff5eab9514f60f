/** Context conditioning as a whole, and decodes as NetCDF files. */

import type { ConditionConfig } from "../../../src/condition/condition.ts";
import { condition, decoder, exportNetcdf, fromTypedArray } from "../../../src/mod.ts";
import type { ExportOptions } from "../../../src/mod.ts";
import { smallCorpus, writeGroups } from "../corpus.ts";
import { smallRecording } from "../recordings.ts";
import type { KeptRun } from "./kept.ts";

const CONDITIONS: ConditionConfig["conditions"] = [
  { name: "mean_vq4", context: "mean", clusters: 4, inits: 2 },
  { name: "pca2_vq4", context: "flat", components: 2, clusters: 4, inits: 1 },
  { name: "pca2_quartile", context: "flat", components: 2, quartile: true },
];
const SETTINGS = {
  window: 3,
  lags: [1, 2],
  conditions: CONDITIONS,
  minClusterSize: 20,
  minSpeakerRows: 40,
};
const PLANTED = smallCorpus("cycle");

function configOf(
  { frames, features, energy, utterances }: ReturnType<typeof smallCorpus>,
  out: string,
  more: Partial<ConditionConfig> = {},
): ConditionConfig {
  const input = {
    frames: fromTypedArray(frames, [energy.length, features]),
    energy: fromTypedArray(energy),
    segments: utterances.map(({ start }) => start),
    speakers: utterances.map(({ speaker }) => speaker),
  };
  return { ...SETTINGS, input, out, ...more };
}

/** The whole report is long: as one hash. */
const tell = (report: condition.ConditionReport) => ({
  passed: report.passed,
  splits: report.splits,
  report: new TextEncoder().encode(JSON.stringify(report)),
});

/** Writes a decode, exports it, and tells what HDF5 finds in the file. */
function exported(
  name: string,
  { decode, options = {} }: {
    decode: Omit<decoder.DecodeOptions, "out">;
    options?: ExportOptions;
  },
): KeptRun {
  return {
    name: `NetCDF: ${name}`,
    async run({ gpu, place, folder }) {
      const out = place();
      const model = decoder.sortedSpikes({
        ...smallRecording({ seconds: 3, dimensions: 2 }),
        states: decoder.contFrag({ movementVar: 4 }),
        binSize: 4,
        positionStd: 4,
      });
      await (await model.smooth(gpu, { ...decode, out }).run()).close();
      const file = `${await folder()}/decode.nc`;
      const { variables } = await exportNetcdf(out, file, options);
      // a package of Node's: browsers skip these runs
      const { contentsOf } = await import("./hdf5_contents.ts");
      return { returned: { variables, contents: await contentsOf(file) } };
    },
  };
}

export const ANALYSES: readonly KeptRun[] = [
  {
    name: "conditioning: the past that was planted, three models at two lags",
    async run({ gpu, place }) {
      const out = place();
      const report = await condition.run(gpu, configOf(PLANTED, out));
      return { stores: { condition: out }, returned: tell(report) };
    },
  },
  {
    name: "conditioning: a walk, other speakers and slices",
    async run({ gpu, place }) {
      const out = place();
      const report = await condition.run(
        gpu,
        configOf(smallCorpus("walk", { speakers: 5, seed: 4 }), out, {
          lags: [1],
          seed: 7,
          shuffle: "numpy",
          holdout: 0,
          slices: ["all", "medial"],
          conditions: [{ name: "flat_vq6", context: "flat", clusters: 6, inits: 1 }],
        }),
      );
      return { stores: { condition: out }, returned: tell(report) };
    },
  },
  {
    name: "conditioning: groups of zarr version 2, in files",
    async run({ gpu, folder }) {
      const place = await folder();
      await writeGroups(PLANTED, `${place}/latents`, 2);
      const out = `${place}/out`;
      const input = { latents: `${place}/latents` };
      const config = { ...SETTINGS, input, out, lags: [1], conditions: [CONDITIONS![0]!] };
      const report = await condition.run(gpu, config);
      return { stores: { condition: out }, returned: tell(report) };
    },
  },
  {
    name: "conditioning, stopped and gone on with",
    async run({ gpu, place }) {
      const out = place();
      const config = configOf(PLANTED, out);
      const stop = new Error("stopped on its way");
      const cancel = new AbortController();
      const run = condition.run(gpu, config, {
        signal: cancel.signal,
        onProgress: ({ fraction }) => fraction > 0.6 && cancel.abort(stop),
      });
      const stopped = await run.then(() => undefined, (error) => error);
      if (stopped !== stop) throw stopped ?? new Error("The analysis came to its end");
      const report = await condition.run(gpu, config);
      return { stores: { condition: out }, returned: tell(report) };
    },
  },
  exported("a decode as it is", {
    decode: { time: { step: 0.02 }, causal: true, summaries: ["map", "mean"] },
  }),
  exported("u16 on every bin of the box, compressed", {
    decode: { time: { step: 0.02 }, dtype: "u16", chunkRows: 32 },
    options: { expand: true, deflate: 4 },
  }),
];
