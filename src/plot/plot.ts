/**
 * Pictures of results: of any that `open()` knows, and of a conditioning's folder.
 *
 * @module
 */

import { conditionPage } from "../condition/page.ts";
import { parseNumbers } from "../condition/report.ts";
import type { ConditionReport } from "../condition/results.ts";
import type { OpenedResult } from "../open.ts";
import { open } from "../open.ts";
import { openStore } from "../store/open_store.ts";
import type { Page } from "../view/view.ts";
import { drawFigures, drawPage, svgFile } from "../view/view.ts";
import { actsPage } from "./acts.ts";
import { arraysPage } from "./arrays.ts";
import { learningFigure } from "./curves.ts";
import { decodePage } from "./decode.ts";
import { encodingPage } from "./encoding.ts";
import { kmeansPage } from "./kmeans.ts";
import type { PlotOptions } from "./options.ts";
import { plotOptions } from "./options.ts";
import { pathPage } from "./path.ts";
import { pcaPage } from "./pca.ts";
import { probePage } from "./probe.ts";
import { samplesPage } from "./samples.ts";

export type { PlotOptions, PlottedSpikes, TruePath } from "./options.ts";

/** Width of a picture, px: enough for a slide, and for half a page of print. */
const WIDTH = 760;

/** A result as figures, with words and numbers beside them. */
export class Picture {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  /** A page that loads nothing: for any width, light and dark. */
  toHTML(): string {
    return drawPage(this.page);
  }

  /** All figures below one another. */
  toSVG(width: number = WIDTH): string {
    return svgFile(drawFigures(this.page, width));
  }

  /** The same as pixels, two for each px; `dark` for dark surroundings, which a PNG cannot follow. */
  async toPNG({ width = WIDTH, dark = false }: { width?: number; dark?: boolean } = {}): Promise<
    Uint8Array
  > {
    // letters are for those alone who draw without a browser
    const { paintPng } = await import("../view/raster/paint.ts");
    return await paintPng(drawFigures(this.page, width), { dark });
  }

  [Symbol.for("Jupyter.display")](): Record<string, string> {
    return { "image/svg+xml": this.toSVG(), "text/plain": this.page.title };
  }
}

/**
 * Draws a stored result. All of it is read, a block at a time: memory does not grow with it, and where rows are more
 * than a picture has columns, the picture says what was made of them.
 *
 * @example
 * ```ts
 * const picture = await plot("decode.zarr", { position: { times, values }, unit: "cm" });
 * await writeFile("decode.html", picture.toHTML());
 * ```
 *
 * @param place What `open()` opens, or the folder of a conditioning.
 * @throws {ChunkError} If nothing is stored there.
 * @throws {RangeError} If what is to be drawn on it does not belong to it; both sizes are told.
 */
export async function plot(place: string, options: PlotOptions = {}): Promise<Picture> {
  const own = plotOptions.check(options);
  own.signal?.throwIfAborted();
  const report = await conditionReport(place);
  if (report) return new Picture(conditionPage(report));
  const opened = await open(place, { unfinished: true });
  try {
    return new Picture(await pageOf(place, opened, own));
  } finally {
    await opened.close();
  }
}

async function pageOf(place: string, opened: OpenedResult, options: PlotOptions): Promise<Page> {
  switch (opened.kind) {
    case "decode":
      return await decodePage(place, opened, options);
    case "encoding":
      return encodingPage(place, opened.encoding, options);
    case "kmeans":
      return await kmeansPage(place, opened, options);
    case "pca":
      return await pcaPage(place, opened, options);
    case "probe":
      return probePage(place, opened);
    case "acts":
      return await actsPage(place, opened.acts, options);
    case "cpa": {
      const { history, facts } = opened.model;
      const curve = (name: keyof typeof history) => ({
        name: name.replaceAll("_", " "),
        values: history[name],
      });
      const best = { best: facts.bestEpoch };
      const figures = [
        learningFigure(
          "How cells are told",
          [curve("training_loss"), curve("validation_loss")],
          best,
        ),
        learningFigure(
          "How classifiers are held off",
          [curve("adversary_loss"), curve("penalty")],
          best,
        ),
      ];
      return {
        title: "A model of perturbations",
        sections: [{ figures }, {
          heading: "What is drawn",
          facts: [
            ["result", place],
            ["perturbations", facts.perturbations.filter((name) => name !== "").join(", ")],
            ["epochs", facts.epochsRun],
          ],
        }],
      };
    }
    case "arrays":
      if (opened.format === "sluice.path") return await pathPage(place, opened, options);
      if (opened.format === "sluice.samples") return await samplesPage(place, opened, options);
      return await arraysPage(place, opened, options);
  }
}

/** What a conditioning wrote into its folder, if there is one. */
async function conditionReport(place: string): Promise<ConditionReport | undefined> {
  const store = await openStore(place);
  try {
    const bytes = await store.get("/metrics.json");
    if (!bytes || await store.size("/decision.json") === undefined) return undefined;
    return parseNumbers(new TextDecoder().decode(bytes)) as ConditionReport;
  } finally {
    await store.close();
  }
}
