import { readFileSync } from "node:fs";
import process from "node:process";
import { expect, it } from "vitest";
import { BufferUsage } from "../../src/gpu/usage.ts";
import { useGpu } from "../support/gpu.ts";
import { runtime } from "../support/runtime.ts";

const gpu = useGpu();

/** Processor time of the main thread so far, in ms. */
function mainThreadMs(): number {
  const stat = readFileSync(`/proc/self/task/${process.pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // in hundredths of a second, of the user and of the system
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

const SLOW = `
@group(0) @binding(0) var<storage, read_write> sums: array<f32>;
@compute @workgroup_size(64)
fn slow(@builtin(global_invocation_id) id: vec3u) {
  var sum = f32(id.x);
  for (var i = 0u; i < 500000u; i++) {
    sum = fma(sum, 0.999, 1.0);
  }
  sums[id.x] = sum;
}`;

it("the main thread rests while the device works", async (context) => {
  if (runtime === "deno") {
    context.skip("Deno asks its device for news every few milliseconds alone");
  }
  if (process.platform !== "linux") context.skip("threads are measured by Linux's /proc");
  const { device } = gpu();
  const module = device.createShaderModule({ code: SLOW });
  const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module } });
  const workgroups = 8;
  const buffer = device.createBuffer({ size: 4 * 64 * workgroups, usage: BufferUsage.STORAGE });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer } }],
  });
  const encode = (encoder: GPUCommandEncoder) => {
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(workgroups);
    pass.end();
  };
  // what it takes of the main thread when nobody lets it rest
  const restless = async () => {
    const encoder = device.createCommandEncoder();
    encode(encoder);
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
  };
  const spent = { resting: 0, restless: 0 };
  for (let turn = 0; turn < 3; turn++) {
    for (const way of ["resting", "restless"] as const) {
      const before = mainThreadMs();
      await (way === "resting" ? gpu().submit("slow", encode) : restless());
      spent[way] += mainThreadMs() - before;
    }
  }
  buffer.destroy();
  expect(spent.restless).toBeGreaterThan(0);
  expect(spent.resting).toBeLessThan(spent.restless / 2);
});
