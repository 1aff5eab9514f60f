import { describe, expect, it } from "vitest";
import { BudgetError, GpuError, LedgerError, ShaderError } from "../../src/errors.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { foldWorkgroups } from "../../src/gpu/kernel.ts";
import { selfTestAnswers, selfTestSeed, selfTestSpec } from "../../src/gpu/self_test.ts";
import { BufferUsage } from "../../src/gpu/usage.ts";
import { useGpu } from "../support/gpu.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu({ budget: "1 MiB" });

describe("openGpu()", () => {
  it("finds an adapter and says which", () => {
    const { adapter } = gpu();
    console.log(
      `adapter: ${adapter.name}, ${adapter.runtime}, driver ${adapter.driver ?? "system"}`,
    );
    expect(adapter.name).not.toBe("");
    expect(adapter.limits.maxStorageBufferBindingSize).toBeGreaterThanOrEqual(2 ** 27);
  });

  it("leaves setImmediate to others as it was", async () => {
    // browsers have none
    if (!("setImmediate" in globalThis)) return;
    expect(await new Promise((resolve) => setImmediate((...all) => resolve(all), 1, 2)))
      .toEqual([1, 2]);
    let called = false;
    clearImmediate(setImmediate(() => called = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(called).toBe(false);
  });

  it("asks questions whose answers it knows", async () => {
    const seed = selfTestSeed();
    const answers = selfTestAnswers(seed);
    const { outputs } = await runKernel(gpu(), {
      spec: selfTestSpec,
      constants: {},
      buffers: { seed, answers: 4 * answers.length },
      workgroups: [1],
      outputs: ["answers"],
    });
    outputs.answers!.forEach((value, i) => {
      const tolerance = i < 66 ? 4e-6 * answers[i]! : 0;
      expect(Math.abs(value - answers[i]!)).toBeLessThanOrEqual(tolerance);
    });
  });

  it("refuses a budget that is no size", async () => {
    await expect(openGpu({ budget: "lots" })).rejects.toThrow(/budget is "lots", wanted bytes/);
  });

  it("finds an adapter by all of its name", async () => {
    const { name } = gpu().adapter;
    const again = await openGpu({ adapter: name });
    expect(again.adapter.name).toBe(name);
    again.close();
  });

  it("refuses an adapter name that nothing has", async () => {
    await expect(openGpu({ adapter: "abacus" })).rejects.toThrow(/Cannot open a GPU/);
  });

  it("says so when it is used after it was closed", async () => {
    const closed = await openGpu();
    closed.close();
    expect(() => closed.throwIfFailed()).toThrow(/it was closed/);
  });
});

describe("kernels", () => {
  it("name the kernel and the line of a shader that does not compile", async () => {
    const broken = { name: "broken", code: "fn broken() {\n  let x: f32 = 1u;\n}", bindings: {} };
    const error = await gpu().kernel(broken, {}).catch((reason) => reason);
    expect(error).toBeInstanceOf(ShaderError);
    expect(error.kernel).toBe("broken");
    expect(error.message).toMatch(/"broken"/);
  });

  it("are compiled once for the same constants", () => {
    expect(gpu().kernel(selfTestSpec, {})).toBe(gpu().kernel(selfTestSpec, {}));
  });

  it("fold workgroups that exceed one dimension, and lose none", () => {
    expect(foldWorkgroups(65535)).toEqual([65535, 1]);
    for (const count of [65536, 65537, 1_000_003]) {
      const [x, y] = foldWorkgroups(count);
      expect(x).toBeLessThanOrEqual(65535);
      expect(x * y).toBeGreaterThanOrEqual(count);
      expect(x * y - count).toBeLessThan(y);
    }
  });
});

describe("timing", () => {
  it("measures device time where the adapter keeps it, and says when it does not", async () => {
    const seed = selfTestSeed();
    const began = performance.now();
    const { milliseconds, deviceTime } = await runKernel(gpu(), {
      spec: selfTestSpec,
      constants: {},
      buffers: { seed, answers: 520 },
      workgroups: [1],
      outputs: [],
      repeats: 3,
    });
    expect(deviceTime).toBe(gpu().device.features.has("timestamp-query"));
    expect(milliseconds.length).toBe(3);
    const elapsed = performance.now() - began;
    for (const time of milliseconds) expect(time).toBeGreaterThanOrEqual(0);
    expect(milliseconds.reduce((sum, time) => sum + time, 0)).toBeLessThanOrEqual(elapsed);
  });
});

describe("the ledger", () => {
  const storage = (bytes: number) => ({ label: "rows", bytes, usage: BufferUsage.STORAGE });
  const promise = (bytes: number) => ({ gpu: bytes, host: 0, disk: 0 });

  it("counts what is live and what was live at most", async () => {
    const account = gpu().ledger.open("count", promise(1000));
    const [first, second] = await account.createBuffers([storage(600), storage(398)]);
    expect(account.live.gpu).toBe(1000);
    account.destroyBuffer(first!);
    expect(account.live.gpu).toBe(400);
    expect(account.peak.gpu).toBe(1000);
    account.destroyBuffer(second!);
    account.close();
  });

  it("refuses a buffer that was left out of the plan", async () => {
    const account = gpu().ledger.open("forgotten", promise(1000));
    await expect(account.createBuffers([storage(800), storage(204)])).rejects.toThrow(LedgerError);
    expect(account.live.gpu).toBe(0);
    account.close();
  });

  it("reports a buffer that leaked, by its label", async () => {
    const account = gpu().ledger.open("leak", promise(1000));
    await account.createBuffers([storage(64)]);
    expect(() => account.close()).toThrow(/leaked 64 B of GPU memory \(rows\)/);
  });

  it("shares one budget among all accounts", () => {
    const first = gpu().ledger.open("first", promise(2 ** 19));
    const over = () => gpu().ledger.open("second", promise(2 ** 19 + 4));
    expect(over).toThrow(BudgetError);
    first.close();
    over().close();
  });

  it("passes on what the driver refuses, and holds nothing afterwards", async () => {
    const account = gpu().ledger.open("refused", promise(1000));
    const bad = { label: "bad", bytes: 4, usage: BufferUsage.MAP_READ | BufferUsage.STORAGE };
    await expect(account.createBuffers([bad])).rejects.toThrow(GpuError);
    expect(account.live.gpu).toBe(0);
    account.close();
  });
});

describe("submit()", () => {
  it("rejects when the commands are invalid, and leaves the device usable", async () => {
    const account = gpu().ledger.open("submit", { gpu: 16, host: 0, disk: 0 });
    const [small] = await account.createBuffers([
      { label: "small", bytes: 16, usage: BufferUsage.COPY_SRC },
    ]);
    await expect(
      gpu().submit("bad copy", (encoder) => {
        encoder.copyBufferToBuffer(small!, 0, small!, 0, 16);
      }),
    ).rejects.toThrow(/Cannot run "bad copy"/);
    await gpu().submit("nothing", () => {});
    account.destroyBuffer(small!);
    account.close();
  });

  it("reports a lost device at the next call", async () => {
    const lost = await openGpu();
    lost.device.destroy();
    await lost.device.lost;
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(() => lost.throwIfFailed()).toThrow(/device was lost/);
    lost.close();
  });
});
