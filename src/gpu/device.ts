/**
 * Opens a WebGPU device in a browser (window or worker), in Deno and in Node, with a memory budget.
 *
 * @module
 */

import { displayed } from "../display.ts";
import { DeviceLostError, GpuError, NoAdapterError } from "../errors.ts";
import { formatBytes, parseBytes } from "../math/format.ts";
import type { Kernel, KernelSpec } from "./kernel.ts";
import { createKernel } from "./kernel.ts";
import type { Option, OptionsOf } from "../options.ts";
import { bytes, declare, isObject, oneOf, record, signal, text } from "../options.ts";
import { unlessAborted } from "../turns.ts";
import { Ledger } from "./ledger.ts";
import { restUntil } from "./rest.ts";
import { runSelfTest } from "./self_test.ts";

/** Memory a {@link Gpu} may use: one size for GPU memory, or one for each of GPU and host. */
export type Budget = number | string | { gpu?: number | string; host?: number | string };

const DEFAULT_BUDGET = "1 GiB";

const size = bytes({
  default: DEFAULT_BUDGET,
  stored: false,
  says: "GPU memory allowed, device and staging",
});
const sizes = record(
  { gpu: size, host: bytes({ stored: false, says: "host memory allowed" }) },
  {},
);

export const gpuOptions = declare("open a GPU", {
  /**
   * Bytes, or text such as `"512 MiB"`, of device and staging buffers; or `{ gpu, host }` for the host's memory
   * too. Default 1 GiB of GPU memory, and 2 GiB of the host's, 1 GiB in a browser.
   */
  budget: {
    ...size,
    check: (value, place) => isObject(value) ? sizes.check(value, place) : size.check(value, place),
  } as Option<Budget, "default">,
  powerPreference: oneOf(["low-power", "high-performance"], {
    flag: false,
    stored: false,
    says: "which of several adapters browsers choose",
  }),
  /** Part of the adapter's name, to choose among several; `"software"` for a CPU adapter. */
  adapter: text({
    takes: "NAME",
    stored: false,
    says: `part of an adapter's name, or "software"`,
  }),
  signal,
});

/** Options of {@link openGpu}. */
export type OpenGpuOptions = OptionsOf<typeof gpuOptions>;

/** What is known about the adapter a device came from. */
export interface AdapterDescription {
  /** One line for people: vendor, architecture, device. */
  name: string;
  vendor: string;
  architecture: string;
  device: string;
  description: string;
  /** True when the adapter computes on the CPU. */
  software: boolean;
  /** Runtime and WebGPU implementation: `Node (Dawn)`, `Deno (wgpu)`, `browser`. */
  runtime: string;
  /** The driver that was found or unpacked, where this package had to look for one. */
  driver: string | undefined;
  features: string[];
  /** The limits the device was opened with. */
  limits: Record<string, number>;
}

// Limits asked for by name. Everything else stays at the guaranteed value, so that what runs here
// runs elsewhere.
const WANTED_LIMITS = [
  "maxStorageBufferBindingSize", // rows of a tile are one binding
  "maxBufferSize", // and one buffer
] as const;

// Features asked for where there are any: nothing needs them.
const WANTED_FEATURES = [
  "timestamp-query", // times of kernels
  "subgroups", // threads that share loads
] as const;

interface FoundAdapter {
  adapter: GPUAdapter;
  runtime: string;
  driver: string | undefined;
  /** Lets go of what keeps the adapter alive. */
  release: () => void;
}

/**
 * Opens a GPU device.
 *
 * Browsers and Deno use `navigator.gpu`; Node loads the optional package `webgpu` (Dawn). On Linux a
 * Vulkan driver is searched for when the system has none. Close it with {@link Gpu.close}; in Node
 * the process does not exit until then.
 *
 * @throws {NoAdapterError} If there is no adapter; the message says how to get one.
 * @throws {AdapterError} If the adapter gives wrong answers to a few known questions.
 * @throws {TypeError} If an option is not known, or of another kind.
 * @throws {RangeError} If the budget is not a size.
 * @throws The signal's reason, if it is aborted before the device is there.
 */
export async function openGpu(options: OpenGpuOptions = {}): Promise<Gpu> {
  const { budget, signal, ...wanted } = gpuOptions.check(options);
  signal?.throwIfAborted();
  const opening = openTested(budget, wanted);
  try {
    return await unlessAborted(signal, opening);
  } catch (error) {
    // drivers cannot be interrupted: what they open in the end is closed
    if (signal?.aborted) opening.then((gpu) => gpu.close(), () => {});
    throw error;
  }
}

