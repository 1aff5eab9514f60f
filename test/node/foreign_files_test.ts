/** What lies where results go and is not ours: Node and Deno only. */

import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { fromTypedArray, readAll } from "../../src/array/array.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { OutputConflictError, StoreError } from "../../src/errors.ts";
import { openNetcdf } from "../../src/files/hdf5_array.ts";
import { exportNetcdf } from "../../src/io/netcdf_export.ts";
import { openStore } from "../../src/store/open_store.ts";
import { checkStore } from "../../src/zarr/check.ts";
import { writeArray, writeGroup } from "../../src/zarr/group_writer.ts";
import { blobs } from "../support/blobs.ts";
import { useGpu } from "../support/gpu.ts";
import { runtime } from "../support/runtime.ts";
import { writeSmallGroup } from "../support/small_group.ts";

const gpu = useGpu();
const folder = mkdtempSync(join(tmpdir(), `sluice-foreign-${runtime}-`));
afterAll(() => rmSync(folder, { recursive: true }));

let places = 0;
const fresh = (suffix = ".zarr") => join(folder, `${places++}${suffix}`);

const { points } = blobs({ rows: 120, features: 2, blobs: 3 });
const rows = fromTypedArray(points, [120, 2]);

async function fit(out: string, { seed = 1, overwrite = false } = {}): Promise<void> {
  const model = new KMeans({ k: 3, seed, maxIterations: 2 });
  await (await model.fit(gpu(), rows, { out, overwrite }).run()).close();
}

function plant(...path: string[]): string {
  const file = join(...path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, "mine");
  return file;
}

async function valuesOf(file: string, name: string): Promise<unknown> {
  const array = await openNetcdf(file, name);
  try {
    return await readAll(array);
  } finally {
    await array.close();
  }
}

/** An array of somebody else's in a group. */
async function plantArray(place: string, name: string): Promise<void> {
  const store = await openStore(place, { mode: "write" });
  const spec = { name, shape: [2], chunkShape: [2], dtype: "float32", dims: ["row"] } as const;
  const group = await openStore(join(place, "elsewhere"), { mode: "write" });
  await writeGroup(group, { attributes: {}, arrays: [spec] });
  const metadata = (await group.get(`/${name}/zarr.json`))!;
  await group.deleteAll();
  await store.set(`/${name}/zarr.json`, metadata);
  await writeArray(store, spec, Float32Array.of(1, 2));
}

describe("overwriting a result", () => {
  it("leaves arrays and files in its folder that it did not make", async () => {
    const out = fresh();
    await fit(out);
    const mine = [plant(out, "notes.txt"), plant(out, "ids/notes.txt"), plant(out, "more/a/b")];
    await plantArray(out, "mine");
    await plantArray(out, "ids/nested");
    await fit(out, { seed: 2, overwrite: true });
    for (const path of mine) expect(readFileSync(path, "utf8")).toBe("mine");
    for (const name of ["mine", "ids/nested"]) {
      expect(existsSync(join(out, name, "c/0")), name).toBe(true);
    }
    expect(await checkStore(out)).toMatchObject({ state: "whole" });
  });

  it("is refused where an array of its name is somebody else's", async () => {
    const out = fresh();
    await fit(out);
    const store = await openStore(out, { mode: "write" });
    // as if that version had stored none
    const text = new TextDecoder().decode((await store.get("/zarr.json"))!);
    const root = JSON.parse(text);
    delete root.consolidated_metadata.metadata.distances;
    await store.set("/zarr.json", new TextEncoder().encode(JSON.stringify(root)));
    await store.delete("/checksums.txt");
    await expect(fit(out, { seed: 2, overwrite: true })).rejects.toThrow(OutputConflictError);
    await expect(fit(out, { seed: 2, overwrite: true })).rejects.toThrow(
      /no result.*\/distances\//,
    );
    expect(existsSync(join(out, "distances/zarr.json"))).toBe(true);
  });

  it("keeps an output a link, and an array's folder, too", async () => {
    const [out, disk, other] = [fresh(), fresh(""), fresh("")];
    mkdirSync(disk);
    symlinkSync(disk, out);
    await fit(out);
    rmSync(other, { recursive: true, force: true });
    mkdirSync(other);
    plant(other, "notes.txt");
    rmSync(join(out, "distances"), { recursive: true });
    symlinkSync(other, join(out, "distances"));
    await fit(out, { seed: 2, overwrite: true });
    for (const [link, target] of [[out, disk], [join(out, "distances"), other]] as const) {
      expect(lstatSync(link).isSymbolicLink()).toBe(true);
      expect(readlinkSync(link)).toBe(target);
    }
    expect(readdirSync(other).sort()).toEqual(["c", "notes.txt", "zarr.json"]);
    expect(await checkStore(out)).toMatchObject({ state: "whole" });
  });
});

describe("a journal's folder that is somebody else's", () => {
  it("is refused, and left as it is", async () => {
    const out = fresh();
    const mine = [
      plant(`${out}.journal`, "plan.json"),
      plant(`${out}.journal`, "log/steps"),
      plant(`${out}.journal`, "state/of/affairs"),
    ];
    await expect(fit(out)).rejects.toThrow(/holds files that are no journal, such as \/plan\.json/);
    await expect(fit(out)).rejects.toThrow(OutputConflictError);
    for (const path of mine) expect(readFileSync(path, "utf8")).toBe("mine");
  });
});

describe("a link that is planted where an unfinished value will be", () => {
  it("is not followed by a value that is set or appended", async () => {
    const place = fresh("");
    const victim = plant(folder, "victim");
    const store = await openStore(place, { mode: "write" });
    await store.set("/a", new Uint8Array(1));
    for (const name of ["x", "y", "z"]) symlinkSync(victim, join(place, `${name}.partial`));
    await store.set("/x", new Uint8Array(3));
    const appender = await store.append("/y");
    await appender.append(new Uint8Array(4));
    await appender.finish();
    await expect(store.append("/z", { keep: 2 })).rejects.toThrow(StoreError);
    await expect(store.append("/z", { keep: 2 })).rejects.toThrow(
      /z": it is a link, wanted a file/,
    );
    expect(readFileSync(victim, "utf8")).toBe("mine");
    expect([await store.size("/x"), await store.size("/y")]).toEqual([3, 4]);
    for (const name of ["x", "y"]) expect(lstatSync(join(place, name)).isFile()).toBe(true);
  });

  it("is no matter to an export, whose names are its own", async () => {
    const place = fresh();
    await writeSmallGroup(place);
    const victim = plant(folder, "other victim");
    const [file, real] = [fresh(".nc"), fresh(".nc")];
    symlinkSync(victim, `${file}.partial`);
    await exportNetcdf(place, file);
    expect(readFileSync(victim, "utf8")).toBe("mine");
    // a file that is a link stays one
    const link = fresh(".nc");
    symlinkSync(real, link);
    await exportNetcdf(place, link);
    expect(readlinkSync(link)).toBe(real);
    // not the bytes: HDF5 stores the time
    for (const name of ["time", "acausal_posterior"]) {
      expect(await valuesOf(real, name), name).toEqual(await valuesOf(file, name));
    }
    const names = readdirSync(folder).filter((name) => /\.nc\./.test(name));
    expect(names).toEqual([`${file.slice(folder.length + 1)}.partial`]);
  });
});
