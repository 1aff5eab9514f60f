import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import { contFrag, sortedSpikes } from "../../src/hmm/decoder.ts";
import { CODECS } from "../../src/store/codecs.ts";
import { useGpu } from "../support/gpu.ts";
import { smallRecording } from "../support/recordings.ts";
import { runtime } from "../support/runtime.ts";

const gpu = useGpu();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `sluice-xarray-${runtime}-`));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Why the system's Python cannot compare; `undefined` if it can. */
function pythonMissing(): string | undefined {
  try {
    execFileSync("/usr/bin/python3", ["-c", "import xarray, zarr, dask"], { stdio: "pipe" });
    return undefined;
  } catch {
    return "the system's python3 has no xarray, zarr and dask " +
      "(Debian: apt-get install python3-xarray python3-zarr python3-dask)";
  }
}

const SCRIPT = `
import sys, json, hashlib
import numpy as np, xarray as xr
ds = xr.open_zarr(sys.argv[1])
digest = lambda a: hashlib.sha256(np.ascontiguousarray(a)).hexdigest()
print(json.dumps({
  "dims": dict(ds.sizes),
  "coords": sorted(ds.coords),
  "variables": sorted(ds.data_vars),
  "dtypes": {k: str(v.dtype) for k, v in ds.variables.items()},
  "chunks": [list(c) for c in ds.acausal_posterior.data.chunks],
  "posterior": digest(ds.acausal_posterior.values),
  "filtered": digest(ds.causal_posterior.values),
  "sum": float(ds.acausal_posterior.sum("state_bins").mean()),
  "state": list(map(str, ds.state.values[[0, -1]])),
  "interior": [int(x) for x in ds.interior_index.values[:3]],
  "marginal_log_likelihood": ds.attrs["marginal_log_likelihoods"][0],
}))
`;

async function digest(place: string): Promise<string> {
  const array = await openArray(place);
  const values = await readAll(array);
  await array.close();
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const hash = await crypto.subtle.digest("SHA-256", bytes as BufferSource);
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

describe("zarr version 2 in the system's xarray", () => {
  for (const codec of CODECS) {
    it(`opens with dask, bit-equal, codec ${codec}`, async (context) => {
      const missing = pythonMissing();
      if (missing) context.skip(missing);
      const out = join(folder, `${codec}.zarr`);
      const result = await sortedSpikes({
        ...smallRecording(),
        states: contFrag({ movementVar: 4 }),
        binSize: 3,
        positionStd: 3,
      }).smooth(gpu(), {
        time: { step: 0.02 },
        out,
        causal: true,
        chunkRows: 100,
        zarrFormat: 2,
        codec,
      }).run();
      const seen = JSON.parse(
        execFileSync("/usr/bin/python3", ["-c", SCRIPT, out], { encoding: "utf8" }),
      );
      const [rows, width] = result.posterior.shape as [number, number];
      expect(seen.dims).toMatchObject({ time: rows, state_bins: width, states: 2 });
      expect(seen.coords).toEqual(
        expect.arrayContaining([
          "time",
          "states",
          "state",
          "state_ind",
          "position",
          "interior_index",
        ]),
      );
      expect(seen.variables).toEqual([
        "acausal_posterior",
        "acausal_state_probabilities",
        "causal_posterior",
        "causal_state_probabilities",
      ]);
      expect(seen.dtypes).toMatchObject({
        acausal_posterior: "float32",
        state_ind: "int32",
        interior_index: "int32",
        is_track_interior: "bool",
        time: "float64",
      });
      expect(seen.chunks[0].slice(0, 2)).toEqual([100, 100]);
      expect(seen.state).toEqual(["Continuous", "Fragmented"]);
      expect(seen.sum).toBeCloseTo(1, 5);
      expect(seen.marginal_log_likelihood).toBe(result.marginalLogLikelihood);
      expect(seen.posterior).toBe(await digest(`${out}/acausal_posterior`));
      expect(seen.filtered).toBe(await digest(`${out}/causal_posterior`));
      await result.close();
    });
  }
});
