import { describe, expect, it } from "vitest";
import { runtime } from "../support/runtime.ts";

describe("a decode that is killed 300 times", () => {
  it("goes on from its last tile, over and over, to the same bytes", async (context) => {
    if (runtime === "chromium") {
      context.skip("browser pages are closed by test/node/close_page_test.ts");
    }
    const { describeKills, killDecodes } = await import("../support/killed_decodes.ts");
    const counts = await killDecodes(300, 2);
    console.log(describeKills(counts));
    expect(counts.kills).toBe(300);
    expect(Math.min(...Object.values(counts.byPhase))).toBeGreaterThanOrEqual(10);
    expect(counts.worstExcess).toBeLessThanOrEqual(0);
  });
});
