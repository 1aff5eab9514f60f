/**
 * Runs a pass: while the device works on one tile, the next is being read and uploaded and the one
 * before is being read back and written. Three loops, joined by channels through which a fixed
 * number of slots circulates; a slow stage therefore holds the others back.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";
import type { Kernel } from "../gpu/kernel.ts";
import { bufferBytes } from "../gpu/ledger.ts";
import { MapMode } from "../gpu/usage.ts";
import { Channel } from "./channel.ts";
import type { KernelStep, Pass, Tile } from "./pass.ts";
import { isKernelStep, namedSteps, tileSize } from "./pass.ts";
import { Submitter } from "./submitter.ts";

/** The buffers of one slot, by name. Staging buffers are named after what they serve. */
export interface Slot {
  device: Record<string, GPUBuffer>;
  staging: Record<string, GPUBuffer>;
  /** One uniform for each kernel step, by {@link namedSteps}. */
  params: Record<string, GPUBuffer>;
}

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
  slots: readonly Slot[];
  shared: Record<string, GPUBuffer>;
  signal: AbortSignal;
  /** What the pass's `startsFrom` asks for at the start of a tile. */
  carryAt(tile: Tile): Promise<ArrayBufferView>;
  /** Whether the pass's `write` is called; if not, the tiles are run for their carries alone. */
  writes: boolean;
  /**
   * Hears of every tile once it is written, in order, with the carry after it. Says whether the rest
   * is not wanted.
   */
  onTile(tile: Tile, carry: Uint8Array | undefined): Promise<boolean>;
  /** Share of the tiles the device has done, 0 to 1, and rows of a lane that have been written. */
  onAdvance(computedShare: number, writtenRows: number): void;
}

/** The staging buffer of a slot that brings back the carry. */
export const CARRY_STAGING = "carry";

/** Ends the loops early, without a failure. */
const STOPPED = Symbol("stopped");

