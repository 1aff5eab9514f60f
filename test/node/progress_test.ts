import process from "node:process";
import { afterEach, describe, expect, it, vi } from "vitest";
import { barOf, ProgressPrinter } from "../../src/cli/progress.ts";

const write = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
const written = () => write.mock.calls.map(([text]) => String(text)).join("");
const { isTTY: terminal, columns } = process.stderr;

afterEach(() => {
  write.mockClear();
  Object.assign(process.stderr, { isTTY: terminal, columns });
});

const report = (pass: string, fraction: number) =>
  [`${pass} at ${fraction}`, { pass, fraction }] as const;

describe("progress on the command line", () => {
  it("is a line where a pass begins, and one for every percent", () => {
    process.stderr.isTTY = false;
    const printer = new ProgressPrinter(false);
    for (const fraction of [0, 0.001, 0.0099, 0.01, 0.015, 0.29, 0.29]) {
      printer.print(...report("filter", fraction));
    }
    for (const fraction of [0.29, 0.295, 1, 1]) printer.print(...report("smooth", fraction));
    printer.end();
    expect(written()).toBe(
      "filter at 0\nfilter at 0.01\nfilter at 0.29\nsmooth at 0.29\nsmooth at 1\n",
    );
  });

  it("is a bar on a terminal, drawn over itself", () => {
    process.stderr.isTTY = true;
    process.stderr.columns = 100;
    const printer = new ProgressPrinter(false);
    printer.print(...report("filter", 0.25));
    expect(written()).toBe(`\r\x1b[2K${"█".repeat(6)}${"░".repeat(18)} filter at 0.25`);
    printer.end();
    printer.end();
    expect(written().endsWith(" filter at 0.25\n")).toBe(true);
  });

  it("keeps to one line, however narrow it is", () => {
    const parts = ["filter (1/2)  25 %", "1234 rows/s", "3 min 05 s left", "GPU 1.00 GiB"];
    const seen = [10, 20, 40, 60, 80, 100, 200].map((columns) => barOf(parts, 0.25, columns));
    expect(seen[3]).toBe("██░░░░░░ filter (1/2)  25 %, 1234 rows/s, 3 min 05 s left");
    expect(seen.at(-1)).toContain(", 3 min 05 s left, GPU 1.00 GiB");
    for (const [i, columns] of [10, 20, 40, 60, 80, 100, 200].entries()) {
      expect(seen[i]!.length).toBeLessThan(columns);
    }
  });

  it("tells pass, share, rate, what is left, and bytes", () => {
    process.stderr.isTTY = false;
    const memory = { gpu: 2048, host: 3 * 2 ** 20, disk: 0 };
    const progress = {
      pass: "smooth",
      passIndex: 1,
      passCount: 2,
      // not 63 yet
      fraction: 0.629,
      rowsPerSecond: 1234.5,
      etaSeconds: 125,
      elapsedSeconds: 30,
      peakBytes: memory,
      bytesWritten: 1000,
    };
    const printer = new ProgressPrinter(false);
    printer.show(progress as unknown as Parameters<typeof printer.show>[0]);
    expect(written()).toBe(
      "smooth (2/2)  62 %, 1235 rows/s, 2 min 05 s left, GPU 2.00 KiB, host 3.00 MiB, " +
        "1000 B written\n",
    );
  });

  it("is silent for those who want quiet", () => {
    for (const isTerminal of [true, false]) {
      process.stderr.isTTY = isTerminal;
      const printer = new ProgressPrinter(true);
      printer.print(...report("filter", 1));
      printer.end();
    }
    expect(written()).toBe("");
  });
});
