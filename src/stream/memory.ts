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
import type { Pass, SharedBuffer, SlotBuffer } from "./pass.ts";
import { namedSteps } from "./pass.ts";
import type { MemoryItem, PlanLayout } from "./plan.ts";
import type { Slot } from "./schedule.ts";
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
    gpu: tableBytes(layout.shared) + slots * slotBytes(layout.passes, layout.lanes?.count ?? 1),
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

export function slotBytes(passes: readonly Pass[], lanes: number): number {
  return slotRequests(passes, lanes).reduce(
    (bytes, request) => bytes + bufferBytes(request.bytes),
    0,
  );
}

interface SlotRequest extends BufferRequest {
  name: string;
  place: keyof Slot;
}

/** The buffers of one slot: passes run one after the other, so equal names share a buffer. */
function slotRequests(passes: readonly Pass[], lanes: number): SlotRequest[] {
  const requests = new Map<string, SlotRequest>();
  const add = (request: SlotRequest) => {
    const key = `${request.place} ${request.name}`;
    const before = requests.get(key);
    requests.set(key, {
      ...request,
      bytes: Math.max(request.bytes, before?.bytes ?? 0),
      usage: request.usage | (before?.usage ?? 0),
    });
  };
  const addBuffer = ({ name, bytes, role }: SlotBuffer) => {
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
    add({ name, label: name, bytes, usage, place: "device" });
    if (role === "scratch") return;
    add({
      name,
      label: `${name} staging`,
      bytes,
      usage: role === "upload"
        ? BufferUsage.MAP_WRITE | BufferUsage.COPY_SRC
        : BufferUsage.MAP_READ | BufferUsage.COPY_DST,
      place: "staging",
    });
  };
  for (const pass of passes) {
    for (const buffer of pass.slotBuffers) addBuffer(buffer);
    if (pass.carry) {
      add({
        name: CARRY_STAGING,
        label: "carry staging",
        bytes: lanes * pass.carry.bytes,
        usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST,
        place: "staging",
      });
    }
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
  const requests: BufferRequest[] = shared.map(({ name, bytes, kind }) => ({
    label: name,
    bytes,
    usage: transfer | (kind === "uniform" ? BufferUsage.UNIFORM : BufferUsage.STORAGE),
  }));
  const stagingBytes = tableStagingBytes(shared);
  if (stagingBytes > 0) {
    requests.push({
      label: "table staging",
      bytes: stagingBytes,
      usage: BufferUsage.MAP_WRITE | BufferUsage.COPY_SRC,
    });
  }
  const perSlot = slotRequests(passes, lanes?.count ?? 1);
  for (let i = 0; i < slotCount; i++) requests.push(...perSlot);
  const all = await account.createBuffers(requests);
  const remaining = [...all];
  const buffers: PlanBuffers = { shared: {}, slots: [], tableStaging: undefined, all };
  for (const { name } of shared) buffers.shared[name] = remaining.shift()!;
  if (stagingBytes > 0) buffers.tableStaging = remaining.shift()!;
  for (let i = 0; i < slotCount; i++) {
    const slot: Slot = { device: {}, staging: {}, params: {} };
    for (const { name, place } of perSlot) slot[place][name] = remaining.shift()!;
    buffers.slots.push(slot);
  }
  return buffers;
}

/** Brings tables to the device through one bounded staging buffer. */
export async function fillTables(
  gpu: Gpu,
  shared: readonly SharedBuffer[],
  { shared: targets, tableStaging }: PlanBuffers,
): Promise<void> {
  for (const { name, data: given } of shared) {
    if (!given) continue;
    const data = typeof given === "function" ? given() : given;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    for (let offset = 0; offset < bytes.length; offset += tableStaging!.size) {
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
  return Math.max(
    ...shared.map(({ bytes }) => bytes),
    ...passes.flatMap((pass) => pass.slotBuffers.map(({ bytes }) => bytes)),
  );
}
