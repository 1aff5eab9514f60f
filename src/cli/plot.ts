/**
 * `sluice plot`.
 *
 * @module
 */

import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { openArray } from "../array/array.ts";
import { OutputConflictError } from "../errors.ts";
import { formatBytes } from "../math/format.ts";
import { flag, place, whole } from "../options.ts";
import { plot } from "../plot/plot.ts";
import { plotOptions } from "../plot/options.ts";
import { percentOf, ProgressPrinter } from "./progress.ts";
import { readNumbers } from "./recording.ts";
import type { CommandContext } from "./usage.ts";
import { CommandLine, common, helpOf, inputChoices, UsageError } from "./usage.ts";

const given = (takes: string, says: string) => place({ takes, says, otherwise: "none" });

const besideOptions = {
  time: plotOptions.options.time,
  unit: plotOptions.options.unit,
  path: plotOptions.options.path,
  positionTimes: given("PT", "[samples] seconds, of --position"),
  position: given(
    "P",
    "[samples] or [samples, 2]: where the animal was, drawn on a decode or a path",
  ),
  spikeTimes: given("T", "[spikes] seconds: a raster above a decode or a path"),
  spikeUnits: given("U", "[spikes] unit of each spike"),
  input: given("X", "the rows that a k-means clustered"),
  labels: given("Y", "[rows] 0 and 1, of rows that probes predicted: gives ROC and confusion"),
};

const outputOptions = {
  out: place({
    takes: "FILE",
    otherwise: "RESULT's name in .html, here",
    says: "a page (.html) or a picture (.svg, .png)",
  }),
  width: whole({ default: 760, from: 240, to: 4000, takes: "PX", says: "width of a picture" }),
  dark: flag({ default: false, says: "a .png for dark surroundings; others follow theirs" }),
  overwrite: flag({ default: false, says: "replace a file that is no picture of this package" }),
};

export const plotSections = { "What is drawn with it": besideOptions, Output: outputOptions };

export const plotHelp =
  `Usage: sluice plot RESULT [--out page.html|picture.svg|picture.png] [options]

Draws any stored result, or the folder of a conditioning: a posterior over time with its likeliest path,
clusters, components, probes, paths, activations. All of it is read, a block at a time; where there are more
rows than a picture has columns it says what was made of them. A page has the numbers as tables, too.

${helpOf(plotSections)}`;

const KINDS = ["html", "svg", "png"] as const;
type Kind = typeof KINDS[number];
/** What our own pictures say of themselves, near their beginning. */
const MARK = "sluice plot";
const MARK_WITHIN = 4096;

export async function plotCommand({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, plotSections, { positionals: 1 });
  const [result] = line.positionals;
  if (result === undefined) throw new UsageError("Cannot plot: wanted the place of a result");
  const { json = false, quiet = false } = line.read(common);
  const { width = 760, dark = false, overwrite = false, ...named } = line.read(outputOptions);
  const { out = `${basename(result.replace(/\/+$/, "")).replace(/\.zarr$/, "")}.html` } = named;
  const kind = kindOf(out);
  if (dark && kind !== "png") {
    throw new UsageError(`Cannot run: --dark is given for .${kind}, wanted it for .png alone`);
  }
  if (!overwrite) await refuseOthers(out);
  const reading = inputChoices(line, signal);
  const pair = async (times: "position-times" | "spike-times", values: string) => {
    const [first, second] = [line.text(times), line.text(values)];
    if (first === undefined && second === undefined) return undefined;
    if (first === undefined || second === undefined) {
      throw new UsageError(
        `Cannot run: --${times} and --${values} belong together, one is missing`,
      );
    }
    const [own, others] = [await readNumbers(first, reading), await readNumbers(second, reading)];
    return [own.values, others.values] as const;
  };
  const position = await pair("position-times", "position");
  const spikes = await pair("spike-times", "spike-units");
  const labels = line.text("labels");
  const rows = line.text("input");
  const input = rows === undefined ? undefined : await openArray(rows, reading);
  const printer = new ProgressPrinter(quiet);
  try {
    const { time, unit, path } = plotOptions.options;
    const picture = await plot(result, {
      ...line.read({ time, unit, path }),
      ...(position && { position: { times: position[0], values: position[1] } }),
      ...(spikes && { spikes: { times: spikes[0], units: spikes[1] } }),
      ...(labels !== undefined && { labels: (await readNumbers(labels, reading)).values }),
      ...(input && { input }),
      signal,
      onProgress(fraction) {
        printer.print(`reading ${percentOf(fraction)} %`, { fraction });
      },
    });
    const bytes = kind === "html"
      ? encode(marked(picture.toHTML()))
      : kind === "svg"
      ? encode(marked(picture.toSVG(width)))
      : await picture.toPNG({ width, dark });
    await writeFile(out, bytes);
    printer.end();
    const facts = { result, out, title: picture.page.title, bytes: bytes.length };
    console.log(
      json ? JSON.stringify(facts) : `${out}: ${picture.page.title}, ${formatBytes(bytes.length)}`,
    );
  } finally {
    printer.end();
    await input?.close();
  }
}

const encode = (text: string) => new TextEncoder().encode(text);

/** With a comment that tells whose it is. */
function marked(text: string): string {
  return text.replace(/<html lang="en">|<svg [^>]*>/, `$&<!-- ${MARK} -->`);
}

function kindOf(out: string): Kind {
  const kind = KINDS.find((kind) => out.toLowerCase().endsWith(`.${kind}`));
  if (kind) return kind;
  throw new UsageError(`Cannot plot into "${out}": wanted a name in .html, .svg or .png`);
}

/** A picture may be drawn again; anything else stays. */
async function refuseOthers(out: string): Promise<void> {
  const found = await readFile(out).catch((error) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!found || new TextDecoder("latin1").decode(found.subarray(0, MARK_WITHIN)).includes(MARK)) {
    return;
  }
  throw new OutputConflictError(
    `Cannot plot into "${out}": there is a file that is no picture of this package, wanted another name ` +
      "or --overwrite",
    out,
  );
}
