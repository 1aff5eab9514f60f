import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { grantWarning, visibleGpus } from "../../src/cli/granted_gpus.ts";

describe("a process that sees more GPUs than it was granted", () => {
  it("is warned with both numbers, and by the variable that grants least", () => {
    const env = {
      SLURM_GPUS_ON_NODE: "4",
      SLURM_JOB_GPUS: "0,1,2,3",
      CUDA_VISIBLE_DEVICES: "GPU-5a,2",
    };
    expect(grantWarning(env, 4)).toMatch(
      /granted 2 GPUs \(CUDA_VISIBLE_DEVICES=GPU-5a,2\) and sees 4: .*--adapter/,
    );
    expect(grantWarning({ SLURM_GPUS_ON_NODE: "1" }, 8)).toMatch(/granted 1 GPUs .* sees 8/);
    expect(grantWarning({ SLURM_JOB_GPUS: "5" }, 2)).toMatch(/SLURM_JOB_GPUS=5/);
    // what CUDA takes for none, and for the end of a list
    for (const none of ["", "-1", "NoDevFiles"]) {
      expect(grantWarning({ CUDA_VISIBLE_DEVICES: none }, 1)).toMatch(/granted 0 GPUs/);
    }
    expect(grantWarning({ CUDA_VISIBLE_DEVICES: "1,-1,0" }, 2)).toMatch(/granted 1 GPUs/);
  });

  it("is not warned where it sees what it was granted, or nobody says", () => {
    expect(grantWarning({ SLURM_GPUS_ON_NODE: "2", CUDA_VISIBLE_DEVICES: "0,1" }, 2)).toBe(
      undefined,
    );
    expect(grantWarning({ SLURM_GPUS_ON_NODE: "2" }, 0)).toBe(undefined);
    expect(grantWarning({ SLURM_GPUS_ON_NODE: "many" }, 3)).toBe(undefined);
    expect(grantWarning({}, 8)).toBe(undefined);
  });

  it("sees the devices that it may open, each once", () => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-gpus-"));
    try {
      expect(visibleGpus(folder)).toBe(0);
      mkdirSync(join(folder, "dri"));
      for (const name of ["dri/card0", "dri/renderD128"]) writeFileSync(join(folder, name), "");
      expect(visibleGpus(folder)).toBe(1);
      for (const name of ["nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "dri/renderD129"]) {
        writeFileSync(join(folder, name), "");
      }
      // a file that is a folder cannot be opened for writing, even by root
      mkdirSync(join(folder, "nvidia2"));
      expect(visibleGpus(folder)).toBe(2);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