/** Drives one pass over its tiles. Rejects with the first failure, when all loops have stopped. */
export async function runPass(run: PassRun): Promise<StageSeconds> {
  const { gpu, pass, slots, signal } = run;
  const tiles = pass.direction === "forward" ? run.tiles : [...run.tiles].reverse();
  const seconds: StageSeconds = { read: 0, compute: 0, write: 0, total: 0 };
  const began = performance.now();
  const free = new Channel<Slot>();
  const ready = new Channel<{ tile: Tile; slot: Slot }>();
  const computed = new Channel<{ tile: Tile; slot: Slot; mapped: Promise<unknown> }>();
  for (const slot of slots) free.put(slot);

  const downloads = pass.slotBuffers
    .filter(({ role }) => role === "download")
    .map(({ name }) => name);
  if (pass.carry) downloads.push(CARRY_STAGING);
  const totalRows = tiles.reduce((sum, tile) => sum + tile.end - tile.start, 0);
  const lanes = tiles[0]?.lanes ?? 1;
  const kernelSteps = pass.steps.filter(isKernelStep);
  let computedShare = 0;
  let writtenRows = 0;
  const submitter: Submitter = new Submitter(gpu, (kind, rows) => {
    const known = kernelSteps.map((step) => submitter.msPerRow(step.kernel.name) ?? 0);
    const all = known.reduce((sum, ms) => sum + ms, 0);
    const part = known[kernelSteps.findIndex((step) => step.kernel.name === kind)] ?? 0;
    const share = all > 0 ? part / all : 1 / kernelSteps.length;
    const step = kernelSteps.find((step) => step.kernel.name === kind);
    const laneRows = step?.order === "any" ? rows / lanes : rows;
    computedShare = Math.min(1, computedShare + share * laneRows / totalRows);
    run.onAdvance(computedShare, writtenRows);
  });
  const prepared = await prepareSteps(run);

  const fail = (reason: unknown) => {
    for (const channel of [free, ready, computed]) channel.fail(reason);
  };
  const onAbort = () => fail(signal.reason);
  signal.addEventListener("abort", onAbort);

  async function readTiles(): Promise<void> {
    for (const tile of tiles) {
      const slot = await free.take();
      signal.throwIfAborted();
      const started = performance.now();
      const uploads = await pass.read(tile, signal);
      if (pass.startsFrom) uploads[pass.startsFrom.upload] = await run.carryAt(tile);
      for (const [name, data] of Object.entries(uploads)) {
        const staging = slot.staging[name]!;
        await staging.mapAsync(MapMode.WRITE, 0, bufferBytes(data.byteLength));
        new Uint8Array(staging.getMappedRange(0, bufferBytes(data.byteLength)))
          .set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
        staging.unmap();
      }
      seconds.read += (performance.now() - started) / 1000;
      ready.put({ tile, slot });
    }
  }

  async function computeTiles(): Promise<void> {
    for (let i = 0; i < tiles.length; i++) {
      const { tile, slot } = await ready.take();
      submitter.record((encoder) => {
        for (const { name, role } of pass.slotBuffers) {
          if (role !== "upload") continue;
          const { size } = slot.device[name]!;
          encoder.copyBufferToBuffer(slot.staging[name]!, 0, slot.device[name]!, 0, size);
        }
      });
      for (const step of prepared.get(slot)!) await step(tile, submitter, signal);
      submitter.record((encoder) => {
        for (const { name, role } of pass.slotBuffers) {
          if (role !== "download") continue;
          const { size } = slot.device[name]!;
          encoder.copyBufferToBuffer(slot.device[name]!, 0, slot.staging[name]!, 0, size);
        }
        if (pass.carry) {
          const { buffer, bytes } = pass.carry;
          encoder.copyBufferToBuffer(
            run.shared[buffer]!,
            0,
            slot.staging[CARRY_STAGING]!,
            0,
            tile.lanes * bytes,
          );
        }
      });
      await submitter.flush();
      const mapped = Promise.all(
        downloads.map((name) => slot.staging[name]!.mapAsync(MapMode.READ)),
      );
      mapped.catch(() => {});
      computed.put({ tile, slot, mapped });
    }
    await submitter.drain();
  }

  async function writeTiles(): Promise<void> {
    for (let i = 0; i < tiles.length; i++) {
      const { tile, slot, mapped } = await computed.take();
      await mapped;
      gpu.throwIfFailed();
      signal.throwIfAborted();
      const started = performance.now();
      const arrived: Record<string, ArrayBuffer> = {};
      for (const name of downloads) arrived[name] = slot.staging[name]!.getMappedRange();
      if (run.writes) await pass.write(tile, arrived, signal);
      const carry = pass.carry &&
        new Uint8Array(arrived[CARRY_STAGING]!.slice(0, tile.lanes * pass.carry.bytes));
      for (const name of downloads) slot.staging[name]!.unmap();
      free.put(slot);
      const enough = await run.onTile(tile, carry);
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
    unmapAll(slots);
  }
  seconds.compute = submitter.busyMs / 1000;
  seconds.total = (performance.now() - began) / 1000;
  return seconds;
}

/** Staging buffers of tiles that nobody took are free again. */
function unmapAll(slots: readonly Slot[]): void {
  for (const buffer of slots.flatMap(({ staging }) => Object.values(staging))) {
    if (buffer.mapState !== "unmapped") buffer.unmap();
  }
}

type PreparedStep = (tile: Tile, submitter: Submitter, signal: AbortSignal) => Promise<void>;

/** Compiles the kernels and binds them to every slot. */
async function prepareSteps({ gpu, pass, slots, shared }: PassRun) {
  const prepared = new Map<Slot, PreparedStep[]>(slots.map((slot) => [slot, []]));
  for (const { step, params } of namedSteps(pass)) {
    if (isKernelStep(step)) {
      const kernel = await gpu.kernel(step.kernel, step.constants);
      for (const slot of slots) {
        prepared.get(slot)!.push(
          prepareKernel(gpu, kernel, step, slot.params[params]!, slot, shared),
        );
      }
    } else {
      const { from, to } = step.copy;
      for (const slot of slots) {
        const find = (name: string) => shared[name] ?? slot.device[name] ?? slot.staging[name]!;
        prepared.get(slot)!.push((tile, submitter) => {
          const ranges = step.ranges(tile);
          submitter.record((encoder) => {
            for (const { fromOffset, toOffset, bytes } of ranges) {
              encoder.copyBufferToBuffer(find(from), fromOffset, find(to), toOffset, bytes);
            }
          });
          return Promise.resolve();
        });
      }
    }
  }
  return prepared;
}

function prepareKernel(
  gpu: Gpu,
  kernel: Kernel,
  step: KernelStep,
  uniform: GPUBuffer,
  slot: Slot,
  shared: Record<string, GPUBuffer>,
): PreparedStep {
  const buffers: Record<string, GPUBuffer> = { params: uniform };
  for (const binding of Object.keys(step.kernel.bindings)) {
    if (binding === "params") continue;
    const name = step.buffers?.[binding] ?? binding;
    const buffer = shared[name] ?? slot.device[name];
    if (!buffer) throw new TypeError(`Cannot bind "${kernel.name}": no buffer is named "${name}"`);
    buffers[binding] = buffer;
  }
  const group = kernel.bind(buffers);
  return async (tile, submitter, signal) => {
    const rows = step.order === "any" ? tileSize(tile) : tile.end - tile.start;
    for (let done = 0; done < rows;) {
      signal.throwIfAborted();
      gpu.throwIfFailed();
      const some = Math.min(rows - done, submitter.roomFor(kernel.name));
      const [from, to] = step.order === "descending"
        ? [rows - done - some, rows - done]
        : [done, done + some];
      const params = step.params(tile, from, to);
      await submitter.dispatch(kernel.name, some, uniform, params, (encoder) => {
        const pass = encoder.beginComputePass({ label: kernel.name });
        kernel.encode(pass, group, step.workgroups(some, tile));
        pass.end();
      });
      done += some;
    }
  };
}
