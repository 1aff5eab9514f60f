import { describe, expect, it } from "vitest";
import { DeviceLostError } from "../../src/errors.ts";
import type { KernelDevice } from "../../src/gpu/kernel.ts";
import { oncePerAdapter } from "../../src/gpu/time_ways.ts";

const deviceOf = (name: string, isLost = false) => ({
  adapter: { name, runtime: "any" },
  throwIfFailed() {
    if (isLost) throw new DeviceLostError("lost");
  },
} as KernelDevice);

describe("oncePerAdapter()", () => {
  it("measures once, and again where a device was lost meanwhile, for all that are not", async () => {
    const asked: string[] = [];
    const measure = oncePerAdapter(async (gpu) => {
      asked.push(gpu.adapter.name);
      await new Promise((resolve) => setTimeout(resolve, 0));
      gpu.throwIfFailed();
      return asked.length;
    });
    const own = deviceOf("a", true);
    const [lost, too, ...others] = await Promise.allSettled(
      [own, own, deviceOf("a"), deviceOf("a")].map(measure),
    );
    expect(lost).toMatchObject({ status: "rejected", reason: { name: "DeviceLostError" } });
    expect(too).toEqual(lost);
    expect(others).toEqual(Array(2).fill({ status: "fulfilled", value: 2 }));
    expect(await measure(deviceOf("a"))).toBe(2);
    expect(await measure(deviceOf("b"))).toBe(3);
    expect(asked).toEqual(["a", "a", "b"]);
  });
});
