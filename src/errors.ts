/**
 * Every error class of the package. Wrong arguments are the built-in `TypeError` (kind, dtype) and
 * `RangeError` (shape, size, index); the classes here are for what a caller can act on.
 *
 * @module
 */

import { withoutSecrets } from "./secrets.ts";

/** A plan needs more memory than its budget allows. Thrown before any work is done. */
export class BudgetError extends Error {
  override readonly name = "BudgetError";
  /** Bytes the plan needs: of GPU memory, or of the host's if that is what is short. */
  readonly projectedBytes: number;
  /** Bytes the budget allows. */
  readonly budgetBytes: number;
  /** The smallest budget, in bytes, this plan runs in. */
  readonly smallestBudgetBytes: number;

  constructor(
    message: string,
    sizes: { projectedBytes: number; budgetBytes: number; smallestBudgetBytes: number },
  ) {
    super(message);
    this.projectedBytes = sizes.projectedBytes;
    this.budgetBytes = sizes.budgetBytes;
    this.smallestBudgetBytes = sizes.smallestBudgetBytes;
  }
}

/** The ledger saw more bytes than the plan promised: a defect of this package, never of the caller. */
export class LedgerError extends Error {
  override readonly name = "LedgerError";
}

/** No WebGPU adapter could be had. The message says how to get one on this platform. */
export class NoAdapterError extends Error {
  override readonly name = "NoAdapterError";
}

/** The adapter was found but computes wrong answers, or lacks what the kernels need. */
export class AdapterError extends Error {
  override readonly name = "AdapterError";
}

/** A shader did not compile or its pipeline could not be made. */
export class ShaderError extends Error {
  override readonly name = "ShaderError";
  /** Name of the kernel: the stem of its `.wgsl` file. */
  readonly kernel: string;

  constructor(message: string, kernel: string) {
    super(message);
    this.kernel = kernel;
  }
}

/** The driver refused work that had been planned: out of memory or a validation failure. */
export class GpuError extends Error {
  override readonly name = "GpuError";
}

/** The device was lost while a plan ran. */
export class DeviceLostError extends Error {
  override readonly name = "DeviceLostError";
  /** Name of the pass that was running, if one was. */
  readonly pass: string | undefined;
  /** First row that had not been written when the device was lost. */
  readonly row: number | undefined;

  constructor(message: string, where: { pass?: string; row?: number } = {}) {
    super(message);
    this.pass = where.pass;
    this.row = where.row;
  }
}

/** A stored chunk or file is missing, short, damaged, or of a kind that cannot be read. */
export class ChunkError extends Error {
  override readonly name = "ChunkError";
  /** The file or key. */
  readonly path: string;

  constructor(message: string, path: string, cause?: unknown) {
    super(withoutSecrets(message), cause === undefined ? undefined : { cause });
    this.path = withoutSecrets(path);
  }
}

/** The output place is taken by something that is not this plan's result. */
export class OutputConflictError extends Error {
  override readonly name = "OutputConflictError";
  /** The output place. */
  readonly place: string;

  constructor(message: string, place: string) {
    super(withoutSecrets(message));
    this.place = withoutSecrets(place);
  }
}

/** The output place cannot be written: permissions, a missing folder, a read-only disk. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  /** The file or key. */
  readonly path: string;

  constructor(message: string, path: string, cause?: unknown) {
    super(withoutSecrets(message), cause === undefined ? undefined : { cause });
    this.path = withoutSecrets(path);
  }
}

/** The output place has too little room. */
export class QuotaError extends Error {
  override readonly name = "QuotaError";
  readonly neededBytes: number;
  readonly availableBytes: number;

  constructor(message: string, sizes: { neededBytes: number; availableBytes: number }) {
    super(message);
    this.neededBytes = sizes.neededBytes;
    this.availableBytes = sizes.availableBytes;
  }
}

/** Parts of a plan that are missing although they were started several times: look at what their engine printed. */
export class PartsError extends Error {
  override readonly name = "PartsError";
  /** The stage they are of. */
  readonly stage: string;
  /** Their numbers, from 0. */
  readonly missing: readonly number[];

  constructor(message: string, { stage, missing }: { stage: string; missing: readonly number[] }) {
    super(message);
    this.stage = stage;
    this.missing = missing;
  }
}