async function openTested(budget: Budget, wanted: OpenGpuOptions): Promise<Gpu> {
  const gpu = new Gpu(await openDevice(wanted), parseBudget(budget), () => openDevice(wanted));
  try {
    await runSelfTest(gpu);
  } catch (error) {
    gpu.close();
    throw error;
  }
  return gpu;
}

interface OpenDevice {
  device: GPUDevice;
  adapter: AdapterDescription;
  /** Lets go of what keeps the adapter alive. */
  release: () => void;
}

async function openDevice(options: OpenGpuOptions): Promise<OpenDevice> {
  const found = await findAdapter(options);
  const adapter = describeAdapter(found);
  const requiredLimits: Record<string, number> = {};
  for (const name of WANTED_LIMITS) requiredLimits[name] = found.adapter.limits[name];
  const requiredFeatures = WANTED_FEATURES.filter((name) => found.adapter.features.has(name));
  const device = await found.adapter.requestDevice({ requiredLimits, requiredFeatures });
  for (const name in device.limits) {
    const value = (device.limits as unknown as Record<string, unknown>)[name];
    if (typeof value === "number") adapter.limits[name] = value;
  }
  return { device, adapter, release: found.release };
}

/** How long a lost device may take to say that it is, in milliseconds. */
const LOSS_NOTICE_MS = 100;

/** An open GPU device: its adapter, its budget and its ledger. Made by {@link openGpu}. */
export interface Gpu {
  /** As a notebook shows it. */
  toHTML(): string;
}

export class Gpu {
  readonly adapter: AdapterDescription;
  readonly budgetBytes: { gpu: number; host: number };
  readonly ledger: Ledger;
  #open: OpenDevice;
  readonly #openAgain: () => Promise<OpenDevice>;
  #reopening: Promise<void> | undefined;
  readonly #kernels = new Map<string, Promise<Kernel>>();
  #failure: Error | undefined;
  #closed = false;

  constructor(
    open: OpenDevice,
    budgetBytes: { gpu: number; host: number },
    openAgain: () => Promise<OpenDevice>,
  ) {
    this.#open = open;
    this.#openAgain = openAgain;
    this.adapter = open.adapter;
    this.budgetBytes = budgetBytes;
    this.ledger = new Ledger(() => this.device, budgetBytes, () => this.throwIfFailed());
    this.#listen(open.device);
  }

  get device(): GPUDevice {
    return this.#open.device;
  }

