/**
 * What a plan holds where: bytes from shapes, before anything is made, and the buffers themselves.
 *
 * @module
 */

import type { Gpu } from "../gpu/device.ts";
import type { Account, BufferRequest } from "../gpu/ledger.ts";
import { bufferBytes } from "../gpu/ledger.ts";
import { BufferUsage, MapMode } from "../gpu/usage.ts";
import { Journal } from "../store/journal.ts";
import type { MemoryBytes } from "../types.ts";
import { MEETING_ROWS, stagesOf } from "./lanes.ts";
import type { Pass, SharedBuffer } from "./pass.ts";
import { CARRY_STAGING, namedSteps, tilesAlive } from "./pass.ts";
import type { Output } from "./output.ts";
import type { Slot, Workspace } from "./schedule.ts";
import type { HeldSpecs, Task, TaskLayout } from "./task.ts";
import { heldBytes } from "./task.ts";

// Tables cross in pieces of at most this size.
const TABLE_STAGING_BYTES = 4 * 2 ** 20;
// What a line of the journal's log takes at most, but for the chunks it tells of.
const LOG_ENTRY_BYTES = 400;

/** A line of the memory table: what is held, how many bytes, and whether on the host or on disk. */
export interface MemoryItem {
  what: string;
  kind: "host" | "disk";
  bytes: number;
}

/** What a task holds on the host and on disk, line by line. */
export function memoryOf<Specs extends HeldSpecs>(
  { held, output: { place } }: Pick<Task<Specs, unknown>, "held" | "output">,
  output: Pick<Output, "memory">,
  layout: TaskLayout,
  tileRows: number,
  slots: number,
): MemoryItem[] {
  const { passes, tables = [] } = layout;
  const { all, kept, copied } = heldBytes(held);
  const alive = tilesAlive(slots);
  const items: MemoryItem[] = tables.map((item) => ({ ...item, kind: "host" }));
  items.push({ what: "arrays that go from tile to tile", kind: "host", bytes: all });
  items.push({
    what: "tiles on their way",
    kind: "host",
    bytes: Math.max(...passes.map((pass) => tileHostBytes(pass, alive))),
  });
  const keeps = keepsJournal(place, layout);
  if (keeps && copied > 0) {
    items.push({ what: "arrays as they were read", kind: "host", bytes: alive * copied });
  }
  items.push(...output.memory());
  if (keeps) items.push(...journalMemory(layout, tileRows, kept));
  return items.filter(({ bytes }) => bytes > 0);
}

/** Host bytes of a pass's tiles: one is being read, others have what goes beside, one is being written. */
function tileHostBytes(
  { slotBuffers, hostBytes: { read = 0, write = 0 } = {}, besideBytes = 0 }: Pass,
  alive: number,
): number {
  const uploads = slotBuffers.reduce(
    (sum, { role, bytes }) => sum + (role === "upload" ? bytes : 0),
    0,
  );
  return read + uploads + alive * besideBytes + write;
}

/** Bytes of GPU, host and disk a task needs. */
export function projectBytes<Specs extends HeldSpecs>(
  task: Pick<Task<Specs, unknown>, "held" | "output">,
  output: Pick<Output, "memory">,
  layout: TaskLayout,
  tileRows: number,
  slots: number,
): MemoryBytes {
  const items = memoryOf(task, output, layout, tileRows, slots);
  const sum = (kind: "host" | "disk") =>
    items.reduce((bytes, item) => bytes + (item.kind === kind ? item.bytes : 0), 0);
  return {
    gpu: tableBytes(layout) + ringBytes(layout.passes, layout.lanes?.count ?? 1, slots),
    host: sum("host"),
    disk: sum("disk"),
  };
}

/** What the journal holds until the run is done. */
function journalMemory(layout: TaskLayout, tileRows: number, heldKept: number): MemoryItem[] {
  const { passes, lanes, alignRows = 1 } = layout;
  const count = lanes?.count ?? 1;
  const fixed = heldKept + keptBuffers(layout).reduce((sum, { bytes }) => sum + bytes, 0);
  let states = 0;
  let largest = Journal.stateBytes(fixed);
  let largestCarry = 0;
  let entries = 0;
  for (const { pass, kind, low, high } of stagesOf(layout)) {
    const meetings = count > 1 ? Math.ceil((high - low) / MEETING_ROWS) + 1 : 0;
    // a resumed run may have one tile more
    const tiles = Math.ceil((high - low) / tileRows) + 1 + meetings;
    entries += kind === "repair" ? (count - 1) * (tiles + 1) + 1 : tiles;
    if (!pass.carry) {
      entries += (pass.sweeps?.most ?? 1) * tiles;
      continue;
    }
    const carry = (kind === "repair" ? 1 : count) * pass.carry.bytes;
    const bytes = Journal.stateBytes(fixed + carry);
    largest = Math.max(largest, bytes);
    largestCarry = Math.max(largestCarry, carry);
    const startsOthers = passes.some(({ startsFrom }) => startsFrom?.pass === pass.name);
    if (startsOthers && kind !== "burn-in") {
      states += (tiles + 1) * bytes;
    } else {
      // the last one, and those since what is stored; with lanes, where they may meet; and at the end
      const passing = Math.min(tiles, 2 + Math.ceil(alignRows / tileRows));
      states += (passing + meetings + 1) * bytes;
    }
  }
  // where it can go on, where it soon will, and the one that takes its place
  states += 3 * Journal.stateBytes(fixed);
  const items: MemoryItem[] = [
    { what: "state on its way to the journal", kind: "host", bytes: 2 * largest },
    {
      what: "journal, removed at the end",
      kind: "disk",
      bytes: states + entries * LOG_ENTRY_BYTES,
    },
  ];
  if (count > 1) {
    // how lanes ended, how they started, and one in the making
    items.push({ what: "states where lanes meet", kind: "host", bytes: 3 * largestCarry });
  }
  return items;
}

