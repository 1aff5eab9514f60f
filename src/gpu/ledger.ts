/**
 * The allocator's own count of bytes. Every buffer of the package is made here, against an account
 * that said beforehand how much it would need.
 *
 * @module
 */

import { BudgetError, GpuError, LedgerError } from "../errors.ts";
import { formatBytes } from "../math/format.ts";
import type { MemoryBytes } from "../types.ts";

/** A buffer to be made: its label, size and usage bits. */
export interface BufferRequest {
  label: string;
  /** Rounded up to a multiple of 4. */
  bytes: number;
  usage: number;
}

/** Size of a buffer as the ledger counts it: WebGPU wants multiples of 4, and none empty. */
export function bufferBytes(bytes: number): number {
  return Math.max(4, Math.ceil(bytes / 4) * 4);
}

const KINDS = ["gpu", "host", "disk"] as const;
const none = (): MemoryBytes => ({ gpu: 0, host: 0, disk: 0 });

/** Bytes promised and taken by all the accounts of one device. */
export class Ledger {
  /** What all open accounts promised to stay within. */
  readonly reserved: MemoryBytes = none();
  /** Most that all of them held together at a time. */
  readonly peak: MemoryBytes = none();
  readonly #accounts = new Set<Account>();
  readonly #device: () => GPUDevice;
  readonly #budget: { gpu: number; host: number };
  #throwIfFailed: () => void;

  /** @param device The device of accounts that are opened; another one after a loss. */
  constructor(
    device: () => GPUDevice,
    budget: { gpu: number; host: number },
    throwIfFailed: () => void,
  ) {
    this.#device = device;
    this.#budget = budget;
    this.#throwIfFailed = throwIfFailed;
  }

  /**
   * Opens an account that may hold up to `projected` bytes at any moment.
   *
   * @throws {BudgetError} If the budget, less what other accounts reserved, does not allow it.
   */
  open(name: string, projected: MemoryBytes): Account {
    for (const kind of ["gpu", "host"] as const) {
      const free = this.#budget[kind] - this.reserved[kind];
      if (projected[kind] > free) {
        throw new BudgetError(
          `Cannot start "${name}": it needs ${formatBytes(projected[kind])} of ${kind} memory, ` +
            `${formatBytes(free)} of the budget of ${formatBytes(this.#budget[kind])} is free`,
          {
            projectedBytes: projected[kind],
            budgetBytes: this.#budget[kind],
            smallestBudgetBytes: projected[kind] + this.reserved[kind],
          },
        );
      }
    }
    for (const kind of KINDS) this.reserved[kind] += projected[kind];
    const account = new Account(name, projected, this, this.#device(), this.#throwIfFailed);
    this.#accounts.add(account);
    return account;
  }

  /** What all open accounts hold. */
  get live(): MemoryBytes {
    const live = none();
    for (const account of this.#accounts) {
      for (const kind of KINDS) live[kind] += account.live[kind];
    }
    return live;
  }

  /** Of an account: it holds more than before. */
  grew(): void {
    const { live } = this;
    for (const kind of KINDS) this.peak[kind] = Math.max(this.peak[kind], live[kind]);
  }

  /** Of an account, which is closed. */
  forget(account: Account): void {
    this.#accounts.delete(account);
    for (const kind of KINDS) this.reserved[kind] -= account.projected[kind];
  }
}

/** The bytes of one plan: live, peak, and what it promised. */
export class Account {
  readonly live: MemoryBytes = none();
  readonly peak: MemoryBytes = none();
  readonly name: string;
  readonly projected: MemoryBytes;
  readonly #ledger: Ledger;
  readonly #device: GPUDevice;
  readonly #throwIfFailed: () => void;
  readonly #buffers = new Set<GPUBuffer>();
  #closed = false;

  constructor(
    name: string,
    projected: MemoryBytes,
    ledger: Ledger,
    device: GPUDevice,
    throwIfFailed: () => void,
  ) {
    this.name = name;
    this.projected = { ...projected };
    this.#ledger = ledger;
    this.#device = device;
    this.#throwIfFailed = throwIfFailed;
  }

  /**
   * Counts bytes that are not GPU buffers: host arrays held, disk bytes written.
   *
   * @throws {LedgerError} If the account would exceed its promise.
   */
  take(kind: "host" | "disk", bytes: number, what: string): void {
    this.#take(kind, bytes, what);
  }

  /** Gives back what {@link take} counted. */
  giveBack(kind: "host" | "disk", bytes: number): void {
    this.live[kind] -= bytes;
  }

  /**
   * Makes buffers, all or none, inside validation and out-of-memory scopes.
   *
   * @throws {LedgerError} If the account would exceed its promise.
   * @throws {GpuError} If the driver refuses.
   */
  async createBuffers(requests: readonly BufferRequest[]): Promise<GPUBuffer[]> {
    const buffers: GPUBuffer[] = [];
    this.#device.pushErrorScope("validation");
    this.#device.pushErrorScope("out-of-memory");
    let failure: unknown;
    try {
      for (const { label, bytes, usage } of requests) {
        this.#take("gpu", bufferBytes(bytes), label);
        const buffer = this.#device.createBuffer({ label, size: bufferBytes(bytes), usage });
        this.#buffers.add(buffer);
        buffers.push(buffer);
      }
    } catch (error) {
      failure = error;
    }
    const errors = await Promise.all([this.#device.popErrorScope(), this.#device.popErrorScope()]);
    const refusal = errors.find((error) => error !== null);
    if (refusal) {
      const bytes = requests.reduce((sum, request) => sum + bufferBytes(request.bytes), 0);
      failure ??= new GpuError(
        `Cannot allocate ${formatBytes(bytes)} for "${this.name}": ${refusal.message.trim()}`,
      );
    }
    if (failure) {
      for (const buffer of buffers) this.destroyBuffer(buffer);
      throw failure;
    }
    this.#throwIfFailed();
    return buffers;
  }

  /** Destroys a buffer of this account. */
  destroyBuffer(buffer: GPUBuffer): void {
    if (!this.#buffers.delete(buffer)) return;
    this.live.gpu -= buffer.size;
    buffer.destroy();
  }

  /**
   * Closes the account and gives its promise back to the budget.
   *
   * @throws {LedgerError} If buffers or host bytes are still live: something leaked.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ledger.forget(this);
    const { gpu, host } = this.live;
    const labels = [...this.#buffers].map((buffer) => buffer.label);
    for (const buffer of [...this.#buffers]) this.destroyBuffer(buffer);
    if (gpu !== 0 || host !== 0) {
      throw new LedgerError(
        `"${this.name}" leaked ${gpu} B of GPU memory (${labels.join(", ") || "no buffers"}) ` +
          `and ${host} B of host memory`,
      );
    }
  }

  /** Destroys every buffer and forgets live bytes: for runs that failed half-way. */
  abandon(): void {
    for (const buffer of [...this.#buffers]) this.destroyBuffer(buffer);
    this.live.host = 0;
    this.close();
  }

  #take(kind: keyof MemoryBytes, bytes: number, what: string): void {
    const live = this.live[kind] + bytes;
    if (live > this.projected[kind]) {
      throw new LedgerError(
        `"${this.name}" promised ${this.projected[kind]} B of ${kind} memory and holds ` +
          `${this.live[kind]} B; "${what}" would add ${bytes} B`,
      );
    }
    this.live[kind] = live;
    this.peak[kind] = Math.max(this.peak[kind], live);
    this.#ledger.grew();
  }
}
