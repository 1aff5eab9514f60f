import { describe, expect, it } from "vitest";
import type { OptionsOf } from "../src/options.ts";
import {
  bytes,
  declare,
  flag,
  interval,
  list,
  number,
  numbers,
  oneOf,
  place,
  record,
  signal,
  storedOf,
  text,
  told,
  whole,
} from "../src/options.ts";

const cake = declare("bake a cake", {
  layers: whole({ required: true, from: 1, to: 9, says: "layers" }),
  minutes: number({ default: 40, above: 0, says: "time in the oven" }),
  share: number({ from: 0, below: 1, says: "share of rye" }),
  seed: whole({ or: ["random"], default: "random", from: 0, says: "seed of the crumbs" }),
  guests: whole({ from: 1, to: Infinity, otherwise: "nobody", says: "who eats it" }),
  iced: flag({ default: false, says: "put icing on it" }),
  filling: oneOf(["jam", "cream"], { default: "jam", says: "what is between" }),
  layersOfTins: oneOf([20, 24], { stored: "tin", says: "width of the tin" }),
  out: place({ stored: false, says: "where it goes" }),
  name: text({ says: "what it is called" }),
  room: bytes({ default: "1 GiB", stored: false, says: "room in the oven" }),
  breaks: list(interval({ or: ["lunch"] }), { says: "when nobody looks at it" }),
  toppings: list(oneOf(["nuts", "zest"], {}), { default: [], says: "on top" }, 0),
  weights: numbers({ says: "of the ingredients" }),
  onRise: told<() => void>("told that it rises"),
  oven: record({ heat: number({ default: 180, from: 0 }), fan: flag({}) }, {
    default: {},
    says: "the oven",
  }),
  signal,
});
const bake = (more: object = {}) => cake.check({ layers: 3, ...more });
const refused = (more: object, kind: typeof TypeError | typeof RangeError, message: string) => {
  let error: unknown;
  try {
    bake(more);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(kind);
  expect((error as Error).message).toBe(`Cannot bake a cake: ${message}`);
};

describe("declared options", () => {
  it("come back as they were given, with defaults, and without what is neither", () => {
    expect(bake()).toEqual({
      layers: 3,
      minutes: 40,
      seed: "random",
      iced: false,
      filling: "jam",
      room: "1 GiB",
      toppings: [],
      oven: { heat: 180 },
    });
    const weights = new Float32Array(2);
    const onRise = () => {};
    const given = {
      layers: 9,
      minutes: 0.5,
      share: 0,
      seed: 0,
      guests: Infinity,
      iced: true,
      filling: "cream",
      layersOfTins: 24,
      out: "file:cake",
      name: "Anna",
      room: 12,
      breaks: [[0, 1], "lunch", [-Infinity, Infinity]],
      toppings: ["zest"],
      weights,
      onRise,
      oven: { heat: 0, fan: true },
      signal: new AbortController().signal,
    };
    expect(bake(given)).toEqual(given);
    expect(bake(given).weights).toBe(weights);
    // what is undefined is not given
    expect(bake({ minutes: undefined, out: undefined })).toEqual(bake());
  });

  it("have the types that are declared", () => {
    const given: OptionsOf<typeof cake> = { layers: 1, seed: "random", filling: "cream" };
    const { layers, minutes, share, seed }: {
      layers: number;
      minutes: number;
      share?: number;
      seed: number | "random";
    } = cake.check(given);
    expect([layers, minutes, share, seed]).toEqual([1, 40, undefined, "random"]);
    // @ts-expect-error layers have to be given
    const none: OptionsOf<typeof cake> = {};
    // @ts-expect-error of other words there is none
    const word: OptionsOf<typeof cake> = { layers: 1, seed: "always" };
    expect([none, word]).toHaveLength(2);
  });

  it("are refused by a name that is not known, with the one that may be meant", () => {
    const names = Object.keys(cake.options).join(", ");
    refused(
      { minuets: 5 },
      TypeError,
      `there is no option "minuets", "minutes" may be meant, wanted one of ${names}`,
    );
    refused({ colour: 5 }, TypeError, `there is no option "colour", wanted one of ${names}`);
    refused(
      { oven: { heats: 5 } },
      TypeError,
      'there is no option "oven.heats", "heat" may be meant, wanted one of heat, fan',
    );
    // names that objects have are no options
    refused({ toString: 5 }, TypeError, `there is no option "toString", wanted one of ${names}`);
  });

  it("are refused when they are missing, and when they are no options at all", () => {
    expect(() => cake.check({})).toThrow(
      "Cannot bake a cake: layers is missing, wanted a whole number from 1 to 9",
    );
    for (const given of [null, 5, "cake", [3]]) {
      expect(() => cake.check(given)).toThrow(
        /^Cannot bake a cake: what it is told is .*an object/,
      );
    }
  });

  it.each<[object, string]>([
    [{ layers: "3" }, 'layers is "3", wanted a whole number from 1 to 9'],
    [{ minutes: null }, "minutes is null, wanted a number above 0"],
    [{ seed: "abc" }, 'seed is "abc", wanted "random" or a whole number from 0'],
    [{ iced: "no" }, 'iced is "no", wanted true or false'],
    [{ iced: 1 }, "iced is 1, wanted true or false"],
    [{ filling: 3 }, "filling is 3, wanted one of jam, cream"],
    [{ out: {} }, "out is an object, wanted a place, as text"],
    [{ name: 5 }, "name is 5, wanted a text"],
    [{ room: true }, "room is true, wanted bytes or a number with MiB, GiB, MB or GB"],
    [{ weights: 5 }, "weights is 5, wanted an array of numbers"],
    [{ onRise: "yes" }, 'onRise is "yes", wanted a function'],
    [{ oven: 5 }, "oven is 5, wanted an object"],
    [{ oven: { heat: "hot" } }, 'oven.heat is "hot", wanted a number from 0'],
    [
      { breaks: [[0, "1"]] },
      'breaks[0] is [0, "1"], wanted "lunch" or [start, stop] in seconds with start < stop',
    ],
    [{ signal: 5 }, "signal is 5, wanted an AbortSignal"],
  ])("are refused as another kind: %o", (more, message) => refused(more, TypeError, message));

  it.each<[object, string]>([
    [{ layers: 0 }, "layers is 0, wanted a whole number from 1 to 9"],
    [{ layers: 10 }, "layers is 10, wanted a whole number from 1 to 9"],
    [{ layers: 1.5 }, "layers is 1.5, wanted a whole number from 1 to 9"],
    [{ seed: 2 ** 53 }, 'seed is 9007199254740992, wanted "random" or a whole number from 0'],
    [{ seed: Infinity }, 'seed is Infinity, wanted "random" or a whole number from 0'],
    [{ minutes: 0 }, "minutes is 0, wanted a number above 0"],
    [{ minutes: NaN }, "minutes is NaN, wanted a number above 0"],
    [{ minutes: Infinity }, "minutes is Infinity, wanted a number above 0"],
    [{ share: 1 }, "share is 1, wanted a number from 0 below 1"],
    [{ filling: "crem" }, 'filling is "crem", "cream" may be meant, wanted one of jam, cream'],
    [{ layersOfTins: 22 }, "layersOfTins is 22, wanted one of 20, 24"],
    [{ out: "" }, 'out is "", wanted a place, as text'],
    [{ room: "lots" }, 'room is "lots", wanted bytes or a number with MiB, GiB, MB or GB'],
    [{ room: -1 }, "room is -1, wanted bytes or a number with MiB, GiB, MB or GB"],
    [
      { breaks: [[0, 1], [2, 2]] },
      'breaks[1] is [2, 2], wanted "lunch" or [start, stop] in seconds with start < stop',
    ],
    [
      { toppings: ["nuts", "nut"] },
      'toppings[1] is "nut", "nuts" may be meant, wanted one of nuts, zest',
    ],
    [{ oven: { heat: -1 } }, "oven.heat is -1, wanted a number from 0"],
  ])("are refused out of their range: %o", (more, message) => refused(more, RangeError, message));

  it("go into stores by their names there, where results depend on them", () => {
    const { layers, layersOfTins, out, room } = cake.options;
    const told = { layers: 2, layersOfTins: 20, out: "x", room: 5 };
    expect(storedOf({ layers, layersOfTins, out, room }, told)).toEqual({ layers: 2, tin: 20 });
    expect(storedOf({ maxIterations: whole({}) }, { maxIterations: 7 })).toEqual({
      max_iterations: 7,
    });
  });
});

describe("ends of ranges and lists", () => {
  const { check } = declare("bake", {
    layers: whole({ from: 1, to: 3, says: "layers" }),
    minutes: number({ above: 0, below: 90, says: "minutes" }),
    names: list(text({ says: "a name" }), { says: "names" }, 2),
    span: interval({ says: "seconds" }),
  });

  it("are part of it or not, as they say", () => {
    expect(check({ layers: 1, minutes: 89.9, names: ["a", "b"], span: [1, 2] }))
      .toEqual({ layers: 1, minutes: 89.9, names: ["a", "b"], span: [1, 2] });
    expect(check({ layers: 3 })).toEqual({ layers: 3 });
    for (
      const [given, message] of [
        [{ layers: 0 }, /layers is 0, wanted a whole number from 1 to 3/],
        [{ layers: 4 }, /layers is 4/],
        [{ minutes: 0 }, /minutes is 0, wanted a number above 0 below 90/],
        [{ minutes: 90 }, /minutes is 90/],
        [{ names: ["a"] }, /names is \["a"\], wanted a list of at least 2/],
        [{ names: ["a", ""] }, /names\[1\] is ""/],
        [{ span: [2, 2] }, /span is \[2, 2\], wanted \[start, stop\]/],
      ] as const
    ) {
      expect(() => check(given)).toThrow(message);
      expect(() => check(given)).toThrow(RangeError);
    }
  });
});
