/**
 * Runs a pass: while the device works on one tile, the next is being read and uploaded and the one
 * before is being read back and written. Three loops, joined by channels through which a fixed
 * number of slots circulates; a slow stage therefore holds the others back.
 *
 * A slot is staging alone. The device works on one tile after the other, in one set of buffers, and
 * copies what it needs in and out: an upload is free once its tile's work is submitted, a download once
 * its tile is written. Two of each keep all three stages busy.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";
import type { Account } from "../gpu/ledger.ts";
import type { Kernel } from "../gpu/kernel.ts";
import { PARAMS_STRIDE } from "../gpu/kernel.ts";
import { bufferBytes } from "../gpu/ledger.ts";
import { MapMode } from "../gpu/usage.ts";
import { unlessAborted } from "../turns.ts";
import { Channel } from "./channel.ts";
import type { CopyStep, KernelStep, LoopStep, Pass, SlotBuffer, Tile } from "./pass.ts";
import { CARRY_STAGING, namedSteps, tileSize, turnsOf, workOf } from "./pass.ts";
import type { Pace } from "./submitter.ts";
import { Submitter } from "./submitter.ts";

/** Buffers the device works in, by name. */
export interface Workspace {
  device: Record<string, GPUBuffer>;
  /** One uniform for each kernel step, by {@link namedSteps}. */
  params: Record<string, GPUBuffer>;
}

/** Staging buffers of a tile on its way in and of one on its way out, named after what they serve. */
export interface Slot {
  uploads: Staging;
  downloads: Staging;
}

type Staging = Record<string, GPUBuffer>;

/** Time in seconds that each stage of a pass was at work. */
export interface StageSeconds {
  read: number;
  compute: number;
  write: number;
  total: number;
}

export interface PassRun {
  gpu: Gpu;
  pass: Pass;
  tiles: readonly Tile[];
  workspace: Workspace;
  slots: readonly Slot[];
  shared: Record<string, GPUBuffer>;
  signal: AbortSignal;
  account: Account;
  read(tile: Tile): Promise<Record<string, ArrayBufferView>>;
  /** @param beside What was read for the tile and is no upload. */
  write(
    tile: Tile,
    downloads: Record<string, ArrayBuffer>,
    beside: Record<string, ArrayBufferView>,
  ): Promise<void>;
  /** Brings back what the device keeps, after tiles that want it. */
  keeper: Keeper | undefined;
  /** What the pass's `startsFrom` asks for at the start of a tile. */
  carryAt(tile: Tile): Promise<ArrayBufferView>;
  /** Whether the pass's `write` is called; if not, the tiles are run for their carries alone. */
  writes: boolean;
  /**
   * Hears of every tile once it is written, in order, with the carry after it. Says whether the rest
   * is not wanted.
   */
  onTile(
    tile: Tile,
    carry: Uint8Array | undefined,
    kept: Uint8Array | undefined,
  ): Promise<boolean>;
  /** What is known of the kernels' speed, from sweeps of the same stage before. */
  pace: Pace;
  /** Share of the tiles the device has done, 0 to 1, and rows of a lane that have been written. */
  onAdvance(computedShare: number, writtenRows: number): void;
}

/** How a sweep's tiles are run: what differs between a stage and the repair of a lane. */
export interface SweepHooks extends Pick<PassRun, "writes" | "onTile"> {
  pace?: Pace;
  sweep?: number;
  onAdvance?: PassRun["onAdvance"];
}

/** How buffers that checkpoints store come back. */
export interface Keeper {
  wants(tile: Tile): boolean;
  /** Records the copy, unless another one is under way. */
  keep(encoder: GPUCommandEncoder): boolean;
  read(): Promise<Uint8Array>;
}

interface TileRead {
  tile: Tile;
  uploads: Staging;
  beside: Record<string, ArrayBufferView>;
}

interface TileComputed extends Omit<TileRead, "uploads"> {
  downloads: Staging;
  mapped: Promise<unknown>;
  isKept: boolean;
}

/** Ends the loops early, without a failure. */
const STOPPED = Symbol("stopped");

