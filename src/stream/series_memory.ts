/**
 * What a series has in memory: known before anything is touched, looked at as a whole, and reserved part by
 * part.
 *
 * @module
 */

import { BudgetError, LedgerError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { formatBytes, formatTable } from "../math/format.ts";
import type { HostItem } from "./task.ts";

/** Bytes of a series, or of what it is made of. What it stores is not counted. */
export interface SeriesBytes {
  gpu: number;
  host: number;
}

/** What takes memory for a while: a plan, or work on the host. */
export interface Work {
  name: string;
  projected: SeriesBytes;
  /** What is thrown where it does not fit, if it can say more: what would. */
  refusal?(error: BudgetError): Error;
}

/**
 * What a part has in memory: some of it all the while, and beside that one work after another. Works of equal
 * name are one, with the most that any of them takes.
 */
export interface PartMemory {
  held: readonly HostItem[];
  work: readonly Work[];
}

/** A part, or what comes before all. */
export interface Step {
  /** In progress. */
  name: string;
  /** Parts of a kind are one entry of the table, with the most that any of them takes. */
  kind: string;
  /** Against that of other parts; 1 when not given. */
  cost?: number;
  /** Costs nothing and touches nothing. */
  memory(): PartMemory;
}

interface Kind extends PartMemory, SeriesBytes {
  name: string;
  parts: number;
  heldBytes: number;
}

export class SeriesMemory {
  /** Bytes of the parts that take most. */
  readonly projected: SeriesBytes;
  readonly #gpu: Gpu;
  readonly #kinds: ReadonlyMap<string, Kind>;

  constructor(gpu: Gpu, steps: readonly Step[]) {
    this.#gpu = gpu;
    this.#kinds = kindsOf(steps);
    this.projected = largestOf([...this.#kinds.values()]);
  }

  /** What every kind of part holds, and the largest of all. */
  table(): string {
    const size = (bytes: number) => bytes === 0 ? "" : formatBytes(bytes);
    const table = [["", "parts", "GPU", "host"]];
    for (const { name, parts, held, work, gpu, host } of this.#kinds.values()) {
      table.push([name, String(parts), "", ""]);
      for (const { what, bytes } of held) {
        table.push([`  ${what}, all the while`, "", "", size(bytes)]);
      }
      for (const { name, projected } of work) {
        table.push([`  ${name}`, "", size(projected.gpu), size(projected.host)]);
      }
      table.push(["  at most", "", size(gpu), size(host)]);
    }
    table.push(["the largest", "", size(this.projected.gpu), size(this.projected.host)]);
    return formatTable(table);
  }

  /**
   * Reserves all there will be at a time, and gives it back.
   *
   * @throws {BudgetError} If it does not fit what is free.
   */
  check(): void {
    for (const kind of this.#kinds.values()) {
      const release = this.hold(kind.name);
      try {
        for (const { name } of kind.work) this.hold(kind.name, name)();
      } finally {
        release();
      }
    }
  }

  /**
   * Reserves what parts of a kind hold all the while, or what one work of theirs takes.
   *
   * @returns Gives it back.
   */
  hold(kindName: string, workName?: string): () => void {
    const { held, heldBytes } = this.#kinds.get(kindName)!;
    const work = workName === undefined ? undefined : this.#workOf(kindName, workName);
    const { gpu, host } = work?.projected ?? { gpu: 0, host: heldBytes };
    const name = `${kindName}: ${workName ?? held.map(({ what }) => what).join(", ")}`;
    try {
      const account = this.#gpu.ledger.open(name, { gpu, host, disk: 0 });
      account.take("host", host, name);
      return () => {
        account.giveBack("host", host);
        account.close();
      };
    } catch (error) {
      throw error instanceof BudgetError && work?.refusal?.(error) || error;
    }
  }

  /** @throws {LedgerError} If parts of this kind promised less than a plan of theirs takes. */
  checkPlan(kindName: string, { name, projected }: { name: string; projected: SeriesBytes }): void {
    const promised = this.#workOf(kindName, name).projected;
    for (const place of ["gpu", "host"] as const) {
      if (projected[place] <= promised[place]) continue;
      throw new LedgerError(
        `"${kindName}" promised ${
          promised[place]
        } B of ${place} memory for "${name}", which takes ` +
          `${projected[place]} B`,
      );
    }
  }

  #workOf(kindName: string, name: string): Work {
    const found = this.#kinds.get(kindName)!.work.find((work) => work.name === name);
    if (!found) throw new LedgerError(`"${kindName}" promised nothing for "${name}"`);
    return found;
  }
}

function kindsOf(steps: readonly Step[]): Map<string, Kind> {
  const memories = new Map<string, PartMemory[]>();
  for (const { kind, memory } of steps) {
    memories.set(kind, [...memories.get(kind) ?? [], memory()]);
  }
  const kinds = [...memories].map(([name, parts]): [string, Kind] => {
    const held = largestBy(
      parts.flatMap(({ held }) => held),
      ({ what }) => what,
      (one, other) => one.bytes >= other.bytes ? one : other,
    );
    const work = largestBy(
      parts.flatMap(({ work }) => work),
      ({ name }) => name,
      (one, other) => ({
        ...one.projected.host >= other.projected.host ? one : other,
        projected: largestOf([one.projected, other.projected]),
      }),
    );
    const heldBytes = held.reduce((sum, { bytes }) => sum + bytes, 0);
    const { gpu, host } = largestOf(work.map(({ projected }) => projected));
    const own = { name, parts: parts.length, held, work, heldBytes, gpu, host: heldBytes + host };
    return [name, own];
  });
  return new Map(kinds);
}

/** The largest of each name, in the order they are first named. */
function largestBy<Item>(
  items: readonly Item[],
  nameOf: (item: Item) => string,
  larger: (one: Item, other: Item) => Item,
): Item[] {
  const found = new Map<string, Item>();
  for (const item of items) {
    const known = found.get(nameOf(item));
    found.set(nameOf(item), known ? larger(known, item) : item);
  }
  return [...found.values()];
}

export function largestOf(all: readonly SeriesBytes[]): SeriesBytes {
  const most = (kind: keyof SeriesBytes) => Math.max(0, ...all.map((bytes) => bytes[kind]));
  return { gpu: most("gpu"), host: most("host") };
}
