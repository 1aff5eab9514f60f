import { describe, expect, it } from "vitest";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { PCA } from "../../src/decompose/pca.ts";
import { formatBytes, formatSeconds } from "../../src/math/format.ts";
import { china, chinaPatches, firstCentroids } from "../support/china.ts";
import { useGpu } from "../support/gpu.ts";
import { recordNumbers } from "../support/record.ts";
import { runtime } from "../support/runtime.ts";
import { sharedDataMissing } from "../support/shared_data.ts";
import { largestAngle } from "../support/sklearn.ts";

const gpu = useGpu({ budget: "256 MiB" });
const wanted = china.whole;
function report(
  what: string,
  { seconds, peakBytes, projectedBytes }: {
    seconds: Record<string, number>;
    peakBytes: { gpu: number };
    projectedBytes: { gpu: number };
  },
): void {
  console.log(
    `${runtime}, ${what}: ${formatSeconds(seconds.total!)}, GPU peak ` +
      `${formatBytes(peakBytes.gpu)} of ${formatBytes(projectedBytes.gpu)}`,
  );
}

describe("all 265,860 patches of a photograph, under 256 MiB", () => {
  it("fall into the 64 clusters that scikit-learn finds in 20 iterations", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const rows = await chinaPatches(1);
    const init = await firstCentroids(rows, wanted.k);
    const model = new KMeans({ k: wanted.k, init, maxIterations: wanted.max_iterations });
    const got = await model.fit(gpu(), rows).run();
    report("64 clusters", got);
    expect(Math.abs(got.inertia / wanted.inertia - 1)).toBeLessThan(1e-5);
    const sizes = new Array(wanted.k).fill(0);
    got.ids.forEach((id) => sizes[id]++);
    expect(sizes).toEqual(wanted.sizes);
    expect(got.peakBytes.gpu).toBeLessThanOrEqual(got.projectedBytes.gpu);
    await recordNumbers("whole_china_kmeans", [got.inertia / wanted.inertia]);
    await rows.close();
  });

  it("have the 8 components that scikit-learn finds", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const rows = await chinaPatches(1);
    const got = await new PCA({ components: 8 }).fit(gpu(), rows, { scores: true }).run();
    report("8 components", got);
    wanted.explained_variance_ratio.forEach((ratio, i) =>
      expect(Math.abs(got.explainedVarianceRatio[i]! - ratio)).toBeLessThan(1e-5)
    );
    expect(largestAngle(wanted.components.flat(), got.components, 192)).toBeLessThan(1e-3);
    await rows.close();
  });

  it("are clustered better the more often it is tried", async (context) => {
    const missing = sharedDataMissing();
    if (missing) context.skip(missing);
    const rows = await chinaPatches(4);
    const fit = (inits: number) => new KMeans({ k: 16, seed: 1, inits }).fit(gpu(), rows).run();
    const [once, often] = [await fit(1), await fit(4)];
    report("4 runs of 16 clusters", often);
    expect(often.inertia).toBeLessThanOrEqual(once.inertia);
    await rows.close();
  });
});
