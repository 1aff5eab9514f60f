/** Plans made up by fast-check: they can be planned, run, and their results are known. */

import fc from "fast-check";
import type { Gpu } from "../../src/gpu/device.ts";
import type { KernelSpec } from "../../src/gpu/kernel.ts";
import type { Pass, SharedBuffer, SlotBuffer, Tile } from "../../src/stream/pass.ts";
import type { PlanChoices } from "../../src/stream/choices.ts";
import { Plan } from "../../src/stream/plan.ts";
import type { Measured, TaskLayout } from "../../src/stream/task.ts";
import { taskOf } from "../support/task.ts";

/** Bytes of a buffer for a tile: so many words a row, and some odd ones at the end. */
interface Stride {
  words: number;
  extra: number;
}

interface PassSpec {
  forward: boolean;
  /** Whether its slot buffers have names of their own. */
  own: boolean;
  value: Stride;
  total: Stride;
  scratch: Stride | undefined;
  /** Words of its carry, and of the buffer the carry is in. */
  carry: { words: number; extraWords: number; first: number } | undefined;
  /** Host bytes that go beside a row of a tile, and that reading and writing a tile of so many rows takes. */
  beside: number;
  work: { read: number; write: number };
  /** Whether it starts from the carry of the last pass before it that can give one. */
  starts: boolean;
}

export interface PlanSpec {
  rows: number;
  alignRows: number;
  passes: PassSpec[];
  tables: { bytes: number; uniform: boolean; content: "data" | "zero" | "scratch" }[];
  /** Bytes that are there all the while. */
  hostTables: number[];
  /** Numbers that go from tile to tile. */
  held: number;
  choices: PlanChoices;
}

const stride = fc.record({
  words: fc.integer({ min: 1, max: 20 }),
  extra: fc.integer({ min: 0, max: 9 }),
});
const sometimes = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });

const passSpec: fc.Arbitrary<PassSpec> = fc.record({
  forward: fc.boolean(),
  own: fc.boolean(),
  value: stride,
  total: stride,
  scratch: sometimes(stride),
  carry: sometimes(fc.record({
    words: fc.integer({ min: 1, max: 60 }),
    extraWords: fc.nat(8),
    first: fc.nat(1000),
  })),
  beside: fc.nat(20),
  work: fc.record({ read: fc.nat(300), write: fc.nat(300) }),
  starts: fc.boolean(),
});

export const planSpec = (rows: fc.Arbitrary<number>): fc.Arbitrary<PlanSpec> =>
  fc.record({
    rows,
    alignRows: fc.constantFrom(1, 1, 7, 16, 500),
    passes: fc.array(passSpec, { minLength: 1, maxLength: 3 }),
    tables: fc.array(
      fc.record({
        bytes: fc.integer({ min: 1, max: 3000 }),
        uniform: fc.boolean(),
        content: fc.constantFrom("data", "zero", "scratch"),
      }),
      { maxLength: 3 },
    ),
    hostTables: fc.array(fc.nat(5000), { maxLength: 3 }),
    held: fc.nat(100),
    choices: fc.record({
      tileRows: rows.map((some) => some + some % 3),
      slots: fc.integer({ min: 1, max: 4 }),
    }, { requiredKeys: [] }),
  });

const bytesOf = ({ words, extra }: Stride, rows: number) => 4 * words * rows + extra;
const valueOf = (pass: number, row: number) => (pass + 1) * 1000 + 7 * row;

// benches use these plans too, where Vitest cannot be loaded
function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}

/** Kernels by name: a plan's layout is asked for many times. */
const kernels = new Map<string, KernelSpec>();

/**
 * Either total = value, or total = the sum of values so far, plus the carry it starts from.
 * Parameters: from, to, words a row of `value` and of `total`.
 */
function kernelOf({ carry, forward }: PassSpec, starts: boolean): KernelSpec {
  const name = `budget_${carry ? "sum" : "copy"}_${forward ? "up" : "down"}${
    starts ? "_from" : ""
  }`;
  const known = kernels.get(name);
  if (known) return known;
  const bindings: KernelSpec["bindings"] = { params: "uniform", value: "read" };
  if (starts) bindings.start = "read";
  if (carry) bindings.carry = "read_write";
  bindings.total = "read_write";
  const declared = Object.entries(bindings).map(([binding, kind], i) =>
    `@group(0) @binding(${i}) var<${
      kind === "uniform" ? "uniform" : `storage, ${kind}`
    }> ${binding}: ${kind === "uniform" ? "vec4u" : "array<u32>"};`
  );
  const code = `
    ${declared.join("\n    ")}
    @compute @workgroup_size(1)
    fn ${name}() {
      for (var i = 0u; i < params.y - params.x; i++) {
        let row = ${forward ? "params.x + i" : "params.y - 1 - i"};
        var sum = value[row * params.z];
        ${carry ? "sum += carry[0]; carry[0] = sum;" : ""}
        ${starts ? "sum += start[0];" : ""}
        total[row * params.w] = sum;
      }
    }`;
  const kernel = { name, code, bindings };
  kernels.set(name, kernel);
  return kernel;
}

/** Index of the pass that pass `index` starts from, if it starts from one. */
function sourceOf({ passes }: PlanSpec, index: number): number | undefined {
  if (!passes[index]!.starts) return undefined;
  const source = passes.slice(0, index).findLastIndex(({ forward, carry }) => forward && carry);
  return source < 0 ? undefined : source;
}

