/** Datasets as h5py and netCDF4 have them, against what is read of them. */

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectReadAlike } from "../support/foreign_arrays.ts";
import { PYTHON, pythonMissing } from "../support/python.ts";
import { runtime } from "../support/runtime.ts";
import { LEFT_OUT, quick } from "../support/tier.ts";

const DATASETS = 2000;
/** Share of datasets that no reader of numbers is to know. */
const MOST_UNKNOWN = 0.25;

/** What test/support/write_hdf5.py tells of a dataset. */
interface Written {
  file: string;
  place: string;
  made: string;
  known: boolean;
  dtype?: string;
  shape?: number[];
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `sluice-hdf5-${runtime}-`));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("datasets that h5py and netCDF4 wrote", () => {
  it("are read bit by bit, or refused by the name of what is not known", async (context) => {
    if (quick) context.skip(LEFT_OUT);
    const missing = pythonMissing(["numpy", "h5py", "netCDF4"]);
    if (missing) context.skip(missing);
    const script = join(import.meta.dirname, "../support/write_hdf5.py");
    const args = ["-W", "ignore", script, folder, "15", String(DATASETS)];
    const { stdout } = await promisify(execFile)(PYTHON, args, { maxBuffer: 2 ** 27 });
    const arrays = (JSON.parse(stdout) as Written[]).map(({ file, place, ...written }, i) => ({
      ...written,
      place: join(folder, file, place),
      elements: () => readFile(join(folder, `${i}.bin`)),
    }));
    expect(arrays.length).toBe(DATASETS);
    await expectReadAlike(arrays, {
      what: `${DATASETS} datasets of Python`,
      mostUnknown: MOST_UNKNOWN,
    });
  });
});
