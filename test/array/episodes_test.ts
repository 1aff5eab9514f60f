import { describe, expect, it } from "vitest";
import type { ChunkedArray } from "../../src/chunked_array.ts";
import { readAll } from "../../src/array/array.ts";
import type { Episodes } from "../../src/array/episodes/episodes.ts";
import { openEpisodes } from "../../src/array/episodes/episodes.ts";
import { episodesByFile } from "../../src/array/episodes/lerobot.ts";
import { encodeBfloat16 } from "../../src/math/bfloat16.ts";
import { encodeFloat16 } from "../../src/math/half.ts";
import { openStore } from "../../src/store/open_store.ts";
import { windows } from "../../src/windows/windows.ts";
// by test/fixtures/make_episodes.py: pyarrow and h5py wrote the files, numpy cut the windows
import { files, lengths, windows as cut } from "../fixtures/episodes.json" with { type: "json" };

let places = 0;

/** Puts files into memory, where their names begin so. */
async function place(
  prefix: string,
  change: (path: string, bytes: Uint8Array) => Uint8Array = (_, b) => b,
) {
  const own = `memory:episodes-${places++}`;
  const store = await openStore(own, { mode: "write" });
  for (const [path, text] of Object.entries(files)) {
    if (!path.startsWith(prefix)) continue;
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    await store.set(`/${path}`, change(path, bytes));
  }
  await store.close();
  return `${own}/${prefix}`;
}

/** Windows of 2 states with 3 actions from the last of them on. */
async function cutWindows(data: Episodes, state: string, action: string, reward: string) {
  const view = windows(
    {
      state: await data.array(state),
      action: { values: await data.array(action), offsets: [0, 1, 2], outside: "zero" },
      reward: { values: await data.array(reward), offsets: [0] },
    },
    { size: 2, segments: data.segments, pad: { before: 1 } },
  );
  for await (const batch of view.batches({ size: 99, shuffle: false })) {
    const { action, reward } = batch.keys as Required<typeof batch.keys> & object;
    return {
      view,
      found: {
        frames: [...batch.frames],
        mask: [...batch.mask!],
        action: [...action!.values],
        actionMask: [...action!.mask],
        reward: [...reward!.values],
      },
    };
  }
  throw new Error("there is no batch");
}

const values = async (array: ChunkedArray) => [...await readAll(array)].map(Number);

