import { describe, expect, it } from "vitest";
import packageJson from "../package.json" with { type: "json" };
import * as sluice from "../src/mod.ts";

describe("the public API", () => {
  it("exports these names and no others", () => {
    expect(Object.keys(sluice).sort()).toEqual([
      "AdapterError",
      "BudgetError",
      "ChunkError",
      "DeviceLostError",
      "Gpu",
      "GpuError",
      "IncrementalPCA",
      "KMeans",
      "LedgerError",
      "NoAdapterError",
      "OutputConflictError",
      "PCA",
      "QuotaError",
      "ShaderError",
      "StoreError",
      "VERSION",
      "Windows",
      "balanced",
      "checkStore",
      "condition",
      "contexts",
      "decoder",
      "everyNth",
      "expand",
      "exportNetcdf",
      "formatBytes",
      "fromTypedArray",
      "open",
      "openArray",
      "openGpu",
      "openNetcdf",
      "parseBytes",
      "patches",
      "persistStorage",
      "prioritized",
      "rarityWeights",
      "readAll",
      "view",
      "weighted",
      "windows",
    ]);
    expect(Object.keys(sluice.condition).sort()).toEqual([
      "ClusterMoments",
      "checkConfig",
      "decide",
      "deltaNormalizer",
      "diagnose",
      "effectiveClusters",
      "plan",
      "quartileEdges",
      "quartileIds",
      "run",
      "splitSpeakers",
    ]);
    expect(Object.keys(sluice.view).sort()).toEqual([
      "bars",
      "boxes",
      "dots",
      "drawChart",
      "drawCharts",
      "drawPage",
      "heatMap",
      "level",
      "line",
      "stack",
      "svgElement",
      "svgFile",
    ]);
    expect(Object.keys(sluice.decoder).sort()).toEqual([
      "SortedSpikesDecoder",
      "contFrag",
      "continuous",
      "fromUint16",

      "posteriorMean",
      "simulateSession",
      "sortedSpikes",
      "stateModel",
      "toUint16",
    ]);
  });

  it("carries the version of the package", () => {
    expect(sluice.VERSION).toBe(packageJson.version);
  });
});
