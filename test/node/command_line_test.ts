import { describe, expect, it } from "vitest";
import { CommandLine, gpuChoices, UsageError } from "../../src/cli/usage.ts";
import {
  bytes,
  flag,
  interval,
  list,
  number,
  oneOf,
  place,
  record,
  whole,
} from "../../src/options.ts";

const options = {
  input: place({ required: true, says: "rows" }),
  clusters: whole({ default: 8, from: 1, flag: "k", says: "clusters" }),
  tolerance: number({ default: 1e-4, from: 0, says: "movement" }),
  scores: flag({ default: true, flag: "no-scores", says: "projects rows" }),
  spherical: flag({ default: false, says: "compares directions" }),
  metric: oneOf(["cosine", "euclidean"], { default: "euclidean", says: "distance" }),
  spans: list(interval({ says: "seconds" }), { says: "stretches" }),
  time: record({ rate: number({ above: 0, says: "Hz" }) }, { says: "rows" }),
};
const sections = { Model: options };
const read = (...args: string[]) => new CommandLine(args, sections).read(options);

describe("a command line", () => {
  it("gives what was given, of its kind, and nothing else", () => {
    expect(read("--input", "x.npy")).toEqual({ input: "x.npy" });
    expect(
      read(
        ...["--input=x.npy", "--k", "3", "--tolerance", "1e-3", "--no-scores", "--spherical"],
        ...["--metric", "cosine", "--spans", "0:1.5, 2:4", "--rate", "500"],
      ),
    ).toEqual({
      input: "x.npy",
      clusters: 3,
      tolerance: 1e-3,
      scores: false,
      spherical: true,
      metric: "cosine",
      spans: [[0, 1.5], [2, 4]],
      time: { rate: 500 },
    });
  });

  it("keeps what is known where nothing was given, and puts in its place what was", () => {
    const known = { input: "y.npy", clusters: 5 };
    expect(new CommandLine([], sections).read(options, known)).toEqual(known);
    expect(new CommandLine(["--k", "2"], sections).read(options, known))
      .toEqual({ input: "y.npy", clusters: 2 });
  });

  it("refuses what is missing, not known, too much, or cannot be read", () => {
    const refused = (message: string | RegExp, ...args: string[]) => {
      expect(() => read(...args)).toThrow(message);
    };
    refused("Cannot run: --input is missing", "--k", "3");
    refused(/there is no option "--clusers"/, "--input", "x", "--clusers", "3");
    refused(/there is no option "-q", .*wanted one of .*--k/, "--input", "x", "-q");
    refused(/"more" is one argument too many|more/, "--input", "x", "more");
    refused(/--k is 0, wanted a whole number from 1/, "--input", "x", "--k", "0");
    refused(/--k is 2.5, wanted a whole number from 1/, "--input", "x", "--k", "2.5");
    refused(/--k: got "", wanted/, "--input", "x", "--k", "");
    refused(/--tolerance: got "small"/, "--input", "x", "--tolerance", "small");
    refused(/--spans: got "4:2"/, "--input", "x", "--spans", "0:1,4:2");
    refused(/--rate is 0, wanted a number above 0/, "--input", "x", "--rate", "0");
    expect(() => read("--k", "3")).toThrow(UsageError);
    expect(() => new CommandLine(["a", "b"], sections, { positionals: 1 })).toThrow(/"b"/);
    expect(new CommandLine(["a"], sections, { positionals: 1 }).positionals).toEqual(["a"]);
  });

  it("says what is wrong before anything is read of it", () => {
    expect(() => new CommandLine(["--k", "0"], sections)).toThrow(/--k is 0/);
    expect(() => new CommandLine(["--rate", "fast"], sections)).toThrow(/--rate: got "fast"/);
  });

  it("tells all that is missing at once", () => {
    const line = new CommandLine(["--k", "3"], sections);
    expect(() => line.need(["input", "k", "tolerance", "metric"])).toThrow(
      "Cannot run: --input, --tolerance and --metric are missing",
    );
    line.need(["k"]);
    const both = { input: options.input, output: place({ required: true, says: "result" }) };
    expect(() => new CommandLine([], { both }).read(both)).toThrow(
      "Cannot run: --input and --output are missing",
    );
  });

  it("hints at a unit where a size is a few bytes", () => {
    const own = { Memory: { budget: bytes({ says: "memory" }) } };
    for (const text of ["64", " 512 ", "4096"]) {
      const few = Number(text);
      expect(() => new CommandLine([`--budget=${text}`], own)).toThrow(
        `Cannot run: --budget is ${few}, which is ${few} B, wanted a unit beside it: ${few}MiB may be meant`,
      );
    }
    for (const text of ["64MiB", "64 B", "0", "10000", "67108864"]) {
      expect(new CommandLine([`--budget=${text}`], own).text("budget")).toBe(text);
    }
  });

  it("opens a GPU with the device's budget, and the host's where that is given", () => {
    const sections = {
      Memory: {
        budget: place({ says: "device" }),
        hostBudget: place({ flag: "host-budget", says: "host" }),
      },
    };
    const choices = (...args: string[]) => gpuChoices(new CommandLine(args, sections));
    expect(choices("--budget", "1GiB")).toEqual({ budget: "1GiB" });
    expect(choices("--host-budget", "2GiB")).toEqual({ budget: { host: "2GiB" } });
    expect(choices("--budget", "1GiB", "--host-budget", "2GiB", "--adapter", "software"))
      .toEqual({ adapter: "software", budget: { gpu: "1GiB", host: "2GiB" } });
  });
});