/** Drives one pass over its tiles. Rejects with the first failure, when all loops have stopped. */
export async function runPass(run: PassRun): Promise<StageSeconds> {
  const { gpu, pass, workspace, slots, signal, account } = run;
  const tiles = pass.direction === "forward" ? run.tiles : [...run.tiles].reverse();
  const seconds: StageSeconds = { read: 0, compute: 0, write: 0, total: 0 };
  const began = performance.now();
  /** Host bytes of tiles on their way. */
  let held = 0;
  const take = (bytes: number, what: string) => {
    account.take("host", bytes, what);
    held += bytes;
  };
  const giveBack = (bytes: number) => {
    account.giveBack("host", bytes);
    held -= bytes;
  };
  const freeUploads = new Channel<Staging>();
  const freeDownloads = new Channel<Staging>();
  const ready = new Channel<TileRead>();
  const computed = new Channel<TileComputed>();
  const mappings = new Map<Staging, Promise<unknown>>();
  const map = (staging: Staging, names: readonly string[], mode: number): Promise<unknown> => {
    const mapped = Promise.all(names.map((name) => staging[name]!.mapAsync(mode)));
    // whoever awaits it sees the failure; until then it is not "unhandled"
    mapped.catch(() => {});
    mappings.set(staging, mapped);
    return mapped;
  };
  for (const { uploads, downloads } of slots) {
    freeUploads.put(uploads);
    freeDownloads.put(downloads);
  }

  const ofRole = (role: SlotBuffer["role"]) =>
    pass.slotBuffers.filter((buffer) => buffer.role === role).map(({ name }) => name);
  const [uploadNames, resultNames] = [ofRole("upload"), ofRole("download")];
  const downloadNames = pass.carry ? [...resultNames, CARRY_STAGING] : resultNames;
  const totalRows = tiles.reduce((sum, tile) => sum + tile.end - tile.start, 0);
  const lanes = tiles[0]?.lanes ?? 1;
  const workSteps = pass.steps.filter((step) => !("copy" in step)) as (KernelStep | LoopStep)[];
  let computedShare = 0;
  let writtenRows = 0;
  const submitter: Submitter = new Submitter(gpu, (kind, rows) => {
    const known = workSteps.map((step) => submitter.msPerRow(workOf(step)!) ?? 0);
    const all = known.reduce((sum, ms) => sum + ms, 0);
    const at = workSteps.findIndex((step) => workOf(step) === kind);
    const share = all > 0 ? (known[at] ?? 0) / all : 1 / workSteps.length;
    const laneRows = workSteps[at]?.order === "any" ? rows / lanes : rows;
    computedShare = Math.min(1, computedShare + share * laneRows / totalRows);
    run.onAdvance(computedShare, writtenRows);
  }, run.pace);
  const prepared = await prepareSteps(run);

  const fail = (reason: unknown) => {
    for (const channel of [freeUploads, freeDownloads, ready, computed]) channel.fail(reason);
  };
  const onAbort = () => fail(signal.reason);
  signal.addEventListener("abort", onAbort);

  async function readTiles(): Promise<void> {
    for (const tile of tiles) {
      const uploads = await freeUploads.take();
      signal.throwIfAborted();
      const mapped = map(uploads, uploadNames, MapMode.WRITE);
      const started = performance.now();
      const { read = 0 } = pass.hostBytes ?? {};
      take(read, "reading");
      // what is read may come from a server, or from arrays that hear of no signal
      const contents = await unlessAborted(signal, run.read(tile));
      if (pass.startsFrom) contents[pass.startsFrom.upload] = await run.carryAt(tile);
      const beside = Object.fromEntries(
        Object.entries(contents).filter(([name]) => !uploadNames.includes(name)),
      );
      const uploadBytes = bytesIn(contents) - bytesIn(beside);
      take(uploadBytes, "what was read");
      take(bytesIn(beside), "what goes beside");
      const waited = performance.now();
      // the device may still have to take what they held before
      await mapped;
      const filled = performance.now();
      for (const name of uploadNames) {
        const data = contents[name];
        if (data) {
          new Uint8Array(uploads[name]!.getMappedRange(0, bufferBytes(data.byteLength)))
            .set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
        }
        uploads[name]!.unmap();
      }
      giveBack(read + uploadBytes);
      seconds.read += (waited - started + performance.now() - filled) / 1000;
      ready.put({ tile, uploads, beside });
    }
  }

  async function computeTiles(): Promise<void> {
    for (let i = 0; i < tiles.length; i++) {
      const { tile, uploads, beside } = await ready.take();
      submitter.record((encoder) => {
        for (const name of uploadNames) {
          const staging = uploads[name]!;
          encoder.copyBufferToBuffer(staging, 0, workspace.device[name]!, 0, staging.size);
        }
      }, () => freeUploads.put(uploads));
      for (const step of prepared) await step(tile, submitter, signal);
      const downloads = await freeDownloads.take();
      let isKept = false;
      submitter.record((encoder) => {
        if (run.keeper?.wants(tile)) isKept = run.keeper.keep(encoder);
        for (const name of resultNames) {
          const staging = downloads[name]!;
          encoder.copyBufferToBuffer(workspace.device[name]!, 0, staging, 0, staging.size);
        }
        if (pass.carry) {
          const { buffer, bytes } = pass.carry;
          const carry = downloads[CARRY_STAGING]!;
          encoder.copyBufferToBuffer(run.shared[buffer]!, 0, carry, 0, tile.lanes * bytes);
        }
      });
      await submitter.flush();
      const mapped = map(downloads, downloadNames, MapMode.READ);
      computed.put({ tile, beside, downloads, mapped, isKept });
    }
    await submitter.drain();
  }

  async function writeTiles(): Promise<void> {
    for (let i = 0; i < tiles.length; i++) {
      const { tile, beside, downloads, mapped, isKept } = await computed.take();
      await mapped;
      gpu.throwIfFailed();
      signal.throwIfAborted();
      const started = performance.now();
      const arrived: Record<string, ArrayBuffer> = {};
      for (const name of downloadNames) arrived[name] = downloads[name]!.getMappedRange();
      const { write = 0 } = pass.hostBytes ?? {};
      take(write, "writing");
      if (run.writes) await run.write(tile, arrived, beside);
      giveBack(write + bytesIn(beside));
      const carry = pass.carry &&
        new Uint8Array(arrived[CARRY_STAGING]!.slice(0, tile.lanes * pass.carry.bytes));
      for (const name of downloadNames) downloads[name]!.unmap();
      freeDownloads.put(downloads);
      const kept = isKept ? await run.keeper!.read() : undefined;
      const enough = await run.onTile(tile, carry, kept);
      seconds.write += (performance.now() - started) / 1000;
      writtenRows += tile.end - tile.start;
      run.onAdvance(computedShare, writtenRows);
      if (enough) throw STOPPED;
    }
  }

  const stopping = (loop: Promise<void>) =>
    loop.catch((error) => {
      fail(error);
      throw error;
    });
  const results = await Promise.allSettled(
    [readTiles(), computeTiles(), writeTiles()].map(stopping),
  );
  signal.removeEventListener("abort", onAbort);
  const failed = results.find((result) => result.status === "rejected");
  if (failed) {
    // buffers are about to be destroyed or used again: let the device finish what it was given
    await submitter.drain().catch(() => {});
    gpu.throwIfFailed();
    signal.throwIfAborted();
    if (failed.reason !== STOPPED) throw failed.reason;
    // Deno refuses to unmap what is being mapped
    await Promise.allSettled(mappings.values());
    unmapAll(slots);
    giveBack(held);
  }
  seconds.compute = submitter.busyMs / 1000;
  seconds.total = (performance.now() - began) / 1000;
  return seconds;
}

