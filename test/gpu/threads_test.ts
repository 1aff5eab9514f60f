import { describe, expect, it } from "vitest";
import { chooseThreads, fastestThreads, THREADS } from "../../src/gpu/threads.ts";
import { useGpu } from "../support/gpu.ts";

const gpu = useGpu();

describe("chooseThreads()", () => {
  it("takes fewer threads where they gain something, and whose answer is right", () => {
    expect(chooseThreads([10, 10, 9.5, 9.4])).toBe(32);
    expect(chooseThreads([10, 9, 6, 3])).toBe(4);
    expect(chooseThreads([10, 9, 5, 4.9])).toBe(8);
    expect(chooseThreads([10, 9, 6, Infinity])).toBe(8);
  });
});

describe("fastestThreads()", () => {
  it("measures with right answers", async () => {
    expect(THREADS).toContain(await fastestThreads(gpu()));
  });
});
