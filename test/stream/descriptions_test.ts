import { describe, expect, it } from "vitest";
import { openStore } from "../../src/store/open_store.ts";
import { described } from "../../src/stream/descriptions.ts";
import { fullAttributes, plainAttributes } from "../../src/zarr/attributes.ts";
import { knownArrays } from "../../src/zarr/group_writer.ts";
import { readGroupAttributes } from "../../src/zarr/metadata.ts";
import { readZarrLayout } from "../../src/zarr/zarr_array.ts";
import { makeResult, RESULTS } from "../support/every_result.ts";
import { useGpu } from "../support/gpu.ts";

const gpu = useGpu();

describe("variables of stored results", () => {
  for (const name of Object.keys(RESULTS)) {
    it(`all have a name for people and a unit: ${name}`, async () => {
      const place = await makeResult(gpu(), name, `memory:described ${name}`);
      const store = await openStore(place);
      for (const array of await knownArrays(store)) {
        const { attributes, isText } = await readZarrLayout(store, `/${array}`);
        expect([array, attributes.long_name]).toEqual([array, expect.stringMatching(/^\w.{2,}/)]);
        expect([array, attributes.units]).toEqual([
          array,
          isText ? undefined : expect.stringMatching(/\w/),
        ]);
      }
      // what every reader takes, and all of it when it is read here
      const root = JSON.parse(new TextDecoder().decode((await store.get("/zarr.json"))!));
      for (const value of Object.values(root.attributes)) {
        for (const own of [value].flat()) expect(["number", "string"]).toContain(typeof own);
      }
      const { attributes } = (await readGroupAttributes(store))!;
      expect(attributes.complete).toBe(true);
      expect(Object.keys(attributes)).not.toContain("json_attributes");
      await store.close();
    });
  }

  it("are called by what they are, dimension and condition", () => {
    const words = (kind: string, name: string) => {
      const spec = { name, shape: [1], chunkShape: [1], dtype: "float32", dims: ["row"] } as const;
      const { long_name: longName, units } = described(kind, spec).attributes!;
      return [longName, units];
    };
    expect(words("decode", "acausal_posterior"))
      .toEqual(["probability of a state bin, given all spikes", "1"]);
    expect(words("decode", "causal_variance_x_position")).toEqual([
      "variance of x position, given the spikes up to their row",
      "square of units of position",
    ]);
    expect(words("decode", "full_y_position"))
      .toEqual(["y position of a bin on the full axis", "units of position"]);
    expect(words("decode", "position")).toEqual(["position of a state bin", "units of position"]);
    expect(words("path", "time_bin_end")).toEqual(["time at which a row ends", "s"]);
    expect(words("pca", "mean")).toEqual(["mean of a feature", "units of the rows"]);
    expect(words("probe.logistic", "bias")).toEqual(["logit of the mean row", "nat"]);
    expect(words("probe.trained", "fc1.weight")).toEqual(["fc1 weight", "1"]);
  });

  it("keep what they say of themselves", () => {
    const own = {
      name: "time",
      shape: [1],
      chunkShape: [1],
      dtype: "float64",
      dims: ["time"],
    } as const;
    const spec = { ...own, attributes: { units: "ms", more: 1 } };
    expect(described("decode", spec).attributes).toEqual({
      ...{ long_name: "time of the middle of a row", units: "ms", more: 1 },
    });
  });
});

describe("attributes of groups", () => {
  it("are numbers and texts where they are stored, and as they were where they are read", () => {
    const given = {
      ...{ number: 1.5, text: "a", numbers: [1, 2], texts: ["a", "b"], flag: true, other: false },
      ...{
        nothing: null,
        nested: { a: [1, { b: null }] },
        mixed: [1, "a"],
        empty: [],
        deep: [[1]],
      },
    };
    const stored = plainAttributes(given);
    expect(stored).toEqual({
      ...{ number: 1.5, text: "a", numbers: [1, 2], texts: ["a", "b"], flag: 1, other: 0 },
      ...{ nothing: "null", nested: '{"a":[1,{"b":null}]}', mixed: '[1,"a"]', empty: "[]" },
      deep: "[[1]]",
      json_attributes: "nothing nested mixed empty deep",
      flag_attributes: "flag other",
    });
    expect(fullAttributes(JSON.parse(JSON.stringify(stored)))).toEqual(given);
  });

  it("of others, and of earlier versions, are as they are", () => {
    const old = { complete: true, parameters: { k: 2 }, reasons: [null], text: '{"a":1}' };
    expect(fullAttributes(old)).toEqual(old);
  });
});
