import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import { contFrag, continuous, highestDensity, sortedSpikes } from "../../src/hmm/decoder.ts";
import { SUMMARIES } from "../../src/hmm/row_outputs.ts";
import { exportNetcdf } from "../../src/io/netcdf_export.ts";
import { CODECS } from "../../src/zarr/codecs.ts";
import { useGpu } from "../support/gpu.ts";
import { largestDifference } from "../support/hmm_problem.ts";
import { pythonMissing, runPython } from "../support/python.ts";
import { smallRecording } from "../support/recordings.ts";
import { runtime } from "../support/runtime.ts";

const gpu = useGpu();
/** Stores of all runtimes are compared by their hashes. */
const SAME_BYTES = "Python reads what Node stored; Deno stores the same bytes";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `sluice-xarray-${runtime}-`));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

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
      const missing = pythonMissing(["xarray", "zarr", "dask"]);
      if (missing) context.skip(missing);
      if (runtime === "deno") context.skip(SAME_BYTES);
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
      const seen = runPython(SCRIPT, out);
      const [rows, width] = result.posterior.shape as [number, number];
      expect(seen.dims).toMatchObject({ time: rows, state_bins: width, states: 2 });
      expect(seen.coords).toEqual(
        expect.arrayContaining([
          "time",
          "time_bin_start",
          "time_bin_end",
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

/** What docs/results.md says of the full grid, tried; and that it is worked out a chunk at a time. */
const EXPAND = `
import sys, json
import numpy as np, xarray as xr
ds = xr.open_zarr(sys.argv[1])
posterior = ds.acausal_posterior
if "acausal_posterior_scale" in ds:
    posterior = posterior.astype("f4") ** 2 * ds.acausal_posterior_scale
n = ds.sizes["full_state_bins"]
full = posterior.assign_coords(state_bins=ds.interior_index).reindex(state_bins=range(n))
index = ds.interior_index.values
wanted = np.full((ds.sizes["time"], n), np.nan, "f4")
wanted[:, index] = posterior.values
outside = np.setdiff1d(np.arange(n), index)
full.values.tofile(sys.argv[2])
print(json.dumps({
  "dtype": str(full.dtype),
  "chunks": [list(c) for c in full.data.chunks],
  "equal": bool(np.array_equal(full.values, wanted, equal_nan=True)),
  "outside": bool(np.isnan(full.values[:, outside]).all()) and len(outside) > 0,
  "track": bool((np.flatnonzero(ds.is_track_interior.values) == index).all()),
}))
`;

describe("expanding to the full grid in xarray", () => {
  for (const dtype of ["f32", "u16"] as const) {
    it(`gives what fullPosterior does, chunk by chunk: ${dtype}`, async (context) => {
      const missing = pythonMissing(["xarray", "zarr", "dask"]);
      if (missing) context.skip(missing);
      if (runtime === "deno") context.skip(SAME_BYTES);
      const out = join(folder, `expand-${dtype}.zarr`);
      const result = await sortedSpikes({
        ...smallRecording({ dimensions: 2, seconds: 4 }),
        states: contFrag({ movementVar: 4 }),
        binSize: 4,
        positionStd: 4,
      }).smooth(gpu(), {
        time: { step: 0.02 },
        out,
        dtype,
        // numcodecs undoes what this codec does to u16
        codec: dtype === "u16" ? "delta-zstd" : "none",
        chunkRows: 50,
        zarrFormat: 2,
      }).run();
      const [rows, bins] = result.fullPosterior.shape as [number, number];
      expect(bins).toBeGreaterThan(result.posterior.shape[1]!);
      const seen = runPython(EXPAND, out, join(folder, "full.f32"));
      expect(seen).toEqual({
        dtype: "float32",
        chunks: [[50, 50, 50, 50], [bins]],
        equal: true,
        outside: true,
        track: true,
      });
      const bytes = new Uint8Array(await readFile(join(folder, "full.f32")));
      const python = new Float32Array(bytes.buffer);
      const own = await readAll(result.fullPosterior) as Float32Array;
      expect(python.length).toBe(rows * bins);
      // to the bit as f32; unpacking u16 rounds once more here and once less there
      const most = dtype === "f32" ? 0 : 2 ** -24;
      const wrong = own.findIndex((value, i) =>
        Number.isNaN(value) ? !Number.isNaN(python[i]!) : !(Math.abs(value - python[i]!) <= most)
      );
      expect(wrong).toBe(-1);
      await result.close();
    });
  }
});

/** Opens files with both engines, and compares everything with the store they came from. */
const COMPARE = `
import sys, json
import numpy as np, xarray as xr
place, interior, full = sys.argv[1:]
store = xr.open_zarr(place)
bins = store.sizes["full_state_bins"]

def plain(values):
    return values.astype(str) if values.dtype.kind in "OSU" else values

def wanted(name, expand):
    if expand and "full_" + name in store: name = "full_" + name
    v = store[name]
    if name + "_scale" in store: v = v.astype("f4") ** 2 * store[name + "_scale"]
    if v.dtype == "f2": v = v.astype("f4")
    if expand and "state_bins" in v.dims:
        v = v.assign_coords(state_bins=store.interior_index).reindex(state_bins=range(bins))
    return v.rename(full_state_bins="state_bins") if expand and "full_state_bins" in v.dims else v

def equal(name, own, expand):
    v = wanted(name, expand)
    a, b = plain(own.values), plain(v.values)
    if own.dims != v.dims or a.dtype != b.dtype or a.shape != b.shape: return False
    if a.dtype.kind != "f" or "posterior" not in name:
        return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    # scales are applied in f4 there and in f8 here: one rounding more or less
    return np.allclose(a, b, rtol=0, atol=2 ** -24, equal_nan=True)

def look(file, engine, expand):
    ds = xr.open_dataset(file, engine=engine, chunks={})
    last = ds.acausal_posterior.isel(time=-1).compute()
    last = last.set_index(state_bins=["state", "x_position", "y_position"])
    encoding = ds.acausal_posterior.encoding
    return {
      "unequal": [n for n in ds.variables if not equal(n, ds[n], expand)],
      "variables": sorted(ds.data_vars),
      "coords": sorted(ds.coords),
      "sizes": dict(ds.sizes),
      "units": [ds.time.attrs["units"], ds.acausal_entropy.attrs["units"]],
      "attrs": {k: ds.attrs[k] for k in ("format", "plan_hash", "complete", "dropped_spikes")},
      "marginal_log_likelihoods": np.atleast_1d(ds.attrs["marginal_log_likelihoods"])[0],
      "parameters": json.loads(ds.attrs["parameters"]),
      "compressed": bool(encoding.get("zlib") or encoding.get("compression")),
      "peak": last.state_bins.values[int(last.fillna(-1).argmax())],
      "unstacked": dict(last.unstack("state_bins").sizes),
    }

print(json.dumps({
  engine: [look(interior, engine, False), look(full, engine, True)]
  for engine in ("h5netcdf", "netcdf4")
}, default=float))
`;

const SUMMARY_VARIABLES = [
  ...["entropy", "hpd_size", "hpd_threshold", "map_bin", "map_probability"],
  ...["map_", "mean_", "variance_"].flatMap((name) => [`${name}x_position`, `${name}y_position`]),
];

describe("an exported NetCDF file", () => {
  for (const dtype of ["f32", "f16", "u16", "u16-linear"] as const) {
    it(`opens in xarray as the store does, expanded or not: ${dtype}`, async (context) => {
      const missing = pythonMissing(["xarray", "zarr", "dask", "h5netcdf", "netCDF4"]);
      if (missing) context.skip(missing);
      // netcdf_test.ts reads what Deno exports
      if (runtime === "deno" && dtype !== "u16") context.skip("Deno exports u16; Node all types");
      const out = join(folder, `export-${dtype}.zarr`);
      const decoder = sortedSpikes({
        ...smallRecording({ dimensions: 2, seconds: 6 }),
        states: contFrag({ movementVar: 4 }),
        binSize: 4,
        positionStd: 4,
      });
      const result = await decoder.smooth(gpu(), {
        time: { step: 0.02 },
        out,
        dtype,
        causal: true,
        // of the others, one says as much
        summaries: dtype === "f32" ? SUMMARIES : ["entropy"],
        chunkRows: 100,
        zarrFormat: 2,
      }).run();
      const [rows, bins] = result.posterior.shape as [number, number];
      const { shape, interior, centers } = decoder.grid;
      const files = [join(folder, `${dtype}.nc`), join(folder, `${dtype}-full.nc`)] as const;
      await exportNetcdf(out, files[0]);
      await exportNetcdf(out, files[1], { expand: true, deflate: 4 });
      const own = dtype === "f32" ? SUMMARY_VARIABLES : ["entropy"];
      const both = [...own, "posterior", "state_probabilities"];
      const coords = ["is_track_interior", "state", "state_ind", "states", "time"];
      coords.push("time_bin_end", "time_bin_start", "x_position", "y_position");
      const fullCoords = ["full_state", "full_state_ind", "full_x_position", "full_y_position"];
      // the likeliest bin of the last row, to be found by its names and not by its number
      const row = await result.posterior.read(rows - 1, rows) as Float32Array;
      const peak = row.indexOf(Math.max(...row));
      const seen = runPython(COMPARE, out, ...files);
      for (const engine of ["h5netcdf", "netcdf4"]) {
        for (const [i, found] of seen[engine].entries()) {
          const expanded = i === 1;
          expect(found.unequal, engine).toEqual([]);
          expect(found.sizes).toEqual({
            time: rows,
            states: 2,
            state_bins: expanded ? 2 * interior.length : bins,
            ...(!expanded && { full_state_bins: 2 * interior.length }),
          });
          expect(found.coords).toEqual(
            expanded ? coords : [...fullCoords, "interior_index", ...coords],
          );
          expect(found.variables).toEqual([
            ...["acausal", "causal"].flatMap((kind) => both.map((name) => `${kind}_${name}`)),
            ...(dtype === "f32" ? ["causal_log_normaliser"] : []),
          ].sort());
          expect(found.units).toEqual(["s", "nat"]);
          expect(found.attrs).toMatchObject({
            format: "sluice.decode",
            complete: 1,
            dropped_spikes: result.droppedSpikes,
          });
          expect(found.marginal_log_likelihoods).toBe(result.marginalLogLikelihood);
          expect(found.parameters.grid.shape).toEqual(shape);
          expect(found.compressed).toBe(expanded);
          expect(found.peak).toEqual([
            decoder.states.names[Math.floor(peak / (bins / 2))],
            ...result.binCenters.map((center) => center[peak]),
          ]);
          if (!expanded) continue;
          expect(found.unstacked).toEqual({
            state: 2,
            x_position: centers[0]!.length,
            y_position: centers[1]!.length,
          });
        }
      }
      await result.close();
    });
  }
});

/** Opens a file as `load_results()` of non_local_detector does, and takes a highest-density region as users of it do. */
const REFERENCE = `
import sys, json
import numpy as np, xarray as xr
results = xr.open_dataset(sys.argv[1])
levels = list(results["state_bins"].coords)
results = results.set_index(state_bins=levels)
posterior = results.acausal_posterior.unstack("state_bins").sum("state", skipna=True, min_count=1)
names = [n for n in posterior.dims if n != "time"]
flat = posterior.stack(place=names).dropna("place").values
order = np.sort(flat, axis=1)[:, ::-1]
at = np.argmax(np.cumsum(order / order.sum(1, keepdims=True), axis=1) >= 0.95, axis=1)
print(json.dumps({
  "levels": sorted(levels),
  "coords": sorted(results.coords),
  "dims": {k: list(v.dims) for k, v in results.data_vars.items()},
  "attrs": sorted(k for k in results.attrs if k != "_NCProperties"),
  "evidence": float(np.atleast_1d(results.attrs["marginal_log_likelihoods"])[0]),
  "inclusive": results.time_bin_end_inclusive.values[[0, -1]].tolist(),
  "missing": bool(results.is_missing.any()),
  "bins": int(results.sizes["state_bins"]),
  "states": results.states.values.tolist() if "states" in results else None,
  "environments": [results[n].values.tolist() for n in ("environments", "encoding_groups") if n in results],
  "threshold": order[np.arange(len(order)), at].tolist(),
}))
`;

describe("a decode that was exported with the names of non_local_detector", () => {
  for (
    const [dimensions, states] of [[2, contFrag({ movementVar: 4 })], [1, continuous()]] as const
  ) {
    it(`opens there as one of its own does: ${states.names.join(" and ")}`, async (context) => {
      const missing = pythonMissing(["xarray", "netCDF4"]);
      if (missing) context.skip(missing);
      if (runtime === "deno") context.skip(SAME_BYTES);
      const [out, file] = [
        `memory:reference-${dimensions}`,
        join(folder, `reference-${dimensions}.nc`),
      ];
      const model = sortedSpikes({
        ...smallRecording({ dimensions, seconds: 2 }),
        ...{ states, binSize: 4, positionStd: 4 },
      });
      const result = await model.smooth(gpu(), {
        time: { step: 0.1 },
        ...{ out, dtype: "u16", summaries: ["entropy"], predictive: true },
      }).run();
      await exportNetcdf(out, file, { names: "reference" });
      const seen = runPython(REFERENCE, file);
      const positions = dimensions === 1 ? ["position"] : ["x_position", "y_position"];
      const single = states.names.length === 1;
      const coords = ["is_missing", ...positions, "state", "state_bins", "state_ind", "time"];
      coords.push("time_bin_end", "time_bin_end_inclusive", "time_bin_start");
      const probabilities = single ? ["time"] : ["time", "states"];
      const { threshold } = await highestDensity(result);
      expect(seen).toMatchObject({
        levels: [...positions, "state"].sort(),
        coords: [...coords, ...single ? [] : ["encoding_groups", "environments", "states"]].sort(),
        dims: {
          acausal_posterior: ["time", "state_bins"],
          acausal_state_probabilities: probabilities,
          predictive_posterior: ["time", "state_bins"],
          predictive_state_probabilities: probabilities,
        },
        attrs: ["marginal_log_likelihoods", "time_bin_convention", "time_units"],
        evidence: result.marginalLogLikelihood,
        ...{ inclusive: [false, true], missing: false },
        bins: states.names.length * model.grid.interior.length,
        states: single ? null : states.names,
        environments: single ? [] : [["", ""], [0, 0]],
      });
      expect(Object.keys(seen.dims).length).toBe(4);
      expect(seen.threshold.length).toBe(threshold.length);
      // sums of two states in f32 there
      expect(largestDifference(seen.threshold, threshold)).toBeLessThan(1e-7);
      await result.close();
    });
  }
});

/** What xarray itself writes of a store, and what examples/python makes of it. */
const HELPER = `
import sys, json
sys.path.insert(0, "examples/python")
import numpy as np, xarray as xr, sluice_xarray
place, full, out = sys.argv[1:]
store = xr.open_zarr(place)
plain = "f2" not in {v.dtype.str[1:] for v in store.variables.values()}
if plain: store.to_netcdf(out + ".nc", engine="netcdf4")
whole = sluice_xarray.open_result(place)
whole.to_netcdf(out + "_full.nc", engine="netcdf4")
wanted = np.fromfile(full, "f4").reshape(whole.acausal_posterior.shape)
peak = whole.acausal_posterior.isel(time=-1).fillna(-1).argmax()
print(json.dumps({
  "plain": plain,
  "same": not plain or xr.open_dataset(out + ".nc", engine="netcdf4").load().equals(store.load()),
  "worst": float(np.nanmax(np.abs(whole.acausal_posterior.values - wanted))),
  "holes": bool(np.array_equal(np.isnan(wanted), np.isnan(whole.acausal_posterior.values))),
  "variables": sorted(whole.data_vars),
  "coords": sorted(whole.coords),
  "dtype": str(whole.acausal_posterior.dtype),
  "label": xr.plot.utils.label_from_attrs(whole.acausal_posterior),
  "parameters": sluice_xarray.attributes(store)["parameters"],
  "complete": sluice_xarray.attributes(store)["complete"],
  "peak": [float(whole[name].values[int(peak)]) for name in ("x_position", "y_position")],
}))
`;

describe("the helper of examples/python", () => {
  for (const dtype of ["u16", "f32", "f16", "u16-linear"] as const) {
    it(`expands and undoes what is stored, and xarray writes NetCDF of it: ${dtype}`, async (context) => {
      const missing = pythonMissing(["xarray", "zarr", "dask", "netCDF4"]);
      if (missing) context.skip(missing);
      if (runtime === "deno") context.skip(SAME_BYTES);
      const out = join(folder, `helper-${dtype}.zarr`);
      const result = await sortedSpikes({
        ...smallRecording({ dimensions: 2, seconds: 4 }),
        states: contFrag({ movementVar: 4 }),
        binSize: 4,
        positionStd: 4,
      }).smooth(gpu(), { time: { step: 0.02 }, out, dtype, chunkRows: 50, zarrFormat: 2 }).run();
      const full = await readAll(result.fullPosterior) as Float32Array;
      const file = join(folder, "full.f32");
      await writeFile(file, new Uint8Array(full.buffer, full.byteOffset, full.byteLength));
      const seen = runPython(HELPER, out, file, join(folder, dtype));
      const { worst, peak, parameters, ...others } = seen;
      expect(others).toEqual({
        ...{ plain: dtype !== "f16", same: true, holes: true, dtype: "float32", complete: true },
        variables: ["acausal_posterior", "acausal_state_probabilities"],
        coords: [
          ...["is_track_interior", "state", "state_ind", "states", "time", "time_bin_end"],
          ...["time_bin_start", "x_position", "y_position"],
        ],
        label: expect.stringMatching(/^probability of a state bin,\s+given all spikes \[1\]$/),
      });
      // scales are applied in f4 there and in f8 here: one rounding more or less
      expect(worst).toBeLessThanOrEqual(dtype === "f32" || dtype === "f16" ? 0 : 2 ** -24);
      const rows = result.posterior.shape[0]!;
      const row = await result.posterior.read(rows - 1, rows) as Float32Array;
      const best = row.indexOf(Math.max(...row));
      expect(peak).toEqual(result.binCenters.map((centers) => centers[best]));
      expect(parameters.time.rows).toBe(rows);
      await result.close();
    });
  }
});
