import { describe, it } from "vitest";
import { runtime } from "../support/runtime.ts";

describe("memory", () => {
  it("stays flat when the recording is repeated 10 times", async (context) => {
    if (runtime === "chromium") context.skip("a page cannot see the memory of its process");
    const { expectFlatMemory } = await import("../support/flat_memory.ts");
    await expectFlatMemory();
  });

  it("stays flat for 500,000 rows and for 5,000,000 that are predicted and projected", async (context) => {
    if (runtime === "chromium") context.skip("a page cannot see the memory of its process");
    const { expectFlatRows } = await import("../support/flat_rows.ts");
    await expectFlatRows([500_000, 5_000_000]);
  });
});
