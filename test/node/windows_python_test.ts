/** Windows of a data set that Python wrote, held against what numpy cuts out of it. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { fromTypedArray, openArray, readAll } from "../../src/array/array.ts";
import { windows } from "../../src/windows/windows.ts";
import { pythonMissing, runPython } from "../support/python.ts";

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
      const all = async (name: string, width: number) => {
        const whole = new Float64Array(width * lengths.reduce((sum, own) => sum + own, 0));
        let at = 0;
        for (const i of lengths.keys()) {
          const array = await openArray(`${folder}/demos.hdf5/data/demo_${i}/${name}`);
          const values = await readAll(array) as Float64Array;
          whole.set(values, at);
          at += values.length;
          await array.close();
        }
        return whole;
      };
      const states = Float32Array.from(await all("obs/state", 5));
      const wanted = async (name: string) =>
        await readAll(await openArray(`${folder}/${name}.npy`));
      const ends = lengths.map((_, i) =>
        lengths.slice(0, i + 1).reduce((sum, own) => sum + own, 0)
      );
      const view = windows(fromTypedArray(states, [states.length / 5, 5]), {
        size: 4,
        segments: { ends },
        pad: { before: 3 },
        keys: {
          action: {
            values: await all("actions", 3),
            offsets: [0, 1, 2, 3, 4, 5],
            outside: "zero",
          },
        },
      });
      expect(view.shape).toEqual([73, 4, 5]);
      for await (const batch of view.batches({ size: 73, shuffle: false })) {
        expect(batch.frames).toEqual(await wanted("states"));
        expect(batch.mask).toEqual(await wanted("frames"));
        expect(batch.keys!.action!.values).toEqual(await wanted("actions"));
        expect(batch.keys!.action!.mask).toEqual(await wanted("masks"));
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
