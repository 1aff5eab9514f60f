import { expect, it } from "vitest";
import { openStore } from "../../src/store/open_store.ts";
import { useGpu } from "../support/gpu.ts";
import { contents, smallPlan } from "../support/small_decode.ts";

const gpu = useGpu();

it("a decode in a worker, into OPFS, stores the bytes that one in a page does", async () => {
  const worker = new Worker(new URL("./decode_worker.ts", import.meta.url), { type: "module" });
  const answer = await new Promise<{ files?: Record<string, string>; error?: string }>(
    (resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => resolve({ error: message });
      worker.postMessage("opfs:worker-test/in-worker.zarr");
    },
  );
  worker.terminate();
  expect(answer.error).toBeUndefined();
  const out = "opfs:worker-test/in-page.zarr";
  await (await smallPlan(gpu(), out).run()).close();
  expect(answer.files).toEqual(await contents(out));
  await (await openStore("opfs:worker-test")).deleteAll();
});

it("a decode needs no timer, which browsers slow down in hidden tabs", async () => {
  const { setTimeout, setInterval, requestAnimationFrame } = globalThis;
  const never = () => 0;
  const out = "opfs:worker-test/hidden.zarr";
  try {
    Object.assign(globalThis, {
      setTimeout: never,
      setInterval: never,
      requestAnimationFrame: never,
    });
    await (await smallPlan(gpu(), out).run()).close();
  } finally {
    Object.assign(globalThis, { setTimeout, setInterval, requestAnimationFrame });
  }
  expect(Object.keys(await contents(out)).length).toBeGreaterThan(10);
  await (await openStore("opfs:worker-test")).deleteAll();
});
