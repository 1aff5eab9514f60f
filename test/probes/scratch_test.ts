import { it } from "vitest";
import { fromTypedArray, openArray, readAll } from "../../src/array/array.ts";
import { LogisticProbe, MassMeanProbe } from "../../src/probes/probes.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { logistic } from "../reference/logistic.ts";
const gpu = useGpu();
const G = "/work/shared/golden/probes/";
const load = async (n: string) => Float64Array.from(await readAll(await openArray(G + n + ".npy")) as Float64Array);
it("goldens", async () => {
  for (const name of ["bal", "imb", "sep"]) {
    const y = await load(`logit_${name}_y`);
    const cs = [0.01, 1, 100];
    const fit = await new LogisticProbe({ c: cs }).fit(gpu(), await openArray(G + `logit_${name}_X.npy`), y).run();
    for (const [i, c] of cs.entries()) {
      const wb = await load(`logit_${name}_C${c}_wb`);
      const p = fit.probes[i]!;
      const got = [...p.weights, p.bias];
      const e = Math.sqrt(got.reduce((s, v, j) => s + (v - wb[j]!) ** 2, 0) / wb.reduce((s, v) => s + v * v, 0));
      console.log(name, c, e, p.distance, p.gradientNorm, p.iterations, p.converged, fit.passes, p.loss, p.weights[7]);
    }
  }
}, 100000);
it("big", async () => {
  const random = seeded(3);
  const [n, H] = [4000, 512];
  const normal = () => Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
  const X = new Float32Array(n * H);
  // power-law latent mixed
  const R = 64;
  const mix = Float64Array.from({ length: R * H }, normal);
  const u = Float64Array.from({ length: R }, normal);
  const y = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    const z = Float64Array.from({ length: R }, (_, r) => normal() / (1 + r));
    let s = 0;
    for (let r = 0; r < R; r++) s += z[r]! * u[r]! * 2;
    y[i] = Number(s + 0.5 * normal() > 0);
    for (let d = 0; d < H; d++) {
      let v = 0.02 * normal();
      for (let r = 0; r < R; r++) v += z[r]! * mix[r * H + d]!;
      X[i * H + d] = v;
    }
  }
  for (const c of [0.01, 1, 100]) {
    const t = performance.now();
    const fit = await new LogisticProbe({ c }).fit(gpu(), fromTypedArray(X, [n, H]), y).run();
    const p = fit.probes[0]!;
    console.log("C", c, p.distance, p.gradientNorm, p.iterations, p.converged, "passes", fit.passes, p.loss, performance.now() - t, JSON.stringify(fit.seconds, (k, v) => typeof v === "number" && v < 0.02 ? undefined : v));
  }
}, 300000);
