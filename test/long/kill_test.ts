import { describe, expect, it } from "vitest";
import { runtime } from "../support/runtime.ts";

describe("work of every kind that is killed 300 times", () => {
  it("goes on, under other budgets and tiles too, to the same bytes", async (context) => {
    if (runtime !== "node") context.skip("one runtime's kills tell enough: 300 take minutes");
    const { describeCampaign, killWorks, resumeRate } = await import(
      "../support/kill_campaign.ts"
    );
    const counts = await killWorks(300, 3);
    console.log(describeCampaign(counts));
    expect(resumeRate(counts)).toBeGreaterThanOrEqual(0.8);
    expect(Math.min(...Object.values(counts.kills))).toBeGreaterThanOrEqual(10);
  });
});

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
