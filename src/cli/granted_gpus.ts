/**
 * How many GPUs this process was granted, and how many it sees: Vulkan, through which WebGPU goes, does not know
 * the variables by which others are told.
 *
 * @module
 */

import { closeSync, openSync, readdirSync } from "node:fs";
import process from "node:process";

type Environment = Readonly<Record<string, string | undefined>>;

/** Variables that say which GPUs, or how many, and what they say. */
const GRANTS: Readonly<Record<string, (value: string) => number>> = {
  SLURM_GPUS_ON_NODE: Number,
  SLURM_JOB_GPUS: countOf,
  CUDA_VISIBLE_DEVICES: countOf,
};

/** Of a list such as `0,2`; "-1" and what is no device end it. */
function countOf(list: string): number {
  const names = list.split(",").map((name) => name.trim());
  const end = names.findIndex((name) => !/^(?:\d+|(?:GPU|MIG)-.+)$/.test(name));
  return end < 0 ? names.length : end;
}

/** A warning where a process sees more GPUs than it was granted. */
export function grantWarning(
  env: Environment = process.env,
  seen: number = visibleGpus(),
): string | undefined {
  const grants = Object.entries(GRANTS).flatMap(([name, count]) => {
    const value = env[name];
    const gpus = value === undefined ? NaN : count(value);
    return Number.isNaN(gpus) ? [] : [{ name, value, gpus }];
  });
  const least = grants.reduce<typeof grants[number] | undefined>(
    (least, grant) => least && least.gpus <= grant.gpus ? least : grant,
    undefined,
  );
  if (least === undefined || seen <= least.gpus) return undefined;
  return `This process was granted ${least.gpus} GPUs (${least.name}=${least.value}) and sees ${seen}: WebGPU does ` +
    "not heed that variable, so that several workers may share one GPU; start each where it sees its own alone, " +
    "or choose with --adapter";
}

/** GPUs whose device files this process may open. */
export function visibleGpus(folder = "/dev"): number {
  const nvidia = openable(folder, /^nvidia\d+$/);
  // NVIDIA's have both
  return nvidia > 0 ? nvidia : openable(`${folder}/dri`, /^renderD\d+$/);
}

function openable(folder: string, pattern: RegExp): number {
  try {
    return readdirSync(folder).filter((name) => pattern.test(name) && opens(`${folder}/${name}`))
      .length;
  } catch {
    return 0;
  }
}

/** A group of processes may be kept from devices whose files it sees: only to open one tells. */
function opens(file: string): boolean {
  try {
    closeSync(openSync(file, "r+"));
    return true;
  } catch {
    return false;
  }
}
