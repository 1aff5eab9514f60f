/** Commands, each a process of its own: what they store, and what `--json` prints. */

import { encodeNpy } from "../../../src/array/npy.ts";
import { smallCorpus } from "../corpus.ts";
import { smallRecording } from "../recordings.ts";
import type { KeptRun } from "./kept.ts";
import { FAINT, ROUND } from "./rows.ts";

/** Times, memory and the device: of the machine, not of the result. */
const OF_THE_MACHINE = /seconds$|bytes$|^adapter$|^resumed$/i;

/** Writes inputs into a folder, and returns the arguments of a command that stores at `out`. */
type Prepare = (folder: string, out: string) => Promise<string[]>;

function command(name: string, prepare: Prepare, { stores = true } = {}): KeptRun {
  return {
    name: `command: ${name}`,
    async run({ folder }) {
      const place = await folder();
      const out = `${place}/out`;
      const args = await prepare(place, out);
      // browsers, which have no processes, skip these runs
      const { runCli } = await import("../cli.ts");
      const { code, stdout, stderr } = await runCli([...args, "--json", "--quiet"]);
      if (code !== 0) throw new Error(`sluice ${args[0]} ended with ${code}: ${stdout}${stderr}`);
      const printed = JSON.parse(
        stdout.replaceAll(place, "."),
        (key, value) => OF_THE_MACHINE.test(key) ? undefined : value,
      );
      return { ...(stores && { stores: { out } }), returned: printed };
    },
  };
}

async function write(folder: string, files: Record<string, Uint8Array | string>): Promise<void> {
  const { writeFile } = await import("node:fs/promises");
  for (const [name, contents] of Object.entries(files)) {
    await writeFile(`${folder}/${name}`, contents);
  }
}

const npyOf = ({ values, shape }: typeof ROUND) => encodeNpy(values as Float32Array, shape);

export const COMMANDS: readonly KeptRun[] = [
  command("kmeans", async (folder, out) => {
    await write(folder, { "rows.npy": npyOf(ROUND) });
    return ["kmeans", "--input", `${folder}/rows.npy`, "--k", "7", "--n-init", "2", "--out", out];
  }),
  command("pca", async (folder, out) => {
    await write(folder, { "rows.npy": npyOf(FAINT) });
    const input = ["--input", `${folder}/rows.npy`];
    return ["pca", ...input, "--components", "4", "--whiten", "--out", out];
  }),
  command("decode", async (folder, out) => {
    const { writeRecording } = await import("../cli.ts");
    const options = await writeRecording(folder, smallRecording({ seconds: 4 }));
    const stored = ["--causal", "--summaries", "map,entropy", "--dtype", "u16"];
    return ["decode", ...options, "--states", "contFrag", ...stored, "--out", out];
  }),
  command("condition", async (folder, out) => {
    const { frames, features, energy, utterances } = smallCorpus("cycle");
    const starts = Int32Array.from(utterances, ({ start }) => start);
    await write(folder, {
      "frames.npy": encodeNpy(frames, [energy.length, features]),
      "segments.npy": encodeNpy(starts),
      "speakers.json": JSON.stringify(utterances.map(({ speaker }) => speaker)),
      "config.json": JSON.stringify({
        input: {
          frames: `${folder}/frames.npy`,
          segments: `${folder}/segments.npy`,
          speakers: `${folder}/speakers.json`,
        },
        window: 3,
        lags: [1],
        conditions: [{ name: "mean_vq4", context: "mean", clusters: 4, inits: 1 }],
        minClusterSize: 20,
        minSpeakerRows: 40,
      }),
    });
    return ["condition", `${folder}/config.json`, "--out", out];
  }),
  command("windows", async (folder) => {
    await write(folder, { "frames.npy": npyOf(ROUND) });
    const size = ["--size", "10", "--batch", "32"];
    return ["windows", "info", `${folder}/frames.npy`, ...size];
  }, { stores: false }),
];
