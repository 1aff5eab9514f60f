import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { moments } from "../../examples/column_moments.ts";
import { npyHeader } from "../support/window_frames.ts";

describe("the worked example", () => {
  it("is in CONTRIBUTING.md as it is, in at most 80 lines", async () => {
    const code = await readFile("examples/column_moments.ts", "utf8");
    expect(await readFile("CONTRIBUTING.md", "utf8")).toContain(`\`\`\`ts\n${code}\`\`\``);
    expect(code.trimEnd().split("\n").length).toBeLessThanOrEqual(80);
  });

  it("is a command", async () => {
    const input = join(tmpdir(), `sluice-moments-${crypto.randomUUID()}.npy`);
    const numbers = new Uint8Array(Float32Array.of(1, 10, 3, 30, 5, 50).buffer);
    await writeFile(input, Uint8Array.of(...npyHeader("<f4", [3, 2]), ...numbers));
    const log = vi.spyOn(console, "log").mockImplementation(() => {});
    try {
      const args = ["--input", input, "--ddof", "0", "--json", "--quiet"];
      await moments({ args, signal: new AbortController().signal });
      expect(JSON.parse(log.mock.calls[0]![0])).toMatchObject({
        rows: 3,
        features: 2,
        mean: [3, 30],
        variance: [8 / 3, 800 / 3].map((value) => expect.closeTo(value, 6)),
      });
    } finally {
      log.mockRestore();
    }
  });
});

describe("the validation of a model of perturbed cells", () => {
  it("trains twice by one seed, and finds no difference", async () => {
    const log = vi.spyOn(console, "log").mockImplementation(() => {});
    try {
      await import("../../examples/cpa_validation.ts");
      const said = log.mock.calls.map(([line]) => String(line));
      expect(said.slice(0, 3).map((line) => line.split(":")[0])).toEqual([
        ...["baseline", "before", "after"],
      ]);
      expect(said[2]).toMatch(/: GPU 0 B now, \d.*iB at most; host .* at most; process /);
      expect(said).toContain("predictions differ by 0.0e+0 of their size at most");
      expect(said.at(-1)).toMatch(/^r2 0\.\d{4} before, 0\.\d{4} after$/);
    } finally {
      log.mockRestore();
    }
  });
});
