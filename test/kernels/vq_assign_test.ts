import { describe, expect, it } from "vitest";
import * as assign from "../../src/kernels/vq_assign.ts";
import * as pick from "../../src/kernels/vq_pick.ts";
import { toPanels, toTwoParts } from "../../src/math/panels.ts";
import { vqAssign } from "../reference/vq_assign.ts";
import { vqPick } from "../reference/vq_pick.ts";
import { useGpu } from "../support/gpu.ts";
import { seeded } from "../support/random.ts";
import { runKernel } from "../support/run_kernel.ts";

const gpu = useGpu();

function problem(rows: number, codes: number, features: number, books = 1) {
  const random = seeded(1 + rows + codes * features);
  const some = (count: number) =>
    Float32Array.from({ length: count * features }, () => 2 * random() - 1);
  return {
    points: some(rows),
    books: Array.from({ length: books }, () => some(codes)),
  };
}

async function assigned(
  points: Float32Array,
  books: Float32Array[],
  features: number,
  [first, end]: [number, number] = [0, points.length / features],
) {
  const rows = points.length / features;
  const codes = books[0]!.length / features;
  const { codebooks, norms } = assign.packCodebooks(books, features);
  const constants = assign.vqAssignConstants(features, codes);
  const inputs = {
    params: assign.vqAssignParams(rows, first, end, 0),
    points: toPanels(points, features),
    codebooks,
  };
  const { candidates } = (await runKernel(gpu(), {
    spec: assign.vqAssign,
    constants,
    buffers: {
      ...inputs,
      code_norms: norms,
      candidates: assign.candidateBytes(rows, codes, books.length),
    },
    workgroups: assign.vqAssignWorkgroups(end - first, codes, books.length),
    outputs: ["candidates"],
  })).outputs;
  const { outputs } = await runKernel(gpu(), {
    spec: pick.vqPick,
    constants: pick.vqPickConstants(features, codes),
    buffers: {
      ...inputs,
      candidates: candidates!,
      ids: 4 * rows * books.length,
      nearness: 8 * rows * books.length,
    },
    workgroups: pick.vqPickWorkgroups(end - first, books.length),
    outputs: ["ids", "nearness"],
  });
  return { ids: new Uint32Array(outputs.ids!.buffer), nearness: outputs.nearness! };
}

describe("vq_assign and vq_pick", () => {
  for (
    const [rows, codes, features] of [
      [1, 1, 1],
      [63, 8, 5],
      [64, 9, 16],
      [130, 65, 33],
    ] as const
  ) {
    it(`finds the nearest of ${codes} codes of ${features} features for ${rows} rows`, async () => {
      const { points, books } = problem(rows, codes, features);
      const { ids, nearness } = await assigned(points, books, features);
      const twin = vqAssign(points, books[0]!, features);
      for (let row = 0; row < rows; row++) {
        // scores are sums of some ten numbers below 1 in f32
        if (twin.margins[row]! > 1e-5) expect(ids[row]).toBe(twin.ids[row]);
        const distance = twin.distances[row]!;
        expect(Math.abs(nearness[2 * row]! - distance)).toBeLessThan(1e-5);
        if (codes > 1) {
          expect(Math.abs(nearness[2 * row + 1]! - twin.margins[row]!)).toBeLessThan(2e-5);
        }
      }
    });
  }

  it("takes the lowest of equal codes, wherever they lie", async () => {
    const features = 3;
    const codes = 200;
    const { points } = problem(70, 1, features);
    const codebook = new Float32Array(codes * features).fill(9);
    for (const code of [199, 130, 77, 13]) {
      codebook.fill(0.25, code * features, (code + 1) * features);
    }
    const { ids, nearness } = await assigned(points, [codebook], features);
    expect([...ids]).toEqual(Array(70).fill(13));
    for (let row = 0; row < 70; row++) expect(nearness[2 * row + 1]).toBe(0);
  });

  it("measures by both parts of rows and codes that f32 does not tell apart", async () => {
    const [rows, codes, features] = [70, 9, 5];
    const random = seeded(3);
    // some billionths of what f32 tells apart there
    const near = (count: number) =>
      Float64Array.from(
        { length: count * features },
        (_, i) => 10 + i % features + 1e-9 * random(),
      );
    const [points, book] = [near(rows), near(codes)];
    const { codebooks, norms } = assign.packCodebooks([book], features);
    const candidates = new Float32Array(4 * assign.codeSplits(codes) * rows);
    const wanted = Array.from({ length: rows }, (_, row) => row % codes);
    for (let split = 0; split < assign.codeSplits(codes); split++) {
      wanted.forEach((code, row) => candidates.set([split, 9, code, 0], 4 * (split * rows + row)));
    }
    const { outputs } = await runKernel(gpu(), {
      spec: pick.vqPick,
      constants: pick.vqPickConstants(features, codes, 2),
      buffers: {
        params: assign.vqAssignParams(rows, 0, rows, 0),
        points: toTwoParts(points, features),
        codebooks,
        candidates,
        ids: 4 * rows,
        nearness: 8 * rows,
      },
      workgroups: pick.vqPickWorkgroups(rows, 1),
      outputs: ["ids", "nearness"],
    });
    expect(norms.length).toBe(assign.paddedCodes(codes));
    const twin = vqPick(candidates, points, book, features);
    expect([...new Uint32Array(outputs.ids!.buffer)]).toEqual(wanted);
    expect([...twin.ids]).toEqual(wanted);
    for (const [row, distance] of twin.distances.entries()) {
      // what is left over is f32 again: 2^-24 of some 1e-6, beside differences of 1e-9
      expect(Math.abs(outputs.nearness![2 * row]! / distance - 1)).toBeLessThan(2e-3);
    }
  });

  it("hands out codes and nothing else, whatever scores are", async () => {
    const [rows, codes, features] = [3, 5, 2];
    const { points, books } = problem(rows, codes, features);
    const { codebooks } = assign.packCodebooks(books, features);
    const { outputs } = await runKernel(gpu(), {
      spec: pick.vqPick,
      constants: pick.vqPickConstants(features, codes),
      buffers: {
        params: assign.vqAssignParams(rows, 0, rows, 0),
        points: toPanels(points, features),
        codebooks,
        candidates: Float32Array.of(3e38, 3e38, 5, 0, 1, 2, 7, 0, 1, 2, 3, 0),
        ids: 4 * rows,
        nearness: 8 * rows,
      },
      workgroups: pick.vqPickWorkgroups(rows, 1),
      outputs: ["ids"],
    });
    expect([...new Uint32Array(outputs.ids!.buffer)]).toEqual([4, 4, 3]);
  });

  it("looks at several codebooks side by side", async () => {
    const [rows, codes, features] = [64, 9, 16];
    const { points, books } = problem(rows, codes, features, 3);
    const { ids } = await assigned(points, books, features);
    for (const [book, codebook] of books.entries()) {
      const alone = await assigned(points, [codebook], features);
      expect(ids.subarray(book * rows, (book + 1) * rows)).toEqual(alone.ids);
    }
  });

  it("writes the rows it is asked for and no others", async () => {
    const [rows, codes, features] = [130, 65, 33];
    const { points, books } = problem(rows, codes, features);
    const whole = await assigned(points, books, features);
    const part = await assigned(points, books, features, [70, 101]);
    expect(part.nearness.subarray(140, 202)).toEqual(whole.nearness.subarray(140, 202));
    expect(part.nearness.subarray(0, 140).every((value) => value === 0)).toBe(true);
    expect(part.nearness.subarray(202).every((value) => value === 0)).toBe(true);
  });
});
