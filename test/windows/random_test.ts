import { describe, expect, it } from "vitest";
import { useGpu } from "../support/gpu.ts";
import { tryRandomWindows } from "../support/random_windows.ts";
import { cases } from "../support/tier.ts";

const gpu = useGpu({ budget: "16 MiB" });

describe("random windows", () => {
  it("on the host are slices that are cut by hand, in every order, place and epoch", async () => {
    let looked = 0;
    for (let number = 0; number < cases(200, 1900); number++) {
      looked += await tryRandomWindows(number);
    }
    expect(looked).toBeGreaterThan(cases(2000, 19_000));
  });

  it("on the device are, too", async () => {
    let looked = 0;
    for (let number = 0; number < cases(20, 100); number++) {
      looked += await tryRandomWindows(1e6 + number, gpu());
    }
    expect(looked).toBeGreaterThan(cases(100, 1000));
  });
});