function bytesIn(contents: Record<string, ArrayBufferView>): number {
  return Object.values(contents).reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** Staging buffers of tiles that nobody took are free again. */
function unmapAll(slots: readonly Slot[]): void {
  for (const { uploads, downloads } of slots) {
    for (const buffer of [...Object.values(uploads), ...Object.values(downloads)]) {
      if (buffer.mapState !== "unmapped") buffer.unmap();
    }
  }
}

type PreparedStep = (tile: Tile, submitter: Submitter, signal: AbortSignal) => Promise<void>;

/** Compiles the kernels and binds their buffers. */
async function prepareSteps({ gpu, pass, workspace, shared }: PassRun): Promise<PreparedStep[]> {
  return await Promise.all(
    namedSteps(pass).map(async ({ step, kernels }) => {
      const bound = async (
        i: number,
        buffers: Record<string, string> | undefined,
      ): Promise<BoundKernel> => {
        const { kernel: spec, constants, params } = kernels[i]!;
        const kernel = await gpu.kernel(spec, constants);
        const uniform = workspace.params[params]!;
        const group = bindKernel(kernel, uniform, buffers, { ...workspace.device, ...shared });
        return { kernel, uniform, group };
      };
      if ("copy" in step) return prepareCopy(step, { ...workspace.device, ...shared });
      if (!("loop" in step)) {
        return prepareKernel(gpu, step, await bound(0, step.buffers), pass.grain);
      }
      const all = await Promise.all(step.loop.map(({ buffers }, i) => bound(i, buffers)));
      return prepareLoop(gpu, step, all);
    }),
  );
}

interface BoundKernel {
  kernel: Kernel;
  uniform: GPUBuffer;
  group: GPUBindGroup;
}

function bindKernel(
  kernel: Kernel,
  uniform: GPUBuffer,
  names: Record<string, string> | undefined,
  known: Record<string, GPUBuffer>,
): GPUBindGroup {
  const buffers: Record<string, GPUBuffer> = { params: uniform };
  for (const binding of Object.keys(kernel.spec.bindings)) {
    if (binding === "params") continue;
    const name = names?.[binding] ?? binding;
    const buffer = known[name];
    if (!buffer) throw new TypeError(`Cannot bind "${kernel.name}": no buffer is named "${name}"`);
    buffers[binding] = buffer;
  }
  return kernel.bind(buffers);
}

function prepareCopy(step: CopyStep, known: Record<string, GPUBuffer>): PreparedStep {
  const [from, to] = [known[step.copy.from]!, known[step.copy.to]!];
  return (tile, submitter) => {
    const ranges = step.ranges(tile);
    submitter.record((encoder) => {
      for (const { fromOffset, toOffset, bytes } of ranges) {
        encoder.copyBufferToBuffer(from, fromOffset, to, toOffset, bytes);
      }
    });
    return Promise.resolve();
  };
}

function prepareKernel(
  gpu: Gpu,
  step: KernelStep,
  { kernel, uniform, group }: BoundKernel,
  grain = 1,
): PreparedStep {
  return async (tile, submitter, signal) => {
    const room = async () => {
      const rows = await submitter.roomFor(kernel.name, [uniform]);
      return Math.max(1, Math.floor(rows / grain)) * grain;
    };
    const rows = step.order === "any" ? tileSize(tile) : tile.end - tile.start;
    await inPieces(
      gpu,
      signal,
      rows,
      step.order,
      room,
      async (from, to) => {
        const uniforms = [[uniform, step.params(tile, from, to)]] as const;
        await submitter.dispatch(kernel.name, to - from, uniforms, (encoder) => {
          const pass = encoder.beginComputePass({ label: kernel.name });
          kernel.encode(pass, group, step.workgroups(to - from, tile));
          pass.end();
        });
      },
    );
  };
}

function prepareLoop(gpu: Gpu, step: LoopStep, bound: readonly BoundKernel[]): PreparedStep {
  return async (tile, submitter, signal) => {
    const uniforms = bound.map(({ uniform }) => uniform);
    const { turnRows = 1, repeats = 1 } = step;
    const turns = repeats * Math.ceil((tile.end - tile.start) / turnRows);
    const room = async () => {
      const rows = await submitter.roomFor(step.name, uniforms);
      return Math.max(1, Math.min(turnsOf(step), Math.floor(rows / turnRows)));
    };
    await inPieces(gpu, signal, turns, step.order, room, async (from, to) => {
      const own = Array.from({ length: to - from }, (_, i) => {
        const turn = step.order === "ascending" ? from + i : to - 1 - i;
        return { row: turnRows * Math.floor(turn / repeats), repeat: turn % repeats };
      });
      const contents = uniforms.map((uniform, k) => {
        const table = new Uint32Array(own.length * PARAMS_STRIDE / 4);
        own.forEach(({ row, repeat }, entry) =>
          table.set(step.loop[k]!.params(tile, row, repeat), entry * PARAMS_STRIDE / 4)
        );
        return [uniform, table] as const;
      });
      await submitter.dispatch(step.name, own.length * turnRows, contents, (encoder) => {
        const pass = encoder.beginComputePass({ label: step.name });
        own.forEach(({ row, repeat }, entry) =>
          bound.forEach(({ kernel, group }, k) =>
            kernel.encode(pass, group, step.loop[k]!.workgroups(tile, row, repeat), entry)
          )
        );
        pass.end();
      });
    });
  };
}

/** Submits rows piece by piece, each as long as there is room for. */
async function inPieces(
  gpu: Gpu,
  signal: AbortSignal,
  rows: number,
  order: KernelStep["order"],
  room: () => Promise<number>,
  submit: (from: number, to: number) => Promise<void>,
): Promise<void> {
  for (let done = 0; done < rows;) {
    signal.throwIfAborted();
    gpu.throwIfFailed();
    const some = Math.min(rows - done, await room());
    const from = order === "descending" ? rows - done - some : done;
    await submit(from, from + some);
    done += some;
  }
}