/** Sum of a pass's values over rows, with the carry it began with. */
function sumOf({ passes }: PlanSpec, pass: number, from: number, to: number): number {
  let sum = passes[pass]!.carry?.first ?? 0;
  for (let row = from; row < to; row++) sum += valueOf(pass, row);
  return sum;
}

function expected(spec: PlanSpec, pass: number, tile: Tile, row: number): number {
  const { carry, forward } = spec.passes[pass]!;
  const source = sourceOf(spec, pass);
  const own = !carry
    ? valueOf(pass, row)
    : forward
    ? sumOf(spec, pass, 0, row + 1)
    : sumOf(spec, pass, row, spec.rows);
  return own + (source === undefined ? 0 : sumOf(spec, source, 0, tile.start));
}

function layoutOf(
  spec: PlanSpec,
  tileRows: number,
  seen: (pass: number, row: number) => void,
  until?: Promise<void>,
) {
  const shared: SharedBuffer[] = spec.tables.map(({ bytes, uniform, content }, i) => ({
    name: `table ${i}`,
    bytes,
    kind: uniform ? "uniform" : "storage",
    ...(content === "data" && { data: new Uint8Array(bytes) }),
    ...(content === "scratch" && { scratch: true }),
  }));
  const passes = spec.passes.map((pass, index): Pass => {
    const { forward, own, value, total, scratch, carry, beside, work } = pass;
    const source = sourceOf(spec, index);
    const named = (name: string) => own ? `${name} ${index}` : name;
    const slotBuffers: SlotBuffer[] = [
      { name: named("value"), bytes: bytesOf(value, tileRows), role: "upload" },
      { name: named("total"), bytes: bytesOf(total, tileRows), role: "download" },
    ];
    if (scratch) {
      slotBuffers.push({
        name: named("scratch"),
        bytes: bytesOf(scratch, tileRows),
        role: "scratch",
      });
    }
    const buffers: Record<string, string> = { value: named("value"), total: named("total") };
    if (carry) {
      const { words, extraWords, first } = carry;
      buffers.carry = `carry ${index}`;
      shared.push({
        name: buffers.carry,
        bytes: 4 * (words + extraWords),
        kind: "storage",
        data: Uint32Array.of(first, ...new Array(words - 1).fill(0)),
      });
    }
    if (source !== undefined) {
      buffers.start = `start ${index}`;
      slotBuffers.push({
        name: buffers.start,
        bytes: 4 * spec.passes[source]!.carry!.words,
        role: "upload",
      });
    }
    return {
      name: `pass ${index}`,
      direction: forward ? "forward" : "backward",
      cost: 1,
      slotBuffers,
      steps: [{
        kernel: kernelOf(pass, source !== undefined),
        constants: {},
        buffers,
        order: forward ? "ascending" : "descending",
        params: (_tile, from, to) => Uint32Array.of(from, to, value.words, total.words),
        workgroups: () => [1],
      }],
      ...(carry && { carry: { buffer: buffers.carry!, bytes: 4 * carry.words } }),
      ...(source !== undefined && {
        startsFrom: { pass: `pass ${source}`, upload: buffers.start! },
      }),
      hostBytes: { read: work.read * tileRows, write: work.write * tileRows },
      besideBytes: beside * tileRows,
      async read({ start, end }) {
        await until;
        const values = new Uint32Array(value.words * (end - start));
        for (let row = start; row < end; row++) {
          values[(row - start) * value.words] = valueOf(index, row);
        }
        return { [named("value")]: values, beside: new Uint8Array(beside * (end - start)) };
      },
      write(tile, downloads) {
        const bytes = downloads[named("total")]!;
        const totals = new Uint32Array(bytes, 0, Math.floor(bytes.byteLength / 4));
        for (let row = tile.start; row < tile.end; row++) {
          const got = totals[(row - tile.start) * total.words];
          const wanted = expected(spec, index, tile, row);
          check(got === wanted, `row ${row} of pass ${index} is ${got}, wanted ${wanted}`);
          seen(index, row);
        }
      },
    };
  });
  const tables = spec.hostTables.map((bytes, i) => ({
    what: `item ${i}`,
    bytes,
  }));
  const layout: TaskLayout = { rows: spec.rows, shared, passes, tables, alignRows: spec.alignRows };
  return layout;
}

interface RandomPlanOptions {
  /** In place of those the plan was made up with. */
  choices?: PlanChoices;
  /** Nothing is read before. */
  until?: Promise<void>;
}

/**
 * A plan that compares each row with what is expected, and results in what was measured once every row of
 * every pass was seen once.
 */
export function randomPlan(
  gpu: Gpu,
  spec: PlanSpec,
  { choices = spec.choices, until }: RandomPlanOptions = {},
): Plan<Measured> {
  const seen = spec.passes.map(() => new Set<number>());
  const task = taskOf({
    name: "random",
    held: { kept: { dtype: "float32", length: spec.held } },
    layout: (tileRows) =>
      layoutOf(spec, tileRows, (pass, row) => {
        check(!seen[pass]!.has(row), `row ${row} of pass ${pass} came twice`);
        seen[pass]!.add(row);
      }, until),
    result: (_stored, measured) => {
      for (const { size } of seen) check(size === spec.rows, `${size} rows came of ${spec.rows}`);
      return measured;
    },
  });
  return new Plan(gpu, task, choices);
}
