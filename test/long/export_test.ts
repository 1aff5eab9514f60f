import { describe, expect, it } from "vitest";
import { runtime } from "../support/runtime.ts";

describe("an export of 3 GB", () => {
  for (const options of [[], ["--expand"]]) {
    it(`stays under 200 MiB of memory: ${options.join(" ") || "as it is stored"}`, async (context) => {
      if (runtime === "chromium") context.skip("a page cannot see the memory of its process");
      const { describeMemory, exportMemory } = await import("../support/export_memory.ts");
      const memory = await exportMemory(720, ...options);
      console.log(describeMemory(memory));
      expect(memory.fileBytes).toBeGreaterThan(3e9);
      expect(memory.residentBytes).toBeLessThan(200 * 2 ** 20);
    });
  }
});
