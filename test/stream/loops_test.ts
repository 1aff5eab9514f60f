import { describe, expect, it } from "vitest";
import type { KernelSpec } from "../../src/gpu/kernel.ts";
import { bufferBytes } from "../../src/gpu/ledger.ts";
import type { SharedBuffer } from "../../src/stream/pass.ts";
import { Plan } from "../../src/stream/plan.ts";
import { useGpu } from "../support/gpu.ts";
import { taskOf } from "../support/task.ts";

const gpu = useGpu();
const ROWS = 23;
const TURN = 4;

/** Appends a digit to what a row has. */
const append: KernelSpec = {
  name: "append",
  code: `
    @group(0) @binding(0) var<uniform> params: vec4u; // first row, rows, digit
    @group(0) @binding(1) var<storage, read_write> rows: array<u32>;
    @compute @workgroup_size(64) fn append(@builtin(local_invocation_index) lane: u32) {
      if (lane < params.y) { rows[params.x + lane] = 10u * rows[params.x + lane] + params.z; }
    }`,
  bindings: { params: "uniform", rows: "read_write" },
};

/** Rows that get digits, turn by turn, each turn so often. */
function digits(
  { tileRows, mostTurns }: { tileRows: number; mostTurns?: number },
  shared: readonly SharedBuffer[] = [],
) {
  const seen: number[] = [];
  const kernel = (digit: (repeat: number) => number) => ({
    kernel: append,
    constants: {},
    params: ({ start, end }: { start: number; end: number }, row: number, repeat = 0) =>
      Uint32Array.of(row, Math.min(TURN, end - start - row), digit(repeat), 0),
    workgroups: () => [1],
  });
  const task = taskOf({
    name: "digits",
    layout: (rows) => ({
      ...{ rows: ROWS, shared },
      passes: [{
        ...{ name: "append", direction: "forward", cost: 1, grain: TURN },
        slotBuffers: [
          { name: "given", bytes: 4 * rows, role: "upload" },
          { name: "rows", bytes: 4 * rows, role: "download" },
        ],
        steps: [
          {
            copy: { from: "given", to: "rows" },
            ranges: ({ start, end }) => [{ fromOffset: 0, toOffset: 0, bytes: 4 * (end - start) }],
          },
          {
            ...{ name: "append", order: "ascending", turnRows: TURN, repeats: 3 },
            ...mostTurns !== undefined && { mostTurns },
            loop: [kernel((repeat) => repeat + 1), kernel(() => 9)],
          },
        ],
        read: ({ start, end }) =>
          Promise.resolve({
            given: Uint32Array.from({ length: end - start }, (_, i) => 100 + start + i),
          }),
        write: ({ start, end }, { rows: own }) => {
          seen.push(...new Uint32Array(own!, 0, end - start));
        },
      }],
    }),
    result: () => seen,
  });
  return new Plan(gpu(), task, { tileRows, slots: 1 });
}

describe("a loop", () => {
  for (const [tileRows, mostTurns] of [[24, undefined], [8, 1], [24, 2], [4, 64]] as const) {
    it(`takes every turn several times before the next, in tiles of ${tileRows} rows and submits of ${mostTurns ?? "any"} turns`, async () => {
      const plan = digits({ tileRows, ...mostTurns !== undefined && { mostTurns } });
      const wanted = Array.from({ length: ROWS }, (_, row) => Number(`${100 + row}192939`));
      expect(await plan.run()).toEqual(wanted);
    });
  }
});

describe("a buffer within another", () => {
  it("takes no memory of its own, as is promised and as is made", async () => {
    const storage = { kind: "storage", scratch: true } as const;
    const large = { ...storage, name: "large", bytes: 4096 };
    const small = { ...storage, name: "small", bytes: 1000 };
    const alone = digits({ tileRows: 8 }, [large]);
    const apart = digits({ tileRows: 8 }, [large, small]);
    const within = digits({ tileRows: 8 }, [large, { ...small, within: "large" }]);
    expect(within.projected).toEqual(alone.projected);
    expect(apart.projected.gpu - within.projected.gpu).toBe(bufferBytes(1000));
    await within.run();
  });
});
