import { describe, it } from "vitest";
import { runtime } from "../support/runtime.ts";

describe("memory", () => {
  it("stays flat when the recording is repeated 10 times", async (context) => {
    if (runtime === "chromium") context.skip("a page cannot see the memory of its process");
    const { expectFlatMemory } = await import("../support/flat_memory.ts");
    await expectFlatMemory();
  });
});
