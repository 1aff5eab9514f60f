/** Windows of a data set that Python wrote, held against what numpy cuts out of it. */

import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import { openEpisodes } from "../../src/array/episodes/episodes.ts";
import { windows } from "../../src/windows/windows.ts";
import { encodeNpy } from "../../src/array/npy.ts";
import { cliCommand } from "../support/cli.ts";
import { PYTHON, pythonMissing, runPython } from "../support/python.ts";

// demonstrations as robomimic keeps them, and windows of 4 states with 6 actions from the last of them on
const WRITE = `
import sys, json, h5py, numpy as np
folder = sys.argv[1]
rng = np.random.default_rng(7)
lengths = [23, 1, 9, 40]
states, actions, masks, frames = [], [], [], []
with h5py.File(folder + "/demos.hdf5", "w") as file:
    data = file.create_group("data")
    for i, length in enumerate(lengths):
        demo = data.create_group(f"demo_{i}")
        state = rng.standard_normal((length, 5)).astype(np.float32)
        action = rng.standard_normal((length, 3))
        demo.create_dataset("obs/state", data=state, chunks=(min(8, length), 5), compression="gzip")
        demo.create_dataset("actions", data=action)
        demo.attrs["num_samples"] = length
        for last in range(length):
            states.append(state[np.clip(np.arange(last - 3, last + 1), 0, length - 1)])
            frames.append(np.arange(last - 3, last + 1) >= 0)
            ahead = np.arange(last, last + 6)
            there = ahead < length
            actions.append(np.where(there[:, None], action[np.minimum(ahead, length - 1)], 0.0))
            masks.append(there)
np.save(folder + "/states.npy", np.stack(states))
np.save(folder + "/actions.npy", np.stack(actions))
np.save(folder + "/masks.npy", np.stack(masks).astype(np.uint8))
np.save(folder + "/frames.npy", np.stack(frames).astype(np.uint8))
print(json.dumps(lengths))
`;

describe("demonstrations that h5py wrote", () => {
  it("come as windows and action chunks equal to numpy's", async ({ skip }) => {
    const missing = pythonMissing(["h5py", "numpy"]);
    skip(missing !== undefined, missing);
    const folder = await mkdtemp(path.join(tmpdir(), "sluice-"));
    try {
      const lengths = runPython(WRITE, folder) as number[];
      const wanted = async (name: string) =>
        await readAll(await openArray(`${folder}/${name}.npy`));
      const data = await openEpisodes(`${folder}/demos.hdf5`);
      expect(data.segments.map(({ start, end }) => end - start)).toEqual(lengths);
      const view = windows(
        {
          state: await data.array("obs/state"),
          action: {
            values: await data.array("actions"),
            offsets: [0, 1, 2, 3, 4, 5],
            outside: "zero",
            rowsIn: "disk",
          },
        },
        { size: 4, segments: data.segments, pad: { before: 3 } },
      );
      expect(view.shape).toEqual([73, 4, 5]);
      for await (const batch of view.batches({ size: 73, shuffle: false })) {
        expect(batch.frames).toEqual(await wanted("states"));
        expect(batch.mask).toEqual(await wanted("frames"));
        expect(batch.keys!.action!.values).toEqual(await wanted("actions"));
        expect(batch.keys!.action!.mask).toEqual(await wanted("masks"));
      }
      await data.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

// what train.py would do: as numpy has the batches of the pipe
const READ = `
import json, sys
sys.path.insert(0, sys.argv[1])
from sluice_batches import batches
found = []
for batch in batches():
    found.append({name: [str(values.dtype), list(values.shape), values.ravel().tolist()]
                  for name, values in batch.items()})
    if len(found) == int(sys.argv[2]):
        break
print(json.dumps(found))
`;

type Sent = Record<string, [dtype: string, shape: number[], values: number[]]>;

/** Pipes what the command line writes into a script, and gives what that prints. */
function pipeToPython(args: readonly string[], script: string, ...given: string[]): Sent[] {
  const pipe = '{ "$@"; echo "ended with $?" >&2; } | "$PYTHON" -W ignore -c "$SCRIPT" $GIVEN';
  const { stdout, stderr } = spawnSync("sh", ["-c", pipe, "sh", ...cliCommand(args)], {
    env: { ...process.env, PYTHON, SCRIPT: script, GIVEN: given.join(" ") },
    encoding: "utf8",
    timeout: 60_000,
  });
  expect(stderr.trim().split("\n").at(-1)).toBe("ended with 0");
  return JSON.parse(stdout);
}

describe("sluice windows stream", () => {
  it("brings batches to Python through a pipe, and ends when Python has enough", async ({ skip }) => {
    const missing = pythonMissing(["numpy"]);
    skip(missing !== undefined, missing);
    const folder = await mkdtemp(path.join(tmpdir(), "sluice-"));
    try {
      const count = Float32Array.from({ length: 24 }, (_, i) => i);
      const [frames, actions] = [`${folder}/frames.npy`, `${folder}/actions.npy`];
      await writeFile(frames, encodeNpy(count, [12, 2]));
      await writeFile(actions, encodeNpy(Int16Array.from(count), [12, 2]));
      const given = [
        ...["windows", "stream", frames, "--size", "3", "--pad-before", "1", "--batch", "5"],
        ...["--keys", `${actions}=0:2,${frames}`, "--shuffle", "none", "--pad-mode", "zero"],
      ];
      const all = pipeToPython(given, READ, "examples/python", "0");
      expect(all.map(({ windows }) => windows![1])).toEqual([[5], [5], [1]]);
      const [first, , last] = all as [Sent, Sent, Sent];
      expect(Object.keys(first)).toEqual([
        ...["epoch", "windows", "frames", "mask", actions, `${actions}_mask`],
        ...[frames, `${frames}_mask`],
      ]);
      expect(first.frames!.slice(0, 2)).toEqual(["float32", [5, 3, 2]]);
      expect(first.frames![2].slice(0, 6)).toEqual([0, 0, 0, 1, 2, 3]);
      expect(first.mask![2].slice(0, 6)).toEqual([0, 1, 1, 1, 1, 1]);
      expect(last[actions]).toEqual(["int16", [1, 2, 2], [22, 23, 0, 0]]);
      expect(last[`${actions}_mask`]![2]).toEqual([1, 0]);
      const some = pipeToPython([...given, "--epochs", "100000"], READ, "examples/python", "7");
      expect(some.map(({ epoch }) => epoch![2])).toEqual([[0], [0], [0], [1], [1], [1], [2]]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
