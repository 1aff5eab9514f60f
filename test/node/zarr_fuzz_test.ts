/** Arrays as Python's zarr, and the specification of version 3, have them, against what is read of them. */

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

const ARRAYS = 2000;
/** Share of arrays that no reader is to know. */
const MOST_UNKNOWN = 0.25;

/** What test/support/write_zarr.py tells of an array. */
interface Written {
  dtype: string;
  shape: number[];
  made: string;
  known: boolean;
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `sluice-zarr-${runtime}-`));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("arrays that Python's zarr and numcodecs wrote", () => {
  it("are read bit by bit, or refused by the name of what is not known", async (context) => {
    if (quick) context.skip(LEFT_OUT);
    const missing = pythonMissing(["numpy", "zarr", "numcodecs"]);
    if (missing) context.skip(missing);
    const script = join(import.meta.dirname, "../support/write_zarr.py");
    const args = ["-W", "ignore", script, folder, "15", String(ARRAYS)];
    const { stdout } = await promisify(execFile)(PYTHON, args, { maxBuffer: 2 ** 27 });
    const arrays = (JSON.parse(stdout) as Written[]).map((written, i) => ({
      ...written,
      place: join(folder, `${i}.zarr`),
      elements: () => readFile(join(folder, `${i}.bin`)),
    }));
    expect(arrays.length).toBe(ARRAYS);
    await expectReadAlike(arrays, {
      what: `${ARRAYS} arrays of Python`,
      mostUnknown: MOST_UNKNOWN,
    });
  });
});
