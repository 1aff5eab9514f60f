import { expect, it } from "vitest";
import type { CellMatrix } from "../../src/array/anndata/matrix.ts";
import type { CellTable } from "../../src/cpa/cell_table.ts";
import { CpaModel } from "../../src/cpa/model.ts";
import type { ModelShape } from "../../src/cpa/model_shape.ts";
import type { CpaPrediction } from "../../src/cpa/prediction.ts";
import { TrainedCpa } from "../../src/cpa/trained.ts";
import { digestOf } from "../../src/math/digest.ts";
import { unmeasured } from "../../src/stream/task.ts";
import { useGpu } from "../support/gpu.ts";
import { paceStates } from "../support/kept_states.ts";
import { seeded } from "../support/random.ts";

const gpu = useGpu();

// three chunks of 4 MiB
const [CELLS, GENES] = [1300, 2100];

const stack = { widths: [4], batchNorm: false, layerNorm: false, dropout: 0 };
const shape: ModelShape = {
  ...{ genes: GENES, latent: 2, head: "nb", doser: "linear", encoder: stack, decoder: stack },
  ...{ perturbations: 3, combinations: 2, covariates: [], adversary: { ...stack, widths: [] } },
};
const perturbations = ["", "ctrl", "A"];

function untrained(): TrainedCpa {
  const random = seeded(3);
  const model = new CpaModel(shape, { cells: 1, slots: 1, form: "wide", seed: 0 });
  const valuesOf = ({ parameters }: CpaModel["body"]) => {
    const count = parameters.reduce((sum, { shape: [a, b = 1] }) => sum + a! * b, 0);
    return Float32Array.from({ length: count }, () => random() - 0.5);
  };
  const facts = { shape, slots: 1, perturbations, covariates: [], epochsRun: 0, bestEpoch: 0 };
  const history = { training_loss: new Float64Array(), adversary_loss: new Float64Array() };
  const parameters = { body: valuesOf(model.body), head: valuesOf(model.head) };
  return new TrainedCpa(facts, parameters, history as TrainedCpa["history"], unmeasured());
}

/** Cells of one count each. */
function cells(onRead: () => void = () => {}): { matrix: CellMatrix; table: CellTable } {
  const conditions = [1, 2].map((id, i) => ({ perturbations: [id], doses: [1], combination: i }));
  return {
    table: {
      ...{ cells: CELLS, genes: GENES, separator: "+", perturbations, conditions },
      ...{ combinations: [[1], [2]], covariates: [], notes: [] },
      conditionIds: Uint32Array.from({ length: CELLS }, (_, cell) => cell % 2),
      splits: new Uint8Array(CELLS),
    },
    matrix: {
      ...{ path: "made", shape: [CELLS, GENES], layout: "csr", chunkRows: 256 },
      rows: (start, end) => {
        onRead();
        const own = Uint32Array.from({ length: end - start }, (_, i) => start + i);
        return Promise.resolve({
          ...{ start, end, wholeBelow: Infinity },
          starts: Uint32Array.from({ length: end - start + 1 }, (_, i) => i),
          genes: own.map((cell) => 7 * cell % GENES),
          values: Float64Array.from(own, (cell) => 1 + cell % 5),
        });
      },
    },
  };
}

it("a prediction that was killed goes on with the chunks that are stored, to the same bits", async () => {
  const model = untrained();
  const plan = (out: string, own = cells()) =>
    model.reconstruct(gpu(), own.matrix, own.table, { out, tileRows: 256, slots: 1 });
  const wanted = await plan("memory:cpa-whole").run();
  // millions of numbers are compared by one
  const digest = async ({ arrays }: CpaPrediction) =>
    await digestOf([await arrays.reconstruction!.read(0, CELLS) as Float32Array]);
  const values = await digest(wanted);
  const restore = paceStates();
  try {
    const cancel = new AbortController();
    // every tile is looked at first
    let left = Math.ceil(CELLS / 256) + 5;
    const dying = cells(() => left-- === 0 && cancel.abort(new Error("killed")));
    const out = "memory:cpa-killed";
    await expect(plan(out, dying).run({ signal: cancel.signal })).rejects.toThrow("killed");
    const got = await plan(out).run();
    expect(got.resumed).toMatchObject({ pass: "predict" });
    expect(got.resumed!.row).toBeGreaterThan(0);
    expect(await digest(got)).toBe(values);
  } finally {
    restore();
  }
});