/** Whether there is a journal: a result that is only returned needs none, but where passes carry. */
export function keepsJournal(place: string | undefined, { passes }: TaskLayout): boolean {
  return place !== undefined || passes.some(({ carry }) => carry);
}

/** Rows of which every tile has a whole number. */
export function grainOf({ passes }: Pick<TaskLayout, "passes">): number {
  return passes.reduce((grain, pass) => Math.max(grain, pass.grain ?? 1), 1);
}

/** Buffers that checkpoints store. */
export function keptBuffers({ shared }: Pick<TaskLayout, "shared">): SharedBuffer[] {
  return shared.filter(({ kept }) => kept);
}

export function tableBytes({ shared }: Pick<TaskLayout, "shared">): number {
  const staging = tableStagingBytes(shared) +
    keptBuffers({ shared }).reduce((sum, { bytes }) => sum + bufferBytes(bytes), 0);
  return ownBuffers(shared).reduce((bytes, buffer) => bytes + bufferBytes(buffer.bytes), staging);
}

/** Buffers that have memory of their own. */
function ownBuffers(shared: readonly SharedBuffer[]): SharedBuffer[] {
  return shared.filter(({ within }) => within === undefined);
}

function tableStagingBytes(shared: readonly SharedBuffer[]): number {
  // a carry without data may still be filled, from the journal
  const largest = Math.max(0, ...shared.map(({ bytes, scratch }) => scratch ? 0 : bytes));
  return largest === 0 ? 0 : bufferBytes(Math.min(largest, TABLE_STAGING_BYTES));
}

/** Bytes of what the device works in, and of the slots. */
export function ringBytes(passes: readonly Pass[], lanes: number, slots: number): number {
  return ringRequests(passes, lanes).reduce(
    (sum, { place, bytes }) => sum + (isStaging(place) ? slots : 1) * bufferBytes(bytes),
    0,
  );
}

interface RingRequest extends BufferRequest {
  name: string;
  place: keyof Workspace | keyof Slot;
}

const STAGING = {
  upload: { usage: BufferUsage.MAP_WRITE | BufferUsage.COPY_SRC, place: "uploads" },
  download: { usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST, place: "downloads" },
} as const;

/** Every slot has its own of these; of the others there is one. */
const isStaging = (place: RingRequest["place"]) => place === "uploads" || place === "downloads";

/** Buffers of the workspace and of a slot: passes run one after the other, so equal names share one. */
function ringRequests(passes: readonly Pass[], lanes: number): RingRequest[] {
  const requests = new Map<string, RingRequest>();
  const add = (request: RingRequest) => {
    const key = `${request.place} ${request.name}`;
    const bytes = Math.max(request.bytes, requests.get(key)?.bytes ?? 0);
    requests.set(key, { ...request, bytes });
  };
  const addStaging = (role: keyof typeof STAGING, name: string, bytes: number) =>
    add({ name, label: `${name} ${role}`, bytes, ...STAGING[role] });
  for (const pass of passes) {
    for (const { name, bytes, role } of pass.slotBuffers) {
      const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
      add({ name, label: name, bytes, usage, place: "device" });
      if (role !== "scratch") addStaging(role, name, bytes);
    }
    if (pass.carry) addStaging("download", CARRY_STAGING, lanes * pass.carry.bytes);
    for (const { params, paramsBytes } of namedSteps(pass).flatMap(({ kernels }) => kernels)) {
      add({
        name: params,
        label: `${params} params`,
        bytes: paramsBytes,
        usage: BufferUsage.UNIFORM | BufferUsage.COPY_DST,
        place: "params",
      });
    }
  }
  return [...requests.values()];
}

/** The buffers of a plan. */
export class PlanBuffers {
  readonly shared: Record<string, GPUBuffer> = {};
  readonly workspace: Workspace = { device: {}, params: {} };
  readonly slots: Slot[];
  tableStaging: GPUBuffer | undefined;
  /** Where buffers that checkpoints store come back, and which those are. */
  readonly kept: { source: GPUBuffer; staging: GPUBuffer; bytes: number }[] = [];
  readonly all: GPUBuffer[];

  constructor(slotCount: number, all: GPUBuffer[]) {
    this.slots = Array.from({ length: slotCount }, () => ({ uploads: {}, downloads: {} }));
    this.all = all;
  }

  /** Whether a copy that was recorded has not been read. */
  #underWay = false;