  /** Throws what went wrong on the device since it was opened, if anything did. */
  throwIfFailed(): void {
    if (this.#failure) throw this.#failure;
    if (this.#closed) throw new GpuError("Cannot use the GPU: it was closed, open it again");
  }

  /** The loss of the device, if it is lost; waits a moment for one that is about to be told. */
  async loss(): Promise<DeviceLostError | undefined> {
    if (!this.#failure && !this.#closed) {
      const moment = new Promise((resolve) => setTimeout(resolve, LOSS_NOTICE_MS));
      await Promise.race([this.device.lost, moment]);
    }
    return this.#failure instanceof DeviceLostError ? this.#failure : undefined;
  }

  /**
   * Opens the device anew after it was lost. What was made on the old one is gone.
   *
   * @throws {DeviceLostError} If there is no such adapter any more.
   */
  async reopen(): Promise<void> {
    // several plans may have lost the same device
    this.#reopening ??= this.#reopen().finally(() => this.#reopening = undefined);
    await this.#reopening;
  }

  async #reopen(): Promise<void> {
    if (!(this.#failure instanceof DeviceLostError)) return;
    const lost = this.#failure;
    let open: OpenDevice;
    try {
      open = await this.#openAgain();
    } catch (cause) {
      throw new DeviceLostError(
        `${lost.message}; it could not be opened again: ${(cause as Error).message}`,
      );
    }
    if (open.adapter.name !== this.adapter.name) {
      open.device.destroy();
      open.release();
      throw new DeviceLostError(
        `${lost.message}; in its place there is "${open.adapter.name}", wanted ` +
          `"${this.adapter.name}"`,
      );
    }
    this.#open.release();
    this.#open = open;
    this.#kernels.clear();
    this.#failure = undefined;
    this.#listen(open.device);
  }

  /** Callbacks never throw: what they hear is raised by the next awaited call. */
  #listen(device: GPUDevice): void {
    device.lost.then((info) => {
      if (this.#closed || device !== this.device) return;
      // it explains whatever else was reported
      this.#failure = new DeviceLostError(
        `The GPU device was lost (${info.reason || "unknown reason"}): ${info.message.trim()}`,
      );
    });
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      if (device !== this.device) return;
      this.#failure ??= new GpuError(
        `The GPU reported an error: ${(event as GPUUncapturedErrorEvent).error.message.trim()}`,
      );
    });
  }

  /** Compiles a kernel, once per device, name and constants. */
  kernel(spec: KernelSpec, constants: Record<string, number>): Promise<Kernel> {
    const key = `${spec.name} ${JSON.stringify(constants)}`;
    let kernel = this.#kernels.get(key);
    if (!kernel) {
      kernel = this.#createKernel(spec, constants);
      if (isNode) restUntil(kernel);
      this.#kernels.set(key, kernel);
      kernel.catch(() => this.#kernels.delete(key));
    }
    return kernel;
  }

  async #createKernel(spec: KernelSpec, constants: Record<string, number>): Promise<Kernel> {
    const { quadCode, anyThreads } = spec;
    if (anyThreads) {
      const { fastestThreads } = await import("./threads.ts");
      return await createKernel(this, spec, {
        ...constants,
        WORKGROUP: await fastestThreads(this),
      });
    }
    if (quadCode === undefined) return await createKernel(this, spec, constants);
    const { quadsPay } = await import("./quads.ts");
    const byQuads = await quadsPay(this);
    return await createKernel(this, byQuads ? { ...spec, code: quadCode } : spec, constants);
  }

  /**
   * Records and submits commands inside error scopes.
   *
   * @returns Resolves when the GPU has done them; rejects with {@link GpuError} if they were refused
   * and with {@link DeviceLostError} if the device was lost.
   */
  submit(label: string, encode: (encoder: GPUCommandEncoder) => void): Promise<void> {
    this.throwIfFailed();
    const { device } = this;
    device.pushErrorScope("validation");
    device.pushErrorScope("out-of-memory");
    let thrown: unknown;
    try {
      const encoder = device.createCommandEncoder({ label });
      encode(encoder);
      device.queue.submit([encoder.finish()]);
    } catch (error) {
      thrown = error;
    }
    const scopes = [device.popErrorScope(), device.popErrorScope()];
    const done = device.queue.onSubmittedWorkDone();
    if (isNode) restUntil(done);
    return (async () => {
      const errors = await Promise.all(scopes);
      await done;
      const refusal = errors.find((error) => error !== null);
      this.throwIfFailed();
      if (thrown) throw thrown;
      if (refusal) throw new GpuError(`Cannot run "${label}": ${refusal.message.trim()}`);
    })();
  }

  /** Destroys the device. Results already written stay valid. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { device, release } = this.#open;
    device.destroy();
    device.lost.then(release);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

displayed(Gpu.prototype, ({ adapter, budgetBytes: { gpu, host } }) => ({
  title: `GPU "${adapter.name}"${adapter.software ? ", in software" : ""}, budget ${
    formatBytes(gpu)
  } of its memory and ${formatBytes(host)} of the host's`,
  facts: [
    ["runtime", adapter.runtime],
    ["driver", adapter.driver ?? "the system's"],
    ["largest buffer", formatBytes(adapter.limits.maxBufferSize ?? 0)],
    ["features", adapter.features.join(", ") || "none"],
  ],
}));

/**
 * Dawn's instances by driver and flags. All devices of a process share one, strongly held: Dawn
 * crashes when an instance is collected while it has anything left to tell, and Node does not exit
 * while one is held.
 */
const dawnInstances = new Map<string, { gpu: GPU; users: number }>();

/** How long the last user's instance is kept for what Dawn may still report. */
const INSTANCE_LINGER_MS = 50;

async function acquireDawn(driver: string, adapterPart: string | undefined) {
  const named = adapterPart !== undefined && adapterPart !== "software";
  const flags = named ? [`adapter=${adapterPart}`] : [];
  const key = [driver, ...flags].join(" ");
  let instance = dawnInstances.get(key);
  if (!instance) {
    instance = { gpu: await createDawn(flags), users: 0 };
    dawnInstances.set(key, instance);
  }
  const held = instance;
  held.users++;
  const release = () => {
    if (--held.users > 0) return;
    setTimeout(() => {
      if (held.users === 0) dawnInstances.delete(key);
    }, INSTANCE_LINGER_MS);
  };
  return { gpu: held.gpu, release };
}

/** A page has less than a program of its own. */
function defaultHostBytes(): number {
  return (isNode || isDeno ? 2 : 1) * 2 ** 30;
}

