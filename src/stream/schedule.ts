/**
 * Runs a pass: while the device works on one tile, the next is being read and uploaded and the one
 * before is being read back and written. Three loops, joined by channels through which a fixed
 * number of slots circulates; a slow stage therefore holds the others back.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";
import type { Kernel } from "../gpu/kernel.ts";
import { PARAMS_STRIDE } from "../gpu/kernel.ts";
import { bufferBytes } from "../gpu/ledger.ts";
import { MapMode } from "../gpu/usage.ts";
import { Channel } from "./channel.ts";
import type { CopyStep, KernelStep, LoopStep, Pass, Tile } from "./pass.ts";
import { LOOP_ROWS, namedSteps, tileSize, workOf } from "./pass.ts";
import type { Pace } from "./submitter.ts";
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
  /** What is known of the kernels' speed, from sweeps of the same stage before. */
  pace: Pace;
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
  const mappings = new Map<Slot, Promise<unknown>>();
  for (const slot of slots) free.put(slot);

  const downloads = pass.slotBuffers
    .filter(({ role }) => role === "download")
    .map(({ name }) => name);
  if (pass.carry) downloads.push(CARRY_STAGING);
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
      mappings.set(slot, mapped);
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
    // Deno refuses to unmap what is being mapped
    await Promise.allSettled(mappings.values());
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
  for (const { step, kernels } of namedSteps(pass)) {
    const compiled: Kernel[] = [];
    for (const { kernel, constants } of kernels) compiled.push(await gpu.kernel(kernel, constants));
    for (const slot of slots) {
      const bound = (i: number, buffers: Record<string, string> | undefined): BoundKernel => {
        const kernel = compiled[i]!;
        const uniform = slot.params[kernels[i]!.params]!;
        return { kernel, uniform, group: bindKernel(kernel, uniform, buffers, slot, shared) };
      };
      prepared.get(slot)!.push(
        "copy" in step
          ? prepareCopy(step, slot, shared)
          : "loop" in step
          ? prepareLoop(gpu, step, step.loop.map(({ buffers }, i) => bound(i, buffers)))
          : prepareKernel(gpu, step, bound(0, step.buffers)),
      );
    }
  }
  return prepared;
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
  slot: Slot,
  shared: Record<string, GPUBuffer>,
): GPUBindGroup {
  const buffers: Record<string, GPUBuffer> = { params: uniform };
  for (const binding of Object.keys(kernel.spec.bindings)) {
    if (binding === "params") continue;
    const name = names?.[binding] ?? binding;
    const buffer = shared[name] ?? slot.device[name];
    if (!buffer) throw new TypeError(`Cannot bind "${kernel.name}": no buffer is named "${name}"`);
    buffers[binding] = buffer;
  }
  return kernel.bind(buffers);
}

function prepareCopy(
  step: CopyStep,
  slot: Slot,
  shared: Record<string, GPUBuffer>,
): PreparedStep {
  const find = (name: string) => shared[name] ?? slot.device[name] ?? slot.staging[name]!;
  const [from, to] = [find(step.copy.from), find(step.copy.to)];
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
): PreparedStep {
  return async (tile, submitter, signal) => {
    const rows = step.order === "any" ? tileSize(tile) : tile.end - tile.start;
    await inPieces(
      gpu,
      signal,
      rows,
      step.order,
      () => submitter.roomFor(kernel.name),
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
    const room = () => Math.min(LOOP_ROWS, submitter.roomFor(step.name));
    await inPieces(gpu, signal, tile.end - tile.start, step.order, room, async (from, to) => {
      const rows = Array.from(
        { length: to - from },
        (_, i) => step.order === "ascending" ? from + i : to - 1 - i,
      );
      const uniforms = bound.map(({ uniform }, k) => {
        const table = new Uint32Array(rows.length * PARAMS_STRIDE / 4);
        rows.forEach((row, entry) =>
          table.set(step.loop[k]!.params(tile, row), entry * PARAMS_STRIDE / 4)
        );
        return [uniform, table] as const;
      });
      await submitter.dispatch(step.name, rows.length, uniforms, (encoder) => {
        const pass = encoder.beginComputePass({ label: step.name });
        for (let entry = 0; entry < rows.length; entry++) {
          bound.forEach(({ kernel, group }, k) =>
            kernel.encode(pass, group, step.loop[k]!.workgroups(tile), entry)
          );
        }
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
  room: () => number,
  submit: (from: number, to: number) => Promise<void>,
): Promise<void> {
  for (let done = 0; done < rows;) {
    signal.throwIfAborted();
    gpu.throwIfFailed();
    const some = Math.min(rows - done, room());
    const from = order === "descending" ? rows - done - some : done;
    await submit(from, from + some);
    done += some;
  }
}
