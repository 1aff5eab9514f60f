import { describe, expect, it } from "vitest";
import { Baselines } from "../../src/cpa/baselines.ts";
import type { CellTable } from "../../src/cpa/cell_table.ts";
import type { Seen } from "../../src/cpa/profile_metrics.ts";
import { some } from "../support/cell_numbers.ts";

/** Conditions by the names of their perturbations; a dose of 1 each. */
function tableOf(perturbations: readonly string[], conditions: readonly number[][]): CellTable {
  return {
    ...{ cells: 0, genes: 9, separator: "+", notes: [], covariates: [] },
    perturbations,
    conditions: conditions.map((own, combination) => ({
      ...{ perturbations: own, combination },
      doses: own.map(() => 1),
    })),
    combinations: conditions,
    conditionIds: new Uint32Array(),
    splits: new Uint8Array(),
  };
}

describe("Baselines", () => {
  const table = tableOf(["", "ctrl", "g1", "g4", "g6", "g7", "drug"], [
    ...[[1], [2], [3], [4], [2, 3], [5], [2, 5], [2, 6]],
  ]);
  const genes = Array.from({ length: 9 }, (_, gene) => `g${gene}`);
  const columns = some(27, 1);
  const control = some(9, 5);
  const seen: Seen = {
    conditions: [1, 2, 3],
    contexts: [0, 1],
    control: (context) => context === 0 ? control : control.map((value) => value + 1),
    mean: (condition, context) =>
      context === 0 && condition >= 1 && condition <= 3
        ? columns.subarray(9 * (condition - 1), 9 * condition)
        : undefined,
  };
  const baselines = new Baselines(table, seen, genes);
  const of = (condition: number, context = 0) =>
    Object.fromEntries(
      baselines.of(condition, context).map(({ name, profile, missing }) => [
        name,
        profile ? [...profile] : missing,
      ]),
    );
  const [one, two, three] = [0, 1, 2].map((i) => columns.subarray(9 * i, 9 * i + 9));
  const expectNear = (own: unknown, exact: ArrayLike<number>) => {
    expect(own).toHaveLength(exact.length);
    (own as number[]).forEach((value, gene) => expect(value).toBeCloseTo(exact[gene]!, 11));
  };

  it("add changes, and take means", () => {
    const found = of(4);
    expect(found["no-change"]).toEqual([...control]);
    expectNear(
      found["perturbed mean"],
      control.map((_, g) => (one![g]! + two![g]! + three![g]!) / 3),
    );
    expectNear(found["matching mean"], control.map((_, g) => (one![g]! + two![g]!) / 2));
    expectNear(found.additive, control.map((own, g) => one![g]! + two![g]! - own));
  });

  it("stand in for what is unseen, or say what that is", () => {
    const found = of(6);
    const mean = control.map((_, g) => (one![g]! + two![g]! + three![g]!) / 3);
    expectNear(found["matching mean"], mean.map((own, g) => (own + one![g]!) / 2));
    expect(found.additive).toBe("g7 (1) unseen");
    expect(of(7).additive).toBe("drug (1) unseen");
    expect(found["additive over contexts"]).toBe("unseen in other contexts");
  });

  it("carry changes over from other contexts", () => {
    const found = of(2, 1);
    expectNear(found["additive over contexts"], two!.map((own) => own + 1));
    // no condition was seen in this context: the mean of those elsewhere
    expectNear(
      found["perturbed mean"],
      control.map((_, g) => (one![g]! + two![g]! + three![g]!) / 3),
    );
    expect(of(2, 1).additive).toBe("g4 (1) unseen");
  });

  it("have a bilinear form of genes and perturbed genes, as numpy solves it", () => {
    expectNear(of(5)["linear PCA-ridge"], [
      ...[1.320243033167091, 0.8143024401485824, 1.720928249878809, 0.4585479908315956],
      ...[0.6154072672897479, 1.1027935415146084, 0.690179815739469, 0.4470390921976214],
      1.5972252358991426,
    ]);
    expectNear(of(6)["linear PCA-ridge"], [
      ...[1.1575258921725566, 0.8344660408389691, 1.098360031461311, 0.5377845126837141],
      ...[0.563765654947511, 1.241102984528459, 1.0184403141094065, 0.6444214563732036],
      1.670799779551536,
    ]);
    expect(of(7)["linear PCA-ridge"]).toBe("drug no gene of var");
    expect(of(5, 1)["linear PCA-ridge"]).toBe("fewer than 2 perturbed genes in training");
  });

  it("know no perturbed gene by a name that several have", () => {
    const twice = genes.with(0, "g4");
    const linear = (names: readonly string[], condition: number) =>
      new Baselines(table, seen, names).of(condition, 0).at(-1)!.missing;
    expect(linear(twice, 4)).toBe('"g4" is the name of 2 genes of var (0, 4)');
    // of one that is learned from nothing can be told
    expect(linear(twice, 5)).toBe('"g4" is the name of 2 genes of var (0, 4)');
    expect(linear(genes.with(0, "g7"), 5)).toBe('"g7" is the name of 2 genes of var (0, 7)');
    expect(linear(genes.with(0, "g8"), 5)).toBeUndefined();
  });
});
