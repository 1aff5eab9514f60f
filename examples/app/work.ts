/** What is worked out: in a worker, or in the page itself where none may be started. */

import type { Gpu, Progress } from "sluice";
import { formatBytes, openGpu, plot } from "sluice";
import type { Prepared } from "./analyses.ts";
import { prepare, suggestSizes } from "./analyses.ts";
import {
  clearFiles,
  discardResult,
  findStorage,
  packResult,
  resultPlace,
  takeFiles,
} from "./files.ts";
import type { Commands, Finished, Settings, Shown } from "./settings.ts";

/** Makes what answers a page; `show` tells how far a run is. */
export function createWork(show: (shown: Shown) => void): Commands {
  let gpu: { budget: string; opening: Promise<Gpu> } | undefined;
  let running: { cancel: AbortController; ended: Promise<unknown> } | undefined;

  const openFor = async (budget: string): Promise<Gpu> => {
    if (gpu?.budget !== budget) {
      const before = gpu?.opening;
      gpu = { budget, opening: openGpu({ budget, powerPreference: "high-performance" }) };
      (await before?.catch(() => undefined))?.close();
    }
    try {
      return await gpu!.opening;
    } catch (error) {
      gpu = undefined;
      throw error;
    }
  };

  const planOf = async (settings: Settings, prepared: Prepared, overwrite: boolean) =>
    prepared.plan(
      await openFor(`${settings.options.budget} MiB`),
      resultPlace(settings.analysis),
      overwrite,
    );

  const draw = async (settings: Settings, { plot: given }: Prepared, facts: string) => {
    const picture = await plot(resultPlace(settings.analysis), {
      ...given,
      onProgress: (share) => show({ fraction: share, words: "drawing" }),
    });
    return { facts, html: picture.toHTML() } satisfies Finished;
  };

  const compute = async (settings: Settings, goOn: boolean, signal: AbortSignal) => {
    const prepared = await prepare(settings);
    try {
      const plan = await planOf(settings, prepared, !goOn);
      await refuseTooLarge(plan.projected.disk);
      const began = performance.now();
      const result = await plan.run({ signal, onProgress: (progress) => show(shown(progress)) });
      const { peakBytes: { gpu, host } } = result;
      await result.close();
      const seconds = (performance.now() - began) / 1000;
      const facts = gpu === 0
        ? "It had been finished before."
        : `${seconds.toFixed(1)} s; at most ${formatBytes(gpu)} of GPU memory and ${
          formatBytes(host)
        } of the tab's were held, ${formatBytes(plan.projected.gpu)} and ${
          formatBytes(plan.projected.host)
        } had been promised.`;
      return await draw(settings, prepared, facts);
    } finally {
      await prepared.close();
    }
  };

  return {
    async open() {
      const { adapter } = await openFor("256 MiB");
      return { adapter: adapter.name, storage: await findStorage() };
    },
    take: takeFiles,
    suggest: suggestSizes,
    async plan(settings) {
      const prepared = await prepare(settings);
      try {
        const plan = await planOf(settings, prepared, false);
        const { budgetBytes } = await gpu!.opening;
        const { availableBytes, kind } = await findStorage();
        const { projected } = plan;
        const where = kind === "opfs" ? "free for this site" : "that this page may hold";
        const table = plan.table();
        return {
          table: { ...table, notes: [...table.notes, ...prepared.notes] },
          memory: [
            meter("GPU memory", projected.gpu, budgetBytes.gpu, "allowed"),
            meter("This tab", projected.host, budgetBytes.host, "allowed"),
            meter("Result", projected.disk, availableBytes, where),
          ],
        };
      } finally {
        await prepared.close();
      }
    },
    async run(settings, goOn) {
      if (running) throw new Error("Cannot run: a run is under way, wanted one at a time");
      const cancel = new AbortController();
      const ended = compute(settings, goOn, cancel.signal);
      running = { cancel, ended: ended.catch(() => {}) };
      try {
        return await ended;
      } finally {
        running = undefined;
      }
    },
    async stop(settings, discard) {
      running?.cancel.abort(new DOMException("Paused: it goes on from here", "AbortError"));
      await running?.ended;
      if (discard) await discardResult(settings.analysis);
    },
    async look(settings) {
      const prepared = await prepare(settings);
      try {
        return await draw(settings, prepared, "Finished, as it was left.");
      } finally {
        await prepared.close();
      }
    },
    download: ({ analysis }, format) => packResult(analysis, format),
    clear: clearFiles,
  };
}

/** A worker's memory has no end that it tells of. */
async function refuseTooLarge(bytes: number): Promise<void> {
  const { kind, availableBytes } = await findStorage();
  if (kind === "opfs" || bytes <= availableBytes) return;
  throw new RangeError(
    `Cannot run: the result takes ${
      formatBytes(bytes)
    }, this page may keep no files and holds at most ` +
      `${formatBytes(availableBytes)} in memory`,
  );
}

const meter = (name: string, bytes: number, allowed: number, of: string) => ({
  ...{ name, bytes, allowed },
  words: Number.isFinite(allowed)
    ? `${formatBytes(bytes)} of ${formatBytes(allowed)} ${of}`
    : formatBytes(bytes),
});

function shown(progress: Progress): Shown {
  const { pass, passIndex, passCount, fraction, etaSeconds, bytesWritten, peakBytes } = progress;
  const left = etaSeconds === undefined ? "" : `, about ${Math.ceil(etaSeconds)} s left`;
  return {
    fraction,
    words: `${Math.round(100 * fraction)} %: ${pass}, pass ${
      passIndex + 1
    } of ${passCount}${left}; ${formatBytes(bytesWritten)} written, ${
      formatBytes(peakBytes.gpu)
    } of GPU memory at most`,
  };
}
