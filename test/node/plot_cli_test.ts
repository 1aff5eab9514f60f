import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { plotCommand } from "../../src/cli/plot.ts";
import { continuous, sortedSpikes } from "../../src/hmm/decoder.ts";
import { runCli, writeRecording } from "../support/cli.ts";
import { useGpu } from "../support/gpu.ts";
import { smallRecording } from "../support/recordings.ts";
import { runtime } from "../support/runtime.ts";
import { parseXml } from "../support/xml.ts";

const gpu = useGpu();
const recording = smallRecording({ seconds: 2 });
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), `sluice-plot-${runtime}-`));
  await writeRecording(folder, recording);
  const decoder = sortedSpikes({ ...recording, states: continuous(), binSize: 3, positionStd: 3 });
  const out = join(folder, "decode.zarr");
  await (await decoder.smooth(gpu(), { time: { step: 0.02 }, out }).run()).close();
});
afterAll(async () => {
  log.mockRestore();
  await rm(folder, { recursive: true, force: true });
});

const plot = (...args: string[]) => runCli(["plot", "decode.zarr", ...args], { cwd: folder });
const { signal } = new AbortController();
const log = vi.spyOn(console, "log").mockImplementation(() => {});
const run = (...args: string[]) =>
  plotCommand({ args: [join(folder, "decode.zarr"), "--quiet", ...args], signal });
const BESIDE = [
  ...["--position", "position.npy", "--position-times", "position-times.npy", "--unit", "cm"],
  ...["--spike-times", "spike-times.npy", "--spike-units", "spike-units.npy"],
];

describe("sluice plot", () => {
  it("writes a page beside which nothing is needed, named by the result", async () => {
    const { code, stdout, stderr } = await plot(...BESIDE, "--json");
    expect([code, stderr.includes("reading 100 %")]).toEqual([0, true]);
    const html = await readFile(join(folder, "decode.html"), "utf8");
    expect(JSON.parse(stdout)).toEqual({
      ...{ result: "decode.zarr", out: "decode.html", title: "Decoded position" },
      bytes: new TextEncoder().encode(html).length,
    });
    for (const name of ["true position", "spike", "position, cm", "All 100 rows are drawn."]) {
      expect(html).toContain(`>${name}<`);
    }
    expect(html).not.toMatch(/<script|<link|https?:(?!\/\/www\.w3)|url\(/);
  });

  it("writes pictures of a width, again in their own place", async () => {
    const file = (name: string) => join(folder, name);
    for (let time = 0; time < 2; time++) {
      await run("--out", file("a.svg"), "--width", "400");
      const svg = (await readFile(file("a.svg"), "utf8")).replace(/<!--.*?-->/, "");
      expect(parseXml(svg.replace(/<style>.*?<\/style>/s, "")).attributes.width).toBe("424");
    }
    for (const dark of [[], ["--dark"]]) {
      await run("--out", file("a.png"), "--width", "400", ...dark);
      const png = await readFile(file("a.png"));
      expect([png.readUInt32BE(16), png.toString("latin1", 1, 4)]).toEqual([848, "PNG"]);
    }
  });

  it("replaces no file that is none of its pictures", async () => {
    const file = join(folder, "mine.html");
    await writeFile(file, "<p>mine</p>");
    await expect(run("--out", file)).rejects.toThrow(
      /no picture of this package, wanted another name or --overwrite/,
    );
    expect(await readFile(file, "utf8")).toBe("<p>mine</p>");
    await run("--out", file, "--overwrite");
    expect(await readFile(file, "utf8")).toContain("Decoded position");
  });

  it("says what does not belong together, before anything is read", async () => {
    const cases: [string[], RegExp][] = [
      [["--out", "a.pdf"], /wanted a name in .html, .svg or .png/],
      [["--out", "a.svg", "--dark"], /--dark is given for .svg, wanted it for .png alone/],
      [
        ["--out", join(folder, "b.svg"), "--position", "position.npy"],
        /--position-times and --position belong together/,
      ],
      [
        ["--out", join(folder, "b.svg"), "--time", "5:9"],
        /no row lies from 5 to 9 s, its rows go from 0.01 to 1.99 s/,
      ],
    ];
    for (const [args, message] of cases) await expect(run(...args)).rejects.toThrow(message);
  });
});
