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
import { namedSteps } from "./pass.ts";
import type { MemoryItem, PlanLayout } from "./plan.ts";
import type { Slot, Workspace } from "./schedule.ts";
import { CARRY_STAGING } from "./schedule.ts";

// Tables cross in pieces of at most this size.
const TABLE_STAGING_BYTES = 4 * 2 ** 20;
// What an entry of the journal's log takes at most, but for what the model puts into it; a snapshot's
// place likewise.
const LOG_ENTRY_BYTES = 400;

/** Bytes of GPU, host and disk a layout needs. */
export function projectBytes(layout: PlanLayout, tileRows: number, slots: number): MemoryBytes {
  const items = [...layout.memory, ...journalMemory(layout, tileRows)];
  const sum = (kind: "host" | "disk") =>
    items.reduce((bytes, item) => bytes + (item.kind === kind ? item.bytes : 0), 0);
  return {
    gpu: tableBytes(layout.shared) + ringBytes(layout.passes, layout.lanes?.count ?? 1, slots),
    host: sum("host"),
    disk: sum("disk"),
  };
}

/** What the journal holds until the run is done. */
export function journalMemory(layout: PlanLayout, tileRows: number): MemoryItem[] {
  const { passes, lanes, alignRows = 1, restarts, stateBytes } = layout;
  if (stateBytes !== undefined) {
    const bytes = stateBytes + LOG_ENTRY_BYTES;
    return [
      { what: "state on its way to the journal", kind: "host", bytes },
      // one takes the place of another
      { what: "journal, removed at the end", kind: "disk", bytes: 2 * bytes },
    ];
  }
  if (restarts) return [];
  const count = lanes?.count ?? 1;
  let carries = 0;
  let largest = 0;
  let entries = 0;
  for (const { pass, kind, low, high } of stagesOf(layout)) {
    const meetings = count > 1 ? Math.ceil((high - low) / MEETING_ROWS) + 1 : 0;
    // a resumed run may have one tile more
    const tiles = Math.ceil((high - low) / tileRows) + 1 + meetings;
    entries += kind === "repair" ? (count - 1) * (tiles + 1) + 1 : tiles;
    if (!pass.carry) continue;
    const bytes = Journal.carryBytes((kind === "repair" ? 1 : count) * pass.carry.bytes);
    largest = Math.max(largest, bytes);
    const startsOthers = passes.some(({ startsFrom }) => startsFrom?.pass === pass.name);
    if (startsOthers && kind !== "burn-in") {
      carries += tiles * bytes;
    } else {
      // the last one, and those since what is stored; with lanes, where they may meet and at the end
      const passing = Math.min(tiles, 2 + Math.ceil(alignRows / tileRows));
      carries += (passing + meetings + (count > 1 ? 1 : 0)) * bytes;
    }
  }
  const items: MemoryItem[] = [
    { what: "carry on its way to the journal", kind: "host", bytes: 2 * largest },
    {
      what: "journal, removed at the end",
      kind: "disk",
      bytes: carries + entries * LOG_ENTRY_BYTES,
    },
  ];
  if (count > 1) {
    // how lanes ended, how they started, and one in the making
    items.push({ what: "states where lanes meet", kind: "host", bytes: 3 * largest });
  }
  return items;
}

export function tableBytes(shared: readonly SharedBuffer[]): number {
  const staging = tableStagingBytes(shared);
  return shared.reduce((bytes, buffer) => bytes + bufferBytes(buffer.bytes), staging);
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
  const addUpload = (name: string, bytes: number) =>
    add({
      name,
      label: `${name} upload`,
      bytes,
      usage: BufferUsage.MAP_WRITE | BufferUsage.COPY_SRC,
      place: "uploads",
    });
  const addDownload = (name: string, bytes: number) =>
    add({
      name,
      label: `${name} download`,
      bytes,
      usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST,
      place: "downloads",
    });
  for (const pass of passes) {
    for (const { name, bytes, role } of pass.slotBuffers) {
      const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
      add({ name, label: name, bytes, usage, place: "device" });
      if (role === "upload") addUpload(name, bytes);
      if (role === "download") addDownload(name, bytes);
    }
    if (pass.carry) addDownload(CARRY_STAGING, lanes * pass.carry.bytes);
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

export interface PlanBuffers {
  shared: Record<string, GPUBuffer>;
  workspace: Workspace;
  slots: Slot[];
  tableStaging: GPUBuffer | undefined;
  all: GPUBuffer[];
}

export async function allocate(
  account: Account,
  { shared, passes, lanes }: PlanLayout,
  slotCount: number,
): Promise<PlanBuffers> {
  const transfer = BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
  const tables: BufferRequest[] = shared.map(({ name, bytes, kind }) => ({
    label: name,
    bytes,
    usage: transfer | (kind === "uniform" ? BufferUsage.UNIFORM : BufferUsage.STORAGE),
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
    ...tableStaging,
    ...placed.map(({ request }) => request),
  ]);
  const made = all.values();
  const next = () => made.next().value!;
  const buffers: PlanBuffers = {
    shared: Object.fromEntries(shared.map(({ name }) => [name, next()])),
    tableStaging: tableStaging.map(next)[0],
    workspace: { device: {}, params: {} },
    slots: Array.from({ length: slotCount }, () => ({ uploads: {}, downloads: {} })),
    all,
  };
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

export function largestBuffer({ shared, passes }: PlanLayout): number {
  return Math.max(...shared.map(({ bytes }) => bytes), largestTileBuffer(passes));
}

/** Bytes of the largest buffer that grows with the tile. */
export function largestTileBuffer(passes: readonly Pass[]): number {
  return Math.max(...passes.flatMap(({ slotBuffers }) => slotBuffers.map(({ bytes }) => bytes)));
}
