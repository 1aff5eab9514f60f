import { describe, expect, it } from "vitest";
import { openGpu } from "../../src/gpu/device.ts";
import { seeded } from "../support/random.ts";
import { runtime } from "../support/runtime.ts";
import { contents, decodeLosing } from "../support/small_decode.ts";

const PLACES = 50;

describe("a device that is lost", () => {
  it(`between any two submits, ${PLACES} times: the same bytes`, async () => {
    const gpu = await openGpu({ budget: "64 MiB" });
    const whole = "memory:device-loss-test-whole";
    let submits = await decodeLosing(gpu, whole, Infinity);
    const wanted = await contents(whole);
    const random = seeded(3);
    let lost = 0;
    for (let i = 0; i < PLACES; i++) {
      const out = `memory:device-loss-test-${i}`;
      const at = 1 + Math.floor(random() * submits);
      const before = gpu.device;
      // how many there are depends on how fast the adapter is found to be
      submits = Math.min(submits, await decodeLosing(gpu, out, at));
      if (gpu.device !== before) lost++;
      expect(await contents(out), `lost before submit ${at}`).toEqual(wanted);
    }
    console.log(`${runtime}: lost ${lost} of ${PLACES} times, ${submits} submits at least`);
    expect(lost).toBeGreaterThan(0.9 * PLACES);
    gpu.close();
  });
});
