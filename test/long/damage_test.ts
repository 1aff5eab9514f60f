import { describe, expect, it } from "vitest";
import { damageStores, describeDamages } from "../support/damaged_stores.ts";
import { useGpu } from "../support/gpu.ts";

const gpu = useGpu();

describe("results that are damaged 2,000 times", () => {
  it("are found by a check, every one, and never read as other values or names", async () => {
    const counts = await damageStores(gpu(), 2000, 2);
    console.log(describeDamages(counts));
    expect(Math.min(...Object.values(counts.tried))).toBeGreaterThan(300);
  });
});
