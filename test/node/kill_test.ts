import { describe, expect, it } from "vitest";
import { describeKills, killDecodes } from "../support/killed_decodes.ts";
import { runtime } from "../support/runtime.ts";
import { cases } from "../support/tier.ts";

const KILLS = cases(3, { node: 20, deno: 6, chromium: 0 }[runtime]);

describe("a decode that is killed", () => {
  it("goes on from its last tile, over and over, to the same bytes", async () => {
    const counts = await killDecodes(KILLS, 1);
    console.log(describeKills(counts));
    expect(counts.kills).toBe(KILLS);
    // each phase, where there are kills enough
    if (KILLS >= 20) expect(Math.min(...Object.values(counts.byPhase))).toBeGreaterThanOrEqual(1);
    expect(counts.worstExcess).toBeLessThanOrEqual(0);
  });
});
