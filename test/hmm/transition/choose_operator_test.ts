import { describe, expect, it } from "vitest";
import { chooseOperator } from "../../../src/hmm/transition/choose_operator.ts";
import { sparseTransition } from "../../../src/hmm/transition/sparse_transition.ts";
import { contFrag, continuous, stateModel } from "../../../src/hmm/decoder.ts";
import { transitionOperator } from "../../../src/hmm/transition/transition.ts";
import { boxGrid } from "../../support/hmm_problem.ts";

const single = (block: Parameters<typeof stateModel>[0]["transitions"][0][0]) =>
  stateModel({ names: ["one"], initial: [1], discreteTransition: [[1]], transitions: [[block]] });

describe("chooseOperator()", () => {
  it("takes convolutions on a full box, and counts what each operator would take", () => {
    const grid = boxGrid([21, 23]);
    const model = contFrag({ movementVar: 1 });
    const { kind, reason, costs } = chooseOperator(grid, model, { lanes: 16 });
    expect(kind).toBe("convolution");
    expect(Object.fromEntries(costs.map(({ kind, multiplyAdds }) => [kind, multiplyAdds])))
      .toEqual({
        convolution: transitionOperator(grid, model).multiplyAdds,
        sparse: sparseTransition(grid, model).multiplyAdds,
        dense: (21 * 23) ** 2,
      });
    expect(costs.map(({ cost }) => cost)).toEqual(
      costs.map(({ cost }) => cost).sort((a, b) => a - b),
    );
    expect(reason).toMatch(/^convolution: [\d,]+ multiply-adds a row; \w+ takes [\d,]+, /);
  });

  it("counts a matrix that many lanes share as cheaper, and dispatches among them", () => {
    const grid = boxGrid([21, 23]);
    const model = contFrag({ movementVar: 1 });
    const costs = (lanes: number) =>
      Object.fromEntries(
        chooseOperator(grid, model, { lanes }).costs.map((own) => [own.kind, own]),
      );
    const [one, eight, many] = [costs(1), costs(8), costs(64)];
    for (
      const [kind, alone, shared, dispatches] of [
        ["convolution", 1, 1, 0],
        ["sparse", 2.8, 0.8, 20_000],
        ["dense", 1.7, 0.4, 30_000],
      ] as const
    ) {
      const { multiplyAdds } = one[kind]!;
      expect(one[kind]!.cost).toBeCloseTo(alone * multiplyAdds + dispatches, 6);
      expect(eight[kind]!.cost).toBeCloseTo(shared * multiplyAdds + dispatches / 8, 6);
      expect(many[kind]!.cost).toBeCloseTo(shared * multiplyAdds + dispatches / 64, 6);
    }
  });

  it("takes tiles or a matrix where the interior is a small part of the box", () => {
    // every fifth bin: convolutions go over the empty ones too
    const grid = boxGrid([30, 30], (x, y) => x % 5 === 0 && y % 5 === 0);
    expect(chooseOperator(grid, continuous({ movementVar: 4 }), { lanes: 16 }).kind).toBe("dense");
    const long = boxGrid([200, 200], (x, y) => x === y);
    expect(chooseOperator(long, continuous({ movementVar: 2 }), { lanes: 16 }).kind)
      .toBe("sparse");
  });

  it("takes tiles for few entries, a matrix for many, where there is no convolution", () => {
    const track = boxGrid([300]);
    const walled = chooseOperator(track, single({ kind: "graphWalk", movementVar: 1 }));
    expect(walled.kind).toBe("sparse");
    expect(walled.costs.map(({ kind }) => kind)).not.toContain("convolution");
    expect(walled.reason).toContain('no convolution: a block is of kind "graphWalk"');
    const wide = chooseOperator(track, single({ kind: "graphWalk", movementVar: 1e4 }));
    expect(wide.kind).toBe("dense");
  });

  it("counts nothing for blocks that are spread", () => {
    const { kind, costs } = chooseOperator(boxGrid([9]), single({ kind: "uniform" }));
    expect(kind).toBe("convolution");
    expect(costs.map(({ multiplyAdds }) => multiplyAdds)).toEqual([0, 0, 0]);
  });

  it("leaves out tiles that no binding holds", () => {
    const { kind, reason } = chooseOperator(
      boxGrid([300]),
      single({ kind: "graphWalk", movementVar: 1 }),
      { bindingBytes: 1024 },
    );
    expect(kind).toBe("dense");
    expect(reason).toMatch(/no sparse: its tiles take up to [\d.]+ KiB, a binding holds 1.00 KiB/);
  });
});
