/**
 * `sluice info`.
 *
 * @module
 */

import os from "node:os";
import process from "node:process";
import { openGpu } from "../gpu/device.ts";
import { formatBytes, printable, printableJson } from "../math/format.ts";
import { VERSION } from "../version.ts";
import { contentsOf, describeContents } from "./contents.ts";
import type { CommandContext } from "./usage.ts";
import { peakResidentBytes } from "./resident.ts";
import { CommandLine, common, helpOf } from "./usage.ts";

export const infoHelp = `Usage: sluice info [FILE] [options]

Opens the GPU, runs its self-test and shows adapter, driver, limits, features and memory. With FILE, shows
what is in that instead: its arrays with shapes and types, and what may be typed next. FILE is .npy, .npz,
HDF5 (.h5, .nwb, .nc, .mat of MATLAB 7.3), .safetensors, .parquet, a zarr store, or a folder of Kilosort or
phy; FILE/NAME is a part of it.

${helpOf({})}`;

// the limits that decide what fits
const SHOWN_LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupStorageSize",
];

export async function info({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, {}, { positionals: 1 });
  const { adapter: part, json = false } = line.read(common);
  const [place] = line.positionals;
  if (place !== undefined) {
    const contents = await contentsOf(place, { signal });
    console.log(json ? printableJson(contents) : printable(describeContents(contents)));
    return;
  }
  const gpu = await openGpu(part === undefined ? {} : { adapter: part });
  const { adapter } = gpu;
  gpu.close();
  const memory = {
    totalBytes: os.totalmem(),
    freeBytes: os.freemem(),
    // of this process, which did nothing but open the GPU
    peakResidentBytes: peakResidentBytes(),
  };
  const facts = {
    version: VERSION,
    runtime: adapter.runtime,
    runtimeVersion: process.version,
    platform: `${process.platform} ${process.arch}`,
    adapter: {
      name: adapter.name,
      vendor: adapter.vendor,
      architecture: adapter.architecture,
      device: adapter.device,
      description: adapter.description,
      software: adapter.software,
    },
    driver: adapter.driver ?? "the system's",
    limits: adapter.limits,
    features: adapter.features,
    memory,
  };
  if (json) {
    console.log(JSON.stringify(facts));
    return;
  }
  const limit = (name: string) => {
    const value = adapter.limits[name] ?? 0;
    return /Size$/.test(name) ? formatBytes(value) : String(value);
  };
  const lines: [string, string][] = [
    ["sluice", VERSION],
    ["runtime", `${facts.runtime} ${facts.runtimeVersion}, ${facts.platform}`],
    ["adapter", adapter.name + (adapter.software ? " (software)" : "")],
    ["driver", facts.driver],
    ["self-test", "passed"],
    ...SHOWN_LIMITS.map((name): [string, string] => [name, limit(name)]),
    ["features", adapter.features.length > 0 ? adapter.features.join(", ") : "none"],
    ["memory", `${formatBytes(memory.freeBytes)} free of ${formatBytes(memory.totalBytes)}`],
  ];
  const widest = Math.max(...lines.map(([name]) => name.length));
  for (const [name, value] of lines) console.log(`${name.padEnd(widest)}  ${value}`);
}
