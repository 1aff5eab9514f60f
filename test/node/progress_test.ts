import process from "node:process";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ProgressPrinter } from "../../src/cli/progress.ts";

const write = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
const written = () => write.mock.calls.map(([text]) => String(text)).join("");
const terminal = process.stderr.isTTY;

afterEach(() => {
  write.mockClear();
  process.stderr.isTTY = terminal;
});

/** A report, of so many seconds. */
const report = (pass: string, fraction: number, elapsedSeconds: number) =>
  [`${pass} at ${elapsedSeconds}`, { pass, fraction, elapsedSeconds }] as const;

describe("progress on the command line", () => {
  it("is a line where a pass begins, every five seconds, and at the end", () => {
    process.stderr.isTTY = false;
    const printer = new ProgressPrinter(false);
    printer.print(...report("filter", 0, 0));
    printer.print(...report("filter", 0.1, 1));
    printer.print(...report("filter", 0.2, 4.9));
    printer.print(...report("filter", 0.3, 5));
    printer.print(...report("smooth", 0.5, 6));
    printer.print(...report("smooth", 0.6, 10.5));
    printer.print(...report("smooth", 0.9, 11));
    printer.print(...report("smooth", 1, 12));
    printer.end();
    expect(written()).toBe(
      "filter at 0\nfilter at 5\nsmooth at 6\nsmooth at 11\nsmooth at 12\n",
    );
  });

  it("is a bar on a terminal, drawn over itself", () => {
    process.stderr.isTTY = true;
    const printer = new ProgressPrinter(false);
    printer.print(...report("filter", 0.25, 0));
    expect(written()).toBe(`\r\x1b[2K${"█".repeat(6)}${"░".repeat(18)} filter at 0`);
    printer.end();
    printer.end();
    expect(written().endsWith(" filter at 0\n")).toBe(true);
  });

  it("tells pass, share, rate, what is left, and bytes", () => {
    process.stderr.isTTY = false;
    const memory = { gpu: 2048, host: 3 * 2 ** 20, disk: 0 };
    const progress = {
      pass: "smooth",
      passIndex: 1,
      passCount: 2,
      fraction: 0.625,
      rowsPerSecond: 1234.5,
      etaSeconds: 125,
      elapsedSeconds: 30,
      peakBytes: memory,
      bytesWritten: 1000,
    };
    const printer = new ProgressPrinter(false);
    printer.show(progress as unknown as Parameters<typeof printer.show>[0]);
    expect(written()).toBe(
      "smooth (2/2)  63 %, 1235 rows/s, 2 min 05 s left, GPU 2.00 KiB, host 3.00 MiB, " +
        "1000 B written\n",
    );
  });

  it("is silent for those who want quiet", () => {
    for (const isTerminal of [true, false]) {
      process.stderr.isTTY = isTerminal;
      const printer = new ProgressPrinter(true);
      printer.print(...report("filter", 1, 0));
      printer.end();
    }
    expect(written()).toBe("");
  });
});
