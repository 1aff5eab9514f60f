import { describe, expect, it } from "vitest";
import { encodeNpy } from "../../src/array/npy.ts";
import { ChunkError } from "../../src/errors.ts";
import { isPhyFolder, readPhy } from "../../src/io/phy.ts";
import { putFiles } from "../support/library_files.ts";

const text = (content: string) => new TextEncoder().encode(content);
const files = {
  "spike_times.npy": encodeNpy(BigInt64Array.of(30n, 60n, 90n, 120n), [4, 1]),
  "spike_clusters.npy": encodeNpy(Int32Array.of(5, 0, 5, 7)),
  "spike_templates.npy": encodeNpy(Int32Array.of(1, 1, 1, 1)),
  "params.py": text("dat_path = ['a.bin']\nsample_rate = 30000.  # Hz\nhp_filtered = False\n"),
  "cluster_group.tsv": text("cluster_id\tgroup\n5\tgood\n0\tmua\n"),
};

let folders = 0;
async function folder(changes: Record<string, Uint8Array | undefined> = {}): Promise<string> {
  const all = Object.entries({ ...files, ...changes }).filter(([, bytes]) => bytes !== undefined);
  return await putFiles(
    `phy_test_${folders++}`,
    Object.fromEntries(all) as Record<string, Uint8Array>,
  );
}

describe("readPhy()", () => {
  it("reads spikes, clusters, the sampling rate and labels", async () => {
    const place = await folder();
    expect(await isPhyFolder(place)).toBe(true);
    const { times, clusters, sampleRate, labels } = await readPhy(place);
    expect(times).toEqual(Float64Array.of(30, 60, 90, 120));
    expect(clusters).toEqual(Float64Array.of(5, 0, 5, 7));
    expect(sampleRate).toBe(30000);
    expect(labels?.file).toBe("cluster_group.tsv");
    expect([...labels!.byCluster]).toEqual([[5, "good"], [0, "mua"]]);
  });

  it("takes templates for clusters where phy was not used", async () => {
    const { clusters } = await readPhy(await folder({ "spike_clusters.npy": undefined }));
    expect(clusters).toEqual(Float64Array.of(1, 1, 1, 1));
  });

  it("takes labels of people before those of Kilosort, and does without", async () => {
    const info = text("cluster_id\tKSLabel\tamp\tgroup\n5\tgood\t1.5\tnoise\n0\tmua\t2\t\n");
    const kilosort = text("cluster_id\tKSLabel\n5\tgood\n");
    const own = { "cluster_info.tsv": info, "cluster_KSLabel.tsv": kilosort };
    const fileOf = async (changes: Record<string, Uint8Array | undefined>) =>
      (await readPhy(await folder(changes))).labels;
    expect((await fileOf(own))?.file).toBe("cluster_group.tsv");
    const second = await fileOf({ ...own, "cluster_group.tsv": undefined });
    expect([second?.file, second?.byCluster.get(5)]).toEqual(["cluster_info.tsv", "noise"]);
    const third = await fileOf({ "cluster_KSLabel.tsv": kilosort, "cluster_group.tsv": undefined });
    expect([third?.file, third?.byCluster.get(5)]).toEqual(["cluster_KSLabel.tsv", "good"]);
    expect(await fileOf({ "cluster_group.tsv": undefined })).toBeUndefined();
  });

  it.each([
    ["sample_rate = 25e3", 25000],
    ["sample_rate=30_000.5", 30000.5],
    ["sample_rate = 1\nsample_rate = 2", 2],
  ])("reads %s", async (line, rate) => {
    expect((await readPhy(await folder({ "params.py": text(line) }))).sampleRate).toBe(rate);
  });

  it.each<[string, Record<string, Uint8Array | undefined>, RegExp]>([
    [
      "a rate that is an expression",
      { "params.py": text("sample_rate = 3 * 10000") },
      /"3 \* 10000"/,
    ],
    ["a rate of 0", { "params.py": text("sample_rate = 0") }, /wanted a positive number/],
    ["no rate", { "params.py": text("# sample_rate = 1") }, /params.py sets no sample_rate/],
    ["no params.py", { "params.py": undefined }, /there is no params.py/],
    ["no spikes", { "spike_times.npy": undefined }, /there is no such file/],
    [
      "another number of clusters",
      { "spike_clusters.npy": encodeNpy(Int32Array.of(1)) },
      /4 spike times and 1/,
    ],
    [
      "times in seconds",
      { "spike_times.npy": encodeNpy(Float64Array.of(1, 2.5, 3, 4)) },
      /spike_times.npy has 2.5, wanted whole samples/,
    ],
    [
      "two columns of times",
      { "spike_times.npy": encodeNpy(new Float64Array(4), [2, 2]) },
      /shape \[2, 2\]/,
    ],
    [
      "a cluster twice",
      { "cluster_group.tsv": text("cluster_id\tgroup\n1\tgood\n1\tmua\n") },
      /row 2 .* names "1"/,
    ],
    [
      "a cluster without a number",
      { "cluster_group.tsv": text("cluster_id\tgroup\na\tgood\n") },
      /names "a"/,
    ],
  ])("refuses %s", async (_, changes, message) => {
    const read = readPhy(await folder(changes));
    await expect(read).rejects.toThrow(ChunkError);
    await expect(read).rejects.toThrow(message);
  });
});
