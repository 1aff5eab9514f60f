import { describe, expect, it } from "vitest";
import { fromTypedArray } from "../../src/array/array.ts";
import { withReferenceNames } from "../../src/io/reference_names.ts";
import type { ZarrVariable } from "../../src/zarr/group.ts";

const variable = (name: string, dims: string[], shape: number[]): ZarrVariable => ({
  ...{ name, dims, shape, attributes: {}, fillValue: undefined },
  array: fromTypedArray(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i),
    shape,
  ),
  readText: () => Promise.resolve([]),
});

/** What a decode of 3 rows has, its bins expanded. */
function decode(states: number) {
  const bins = 2 * states;
  return {
    variables: [
      variable("acausal_posterior", ["time", "state_bins"], [3, bins]),
      variable("acausal_state_probabilities", ["time", "states"], [3, states]),
      variable("acausal_entropy", ["time"], [3]),
      variable("predictive_state_probabilities", ["time", "states"], [3, states]),
      ...["time", "time_bin_start", "time_bin_end"].map((name) => variable(name, ["time"], [3])),
      variable("states", ["states"], [states]),
      ...["state", "state_ind", "position", "is_track_interior"].map((name) =>
        variable(name, ["state_bins"], [bins])
      ),
    ],
    attributes: {
      ...{ format: "sluice.decode", plan_hash: "…", rate_units: "Hz" },
      ...{ marginal_log_likelihoods: [-2], time_units: "seconds", time_bin_convention: "edges" },
    },
  };
}

const dimsOf = (variables: readonly ZarrVariable[]) =>
  Object.fromEntries(variables.map(({ name, dims }) => [name, dims.join()]));

describe("names of non_local_detector", () => {
  it("are all that a decode has then: the index of bins is made of state and position alone", async () => {
    const { variables, attributes } = withReferenceNames(decode(2), "memory:a");
    expect(dimsOf(variables)).toEqual({
      acausal_posterior: "time,state_bins",
      acausal_state_probabilities: "time,states",
      predictive_state_probabilities: "time,states",
      ...{ time: "time", time_bin_start: "time", time_bin_end: "time" },
      ...{ time_bin_end_inclusive: "time", is_missing: "time" },
      ...{ states: "states", environments: "states", encoding_groups: "states" },
      ...{ state: "state_bins", position: "state_bins", state_ind: "state_ind" },
    });
    expect(attributes).toEqual({
      ...{ marginal_log_likelihoods: [-2], time_units: "seconds", time_bin_convention: "edges" },
      coordinates: "time_bin_start time_bin_end state position is_missing time_bin_end_inclusive " +
        "environments encoding_groups",
    });
    const read = async (name: string) => {
      const own = variables.find((variable) => variable.name === name)!;
      return [own.array!.dtype, ...await own.array!.read(0, own.shape[0]!)];
    };
    expect(await read("time_bin_end_inclusive")).toEqual(["bool", 0, 0, 1]);
    expect(await read("is_missing")).toEqual(["bool", 0, 0, 0]);
    expect(await read("encoding_groups")).toEqual(["int32", 0, 0]);
    const environments = variables.find(({ name }) => name === "environments")!;
    expect([environments.array, await environments.readText()]).toEqual([undefined, ["", ""]]);
  });

  it("leave no dim to a single state, and keep what is there of missing rows", async () => {
    const { variables, attributes } = decode(1);
    const missing = variable("is_missing", ["time"], [3]);
    const named = withReferenceNames(
      { variables: [...variables, missing], attributes },
      "memory:a",
    );
    expect(dimsOf(named.variables)).toEqual({
      acausal_posterior: "time,state_bins",
      ...{ acausal_state_probabilities: "time", predictive_state_probabilities: "time" },
      ...{ time: "time", time_bin_start: "time", time_bin_end: "time" },
      ...{ time_bin_end_inclusive: "time", is_missing: "time" },
      ...{ state: "state_bins", position: "state_bins", state_ind: "state_ind" },
    });
    expect(named.variables.find(({ name }) => name === "is_missing")).toBe(missing);
    const { array } = named.variables.find(({ name }) => name === "acausal_state_probabilities")!;
    expect(array!.shape).toEqual([3]);
    expect([...await array!.read(1, 3)]).toEqual([1, 2]);
  });

  it("are for decodes alone", () => {
    expect(() =>
      withReferenceNames({ variables: [], attributes: { format: "sluice.kmeans" } }, "a.zarr")
    )
      .toThrow(
        "Cannot export a.zarr under names of non_local_detector: it is no decode, wanted one",
      );
  });
});