describe("episodes of LeRobot", () => {
  for (const version of ["v2", "v3"]) {
    it(`in version ${version} give the windows that numpy cut, with ids, parts and tasks`, async () => {
      const data = await openEpisodes(await place(version));
      expect(data.kind).toBe("LeRobot");
      expect([data.frames, data.rate]).toEqual([13, 10]);
      expect(data.segments.map(({ start, end }) => end - start)).toEqual(lengths);
      expect(data.parts).toEqual({ train: [0, 1], valid: [2] });
      expect(data.tasks).toEqual([["push the T"], ["rest"], ["push the T"]]);
      expect(data.names).toContain("next.done");
      const { view, found } = await cutWindows(data, "observation.state", "action", "next.reward");
      expect(found).toEqual(cut);
      expect(view.split(data.parts.train!).map(({ shape }) => shape[0])).toEqual([6, 7]);
      expect(await values(await data.array("task_index"))).toEqual([
        0,
        0,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
      ]);
      const done = await data.array("next.done");
      expect(done.dtype).toBe("bool");
      expect(await values(done)).toEqual([0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1]);
      await expect(data.array("observation.images.top")).rejects.toThrow(
        /it is video, which is not decoded/,
      );
      await expect(data.array("acton")).rejects.toThrow(/no such array.*action/);
      await data.close();
    });
  }

  it("are refused of another version, and where tables and files do not agree", async () => {
    const text = new TextEncoder();
    const refused = async (
      prefix: string,
      key: string,
      from: string,
      to: string,
      message: RegExp,
    ) => {
      const own = await place(prefix, (path, bytes) => {
        if (!path.endsWith(key)) return bytes;
        const before = new TextDecoder().decode(bytes);
        expect(before).toContain(from);
        return text.encode(before.replace(from, to));
      });
      await expect(openEpisodes(own).then((data) => data.array("action"))).rejects.toThrow(message);
    };
    await refused("v2", "info.json", '"v2.1"', '"v1.6"', /of version v1.6, wanted 2.0, 2.1 or 3.0/);
    await refused(
      "v2",
      "info.json",
      '"total_frames": 13',
      '"total_frames": 14',
      /have 13 frames, it says 14/,
    );
    await refused(
      "v2",
      "info.json",
      "{episode_index",
      "{episode_number",
      /data_path has \{episode_number/,
    );
    await refused("v2", "info.json", "0:2", "0:4", /the split "train" is 0:4/);
    await refused("v2", "episodes.jsonl", '"length": 7', '"length": 0', /2 with 0 frames/);
    await refused(
      "v2",
      "info.json",
      '"shape": [2]',
      '"shape": [3]',
      /stored as float32 \[2\], info.json says float32 \[3\]/,
    );
    await refused("v3", "info.json", "file-{file_index", "fale-{file_index", /no such file/);
    // episodes that exchanged their files
    const swapped = await place("v2", (path, bytes) => {
      const other = path.replace("chunk-000/episode_000000", "chunk-001/episode_000002");
      const text = other === path ? undefined : files[other as keyof typeof files];
      return text ? Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)) : bytes;
    });
    const data = await openEpisodes(swapped);
    await expect(data.array("action")).rejects.toThrow(
      /row 0 is frame 0 of episode 2, wanted frame 0 of episode 0/,
    );
    await expect(openEpisodes(`memory:episodes-${places++}`)).rejects.toThrow(
      /no meta\/info.json.*no embeddings.bin/,
    );
  });
});

describe("episodes of files", () => {
  const listed = (files: string) =>
    [...files].map((file, index) => ({ index, length: 2, tasks: [], file }));

  it("are refused where others lie between two of a file, whose rows would be taken for theirs", () => {
    const files = episodesByFile("place", listed("aab"));
    expect([...files].map(([file, own]) => [file, own.length])).toEqual([["a", 2], ["b", 1]]);
    expect(() => episodesByFile("place", listed("aba"))).toThrow(
      'Cannot open "place": "a" has episode 0, then 2, wanted episodes in order',
    );
  });
});

describe("demonstrations", () => {
  it("of robomimic give the windows that numpy cut, in the order of their numbers, and masks", async () => {
    const data = await openEpisodes(await place("robomimic.hdf5"));
    expect(data.kind).toBe("robomimic");
    expect(data.rate).toBe(20);
    expect(data.segments.map(({ id }) => id)).toEqual(["demo_2", "demo_9", "demo_10"]);
    expect(data.parts).toEqual({ train: ["demo_10", "demo_2"], valid: ["demo_9"] });
    const { view, found } = await cutWindows(data, "obs/state", "actions", "rewards");
    expect(found).toEqual(cut);
    expect(view.select(data.parts.valid!).shape[0]).toBe(1);
    await data.close();
  });

  it("of minari give the windows that numpy cut, and what was seen next", async () => {
    const data = await openEpisodes(await place("minari.hdf5"));
    expect(data.kind).toBe("minari");
    const { found } = await cutWindows(data, "observations/state", "actions", "rewards");
    expect(found).toEqual(cut);
    const states = await values(await data.array("observations/state"));
    const next = await values(await data.array("next_observations/state"));
    expect(next.slice(0, 12)).toEqual(states.slice(3, 15));
    expect(next.slice(12, 15)).toEqual(states.slice(12, 15).map((value) => Math.fround(9 * value)));
    await data.close();
  });
});

