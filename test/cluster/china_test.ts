import { describe, expect, it } from "vitest";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { PCA } from "../../src/decompose/pca.ts";
import { china, chinaPatches, firstCentroids } from "../support/china.ts";
import { useGpu } from "../support/gpu.ts";
import { recordNumbers } from "../support/record.ts";
import { sharedDataMissing } from "../support/shared_data.ts";
import { largestAngle } from "../support/sklearn.ts";

const gpu = useGpu();
const wanted = china.part;

describe("every sixteenth patch of a photograph", () => {
  it("falls into the clusters that scikit-learn finds", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const rows = await chinaPatches(wanted.stride);
    expect(rows.shape).toEqual([wanted.rows, 192]);
    const model = new KMeans({ k: wanted.k, init: await firstCentroids(rows, wanted.k) });
    const got = await model.fit(gpu(), rows).run();
    expect(got.iterations).toBe(wanted.iterations);
    expect(Math.abs(got.inertia / wanted.inertia - 1)).toBeLessThan(1e-5);
    const sizes = Array(wanted.k).fill(0);
    for (const id of got.ids) sizes[id]++;
    expect(sizes).toEqual(wanted.sizes);
    await recordNumbers("china_kmeans", [got.inertia / wanted.inertia]);
    await rows.close();
  });

  it("has the components that scikit-learn finds", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const rows = await chinaPatches(wanted.stride);
    const got = await new PCA({ components: 8 }).fit(gpu(), rows).run();
    wanted.explained_variance_ratio.forEach((ratio, i) =>
      expect(Math.abs(got.explainedVarianceRatio[i]! - ratio)).toBeLessThan(1e-5)
    );
    expect(largestAngle(wanted.components.flat(), got.components, 192)).toBeLessThan(1e-3);
    await rows.close();
  });
});
