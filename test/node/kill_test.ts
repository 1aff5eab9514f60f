import { describe, expect, it } from "vitest";
import { describeKills, killDecodes } from "../support/killed_decodes.ts";
import { runtime } from "../support/runtime.ts";

describe("a decode that is killed", () => {
  it("goes on from its last tile, over and over, to the same bytes", async (context) => {
    if (runtime === "deno") context.skip("runs of Deno are killed 300 times by npm run test:long");
    const counts = await killDecodes(20, 1);
    console.log(describeKills(counts));
    expect(counts.kills).toBe(20);
    expect(Math.min(...Object.values(counts.byPhase))).toBeGreaterThanOrEqual(1);
    expect(counts.worstExcess).toBeLessThanOrEqual(0);
  });
});