describe("what exphil writes", () => {
  const frames = 5;
  const [width, wide] = [3, Float32Array.from({ length: 15 }, (_, i) => i - 7)];
  const stored = { 1: wide, 2: encodeFloat16(wide), 3: encodeBfloat16(wide) } as const;
  const manifest = [
    { path: "a.slp", start: 0, frames: 2, port: 1 },
    { path: "b.slp", start: 2, frames: 2, port: 1 },
    { path: "b.slp", start: 4, frames: 1, port: 3 },
  ];

  async function write(
    { code = 3 as 1 | 2 | 3, lines = manifest as object[], extra = 0, version = 1 } = {},
  ) {
    const own = `memory:episodes-${places++}`;
    const store = await openStore(own, { mode: "write" });
    const values = new Uint8Array(stored[code].buffer);
    const embeddings = new Uint8Array(32 + values.length + extra);
    const head = new DataView(embeddings.buffer);
    embeddings.set([..."EMBD"].map((letter) => letter.charCodeAt(0)));
    head.setUint32(4, version, true);
    head.setBigUint64(8, BigInt(frames), true);
    head.setBigUint64(16, BigInt(width), true);
    head.setUint32(24, code, true);
    embeddings.set(values, 32);
    const labels = new Uint8Array(24 + 6 * frames);
    labels.set([..."LBLS"].map((letter) => letter.charCodeAt(0)));
    const view = new DataView(labels.buffer);
    view.setUint32(4, 1, true);
    view.setBigUint64(8, BigInt(frames), true);
    view.setUint32(16, 6, true);
    labels.set(Array.from({ length: 6 * frames }, (_, i) => 5 * i), 24);
    await store.set("/embeddings.bin", embeddings);
    await store.set("/labels.bin", labels);
    const text = lines.map((line) => JSON.stringify(line)).join("\n");
    await store.set("/manifest.jsonl", new TextEncoder().encode(text));
    await store.close();
    return own;
  }

  it("is embeddings of three types, buttons, sticks and games", async () => {
    for (const code of [1, 2, 3] as const) {
      const data = await openEpisodes(await write({ code }));
      const embeddings = await data.array("embeddings");
      expect(embeddings.shape).toEqual([5, 3]);
      expect(await values(embeddings)).toEqual([...wide]);
      if (code === 3) {
        expect(await embeddings.readBrainBits!(1, 3)).toEqual(stored[3].subarray(3, 9));
      }
      expect(data.segments.map(({ id }) => id)).toEqual(["a.slp", "b.slp port 1", "b.slp port 3"]);
      const buttons = await data.array("buttons");
      expect(buttons.shape).toEqual([5, 8]);
      // 30 and 60, the lowest bit first
      expect((await values(buttons)).slice(8, 24)).toEqual([
        0,
        1,
        1,
        1,
        1,
        0,
        0,
        0,
        0,
        0,
        1,
        1,
        1,
        1,
        0,
        0,
      ]);
      expect(await values(await data.array("c_x"))).toEqual([15, 45, 75, 105, 135]);
      expect([...await (await data.array("shoulder")).read(3, 5)]).toEqual([115, 145]);
      const view = windows({ seen: embeddings, stick: await data.array("main_x") }, {
        ...{ size: 2, segments: data.segments },
      });
      expect(view.shape).toEqual([2, 2, 3]);
      for await (const { frames, keys } of view.batches({ shuffle: false })) {
        expect([...frames]).toEqual([...wide.slice(0, 12)]);
        expect([...keys!.stick!.values]).toEqual([5, 35, 65, 95]);
      }
      await data.close();
    }
  });

  it("is refused where headers, sizes and the manifest do not agree", async () => {
    const refused = async (given: Parameters<typeof write>[0], message: RegExp) =>
      await expect(openEpisodes(await write(given))).rejects.toThrow(message);
    await refused({ version: 2 }, /"EMBD" of version 2, wanted "EMBD" of version 1/);
    await refused({ extra: 6 }, /it has 68 bytes, 5 frames take 62 bytes/);
    await refused(
      { lines: manifest.slice(0, 2) },
      /2 games of their own in 2 lines, with 4 frames/,
    );
    await refused(
      { lines: [manifest[0]!, { ...manifest[1]!, start: 3 }] },
      /line 2 is .* wanted a path, the start 2/,
    );
    await refused({ lines: [{ ...manifest[0]!, frames: 5 }, 7 as never] }, /line 2 is no object/);
  });
});