function parseBudget(budget: Budget): { gpu: number; host: number } {
  const { gpu = DEFAULT_BUDGET, host = defaultHostBytes() } = typeof budget === "object"
    ? budget
    : { gpu: budget };
  return { gpu: parseBytes(gpu), host: parseBytes(host) };
}

const isDeno = "Deno" in globalThis;
const isNode = !isDeno && typeof process !== "undefined" && !!process.versions?.node;

async function findAdapter(options: OpenGpuOptions): Promise<FoundAdapter> {
  if (isNode || isDeno) return await findNativeAdapter(options);
  const adapter = await navigator.gpu?.requestAdapter(adapterRequest(options));
  if (!adapter) {
    throw new NoAdapterError(
      navigator.gpu
        ? "Cannot open a GPU: this browser offers no adapter; update the graphics driver, or start " +
          "Chromium with --enable-unsafe-webgpu to use its software adapter"
        : "Cannot open a GPU: this page has no WebGPU; use a current browser and https or localhost",
    );
  }
  checkAdapterName(adapter, options.adapter);
  return { adapter, runtime: "browser", driver: undefined, release: () => {} };
}

async function findNativeAdapter(options: OpenGpuOptions): Promise<FoundAdapter> {
  const { driverAdvice, useVulkanDriver, vulkanDrivers } = await import("./driver.ts");
  const runtime = isDeno ? "Deno (wgpu)" : "Node (Dawn)";
  const tried: string[] = [];
  for await (const driver of vulkanDrivers()) {
    await useVulkanDriver(driver);
    // Dawn compares names with fewer words than ours: it is asked for what it does not offer by itself
    const parts = isDeno ? [undefined] : new Set([undefined, options.adapter]);
    let offered: GPUAdapter | null = null;
    for (const part of parts) {
      const { gpu, release } = isDeno
        ? { gpu: navigator.gpu, release: () => {} }
        : await acquireDawn(driver.name, part);
      let adapter: GPUAdapter | null = null;
      try {
        adapter = await gpu.requestAdapter(adapterRequest(options));
      } catch {
        // Dawn throws where others answer null, when no adapter has the name asked for
      }
      if (adapter && matchesName(adapter, options.adapter)) {
        return { adapter, runtime, driver: driver.name, release };
      }
      release();
      offered ??= adapter;
    }
    tried.push(`${driver.name}: ${offered ? adapterName(offered) : "no adapter"}`);
  }
  const wanted = options.adapter ? ` named "${options.adapter}"` : "";
  throw new NoAdapterError(
    `Cannot open a GPU: no adapter${wanted} was found (${tried.join("; ") || "no driver"}). ` +
      driverAdvice(),
  );
}

async function createDawn(flags: string[]): Promise<GPU> {
  let dawn: { create(flags: string[]): GPU };
  try {
    dawn = await import("webgpu");
  } catch (cause) {
    throw new NoAdapterError(
      "Cannot open a GPU in Node: the optional package webgpu is not installed (npm i webgpu)",
      { cause },
    );
  }
  return dawn.create(flags);
}

function adapterRequest(options: OpenGpuOptions): GPURequestAdapterOptions {
  const request: GPURequestAdapterOptions = {};
  if (options.powerPreference) request.powerPreference = options.powerPreference;
  if (options.adapter === "software") request.forceFallbackAdapter = true;
  return request;
}

function matchesName(adapter: GPUAdapter, part: string | undefined): boolean {
  if (part === undefined) return true;
  if (part === "software") return isSoftware(adapter);
  return adapterName(adapter).toLowerCase().includes(part.toLowerCase());
}

function checkAdapterName(adapter: GPUAdapter, part: string | undefined): void {
  if (!matchesName(adapter, part)) {
    throw new NoAdapterError(
      `Cannot open a GPU: the adapter offered is "${adapterName(adapter)}", wanted "${part}"`,
    );
  }
}

function adapterName({ info }: GPUAdapter): string {
  const words = [info.vendor, info.architecture, info.device, info.description];
  return words.filter((word, i) => word && words.indexOf(word) === i).join(" ") ||
    "unnamed adapter";
}

function isSoftware(adapter: GPUAdapter): boolean {
  return adapter.info.isFallbackAdapter === true ||
    /swiftshader|llvmpipe|lavapipe|warp|basic render/i.test(adapterName(adapter));
}

function describeAdapter({ adapter, runtime, driver }: FoundAdapter): AdapterDescription {
  const { vendor, architecture, device, description } = adapter.info;
  return {
    name: adapterName(adapter),
    vendor,
    architecture,
    device,
    description,
    software: isSoftware(adapter),
    runtime,
    driver,
    features: [...adapter.features].sort(),
    limits: {},
  };
}
