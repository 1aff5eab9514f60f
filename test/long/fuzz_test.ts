/** More of test/hmm/fuzz_test.ts. */

import { it } from "vitest";
import { fuzz } from "../support/decoder_fuzz.ts";
import { useGpu } from "../support/gpu.ts";

const gpu = useGpu();

it("smooth() agrees with logarithms in f64 on 2,000 cases that fast-check makes up", async () => {
  await fuzz(gpu(), 2000, 3 * 3600_000);
});