  /** Records the copy that {@link mapKept} reads; not while another one is under way. */
  copyKept(encoder: GPUCommandEncoder): boolean {
    if (this.#underWay) return false;
    this.#underWay = true;
    for (const { source, staging, bytes } of this.kept) {
      encoder.copyBufferToBuffer(source, 0, staging, 0, bufferBytes(bytes));
    }
    return true;
  }

  /** Contents of all that is kept, as they were copied. */
  async mapKept(): Promise<Uint8Array> {
    const contents = new Uint8Array(this.kept.reduce((sum, { bytes }) => sum + bytes, 0));
    let at = 0;
    for (const { staging, bytes } of this.kept) {
      await staging.mapAsync(MapMode.READ);
      contents.set(new Uint8Array(staging.getMappedRange(), 0, bytes), at);
      staging.unmap();
      at += bytes;
    }
    this.#underWay = false;
    return contents;
  }

  /** Contents of all that is kept, while no pass is under way. */
  async readKept(gpu: Gpu): Promise<Uint8Array> {
    if (this.kept.length === 0) return new Uint8Array(0);
    this.#underWay = false;
    await gpu.submit("read what is kept", (encoder) => {
      this.copyKept(encoder);
    });
    return await this.mapKept();
  }
}

export async function allocate(
  account: Account,
  { shared, passes, lanes }: TaskLayout,
  slotCount: number,
): Promise<PlanBuffers> {
  const transfer = BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
  const own = ownBuffers(shared);
  const tables: BufferRequest[] = own.map(({ name, bytes, kind }) => ({
    label: name,
    bytes,
    usage: transfer | (kind === "uniform" ? BufferUsage.UNIFORM : BufferUsage.STORAGE),
  }));
  const kept = keptBuffers({ shared });
  const comingBack: BufferRequest[] = kept.map(({ name, bytes }) => ({
    label: `${name} checkpoint`,
    bytes,
    usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST,
  }));
  const stagingBytes = tableStagingBytes(shared);
  const tableStaging: BufferRequest[] = stagingBytes === 0 ? [] : [{
    label: "table staging",
    bytes: stagingBytes,
    usage: BufferUsage.MAP_WRITE | BufferUsage.COPY_SRC,
  }];
  const ring = ringRequests(passes, lanes?.count ?? 1);
  const placed = [
    ...ring.filter(({ place }) => !isStaging(place)).map((request) => ({ request, slot: 0 })),
    ...Array.from(
      { length: slotCount },
      (_, slot) =>
        ring.filter(({ place }) => isStaging(place)).map((request) => ({ request, slot })),
    ).flat(),
  ];
  const all = await account.createBuffers([
    ...tables,
    ...comingBack,
    ...tableStaging,
    ...placed.map(({ request }) => request),
  ]);
  const made = all.values();
  const next = () => made.next().value!;
  const buffers = new PlanBuffers(slotCount, all);
  for (const { name } of own) buffers.shared[name] = next();
  for (const { name, bytes, within } of shared) {
    if (within === undefined) continue;
    const host = buffers.shared[within];
    if (!host || host.size < bytes) {
      throw new TypeError(
        `Cannot put "${name}" of ${bytes} B into "${within}": that has ${host?.size ?? "no"} B`,
      );
    }
    buffers.shared[name] = host;
  }
  for (const { name, bytes } of kept) {
    buffers.kept.push({ source: buffers.shared[name]!, staging: next(), bytes });
  }
  buffers.tableStaging = tableStaging.map(next)[0];
  for (const { request: { place, name }, slot } of placed) {
    const places: Workspace & Slot = { ...buffers.workspace, ...buffers.slots[slot]! };
    places[place][name] = next();
  }
  return buffers;
}

/** Brings tables to the device through one bounded staging buffer. */
export async function fillTables(
  gpu: Gpu,
  shared: readonly SharedBuffer[],
  { shared: targets, tableStaging }: PlanBuffers,
  signal: AbortSignal,
): Promise<void> {
  for (const { name, data: given } of shared) {
    if (!given) continue;
    const data = typeof given === "function" ? given() : given;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    for (let offset = 0; offset < bytes.length; offset += tableStaging!.size) {
      signal.throwIfAborted();
      const piece = bytes.subarray(offset, offset + tableStaging!.size);
      await tableStaging!.mapAsync(MapMode.WRITE);
      new Uint8Array(tableStaging!.getMappedRange()).set(piece);
      tableStaging!.unmap();
      await gpu.submit(`fill ${name}`, (encoder) => {
        encoder.copyBufferToBuffer(
          tableStaging!,
          0,
          targets[name]!,
          offset,
          bufferBytes(piece.length),
        );
      });
    }
  }
}

export function largestBuffer({ shared, passes }: TaskLayout): number {
  return Math.max(...shared.map(({ bytes }) => bytes), largestTileBuffer(passes));
}

/** Bytes of the largest buffer that grows with the tile. */
export function largestTileBuffer(passes: readonly Pass[]): number {
  return Math.max(...passes.flatMap(({ slotBuffers }) => slotBuffers.map(({ bytes }) => bytes)));
}
