/**
 * A run that shows how far it is while it goes, and can be cancelled there: in a page, and in a notebook of Deno.
 *
 * @module
 */

import type { Description } from "../display.ts";
import { displayed, htmlOf, textOf } from "../display.ts";
import type { Progress } from "../types.ts";
import type { RunOptions } from "./choices.ts";
import { runOptions } from "./choices.ts";
import { describeProgress } from "./progress.ts";

/** What can be run: plans of all kinds. */
export interface Runnable<Result> {
  run(options: RunOptions): Promise<Result>;
}

/** A run under way. Made by {@link live}. */
export interface LiveRun<Result> {
  /** As a notebook shows it. */
  toHTML(): string;
}

export class LiveRun<Result> {
  /** Resolves with what the run gives; rejects as it does, with an `AbortError` where it was cancelled. */
  readonly result: Promise<Result>;
  readonly #cancel = new AbortController();
  readonly #kernel = kernelOf();
  readonly #onProgress: ((progress: Progress) => void) | undefined;
  #shown: Description = { title: "beginning", fraction: 0 };
  #done = false;
  #element: HTMLElement | undefined;

  constructor(plan: Runnable<Result>, { signal, onProgress }: RunOptions = {}) {
    this.#onProgress = onProgress;
    const either = signal ? AbortSignal.any([signal, this.#cancel.signal]) : this.#cancel.signal;
    this.#kernel?.show(this.#shown);
    this.result = plan.run({ signal: either, onProgress: (progress) => this.#take(progress) })
      .finally(() => this.#done = true)
      .then((result) => {
        this.#show({ ...this.#shown, title: `done: ${this.#shown.title}`, fraction: 1 });
        return result;
      }, (error) => {
        const was = error?.name === "AbortError" ? "cancelled" : "failed";
        this.#show({ ...this.#shown, title: `${was}: ${(error as Error).message}` });
        throw error;
      });
    // whoever waits for it hears of it; one that nobody waits for has shown it
    this.result.catch(() => {});
  }

  /** Stops the run. What is stored stays: the same plan goes on there. */
  cancel(): void {
    this.#cancel.abort(
      new DOMException("Cancelled: run the same plan again to go on", "AbortError"),
    );
  }

  /** How far it is. */
  get shown(): Description {
    return this.#shown;
  }

  /** A bar, what is said of it, and a button that cancels: for a page, where it follows the run. */
  get element(): HTMLElement {
    if (this.#element) return this.#element;
    const root = document.createElement("div");
    root.style.cssText = "font:14px/1.5 system-ui,sans-serif;max-width:30rem";
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.style.width = "100%";
    bar.setAttribute("aria-label", "progress of the run");
    const words = document.createElement("div");
    words.setAttribute("role", "status");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Cancel";
    button.addEventListener("click", () => this.cancel());
    root.append(bar, words, button);
    this.#element = root;
    this.#draw();
    return root;
  }

  #take(progress: Progress): void {
    this.#show(describeProgress(progress));
    this.#onProgress?.(progress);
  }

  #show(shown: Description): void {
    this.#shown = shown;
    this.#kernel?.update(shown);
    this.#draw();
  }

  #draw(): void {
    if (!this.#element) return;
    const [bar, words, button] = this.#element.children as unknown as [
      HTMLProgressElement,
      HTMLElement,
      HTMLButtonElement,
    ];
    const { title, facts = [], fraction } = this.#shown;
    if (fraction !== undefined) bar.value = fraction;
    words.textContent = [title, ...facts.map((fact) => fact.join(" "))].join("; ");
    button.disabled = this.#done || this.#cancel.signal.aborted;
  }
}

displayed(LiveRun.prototype as LiveRun<unknown>, (run) => run.shown);

/**
 * Runs a plan and shows how far it is: in a notebook of Deno at once, beneath the cell; in a page where
 * {@link LiveRun.element} is put.
 *
 * @example In a notebook
 * ```ts
 * const run = live(model.smooth(gpu, { time: { rate: 50 }, out: "decode.zarr" }));
 * const result = await run.result; // run.cancel() stops it
 * ```
 */
export function live<Result>(plan: Runnable<Result>, options: RunOptions = {}): LiveRun<Result> {
  return new LiveRun(plan, runOptions.check(options));
}

/** Where a notebook's kernel shows something, and shows something else in its place. */
interface Kernel {
  show(shown: Description): void;
  update(shown: Description): void;
}

type Broadcast = (type: string, content: Record<string, unknown>) => Promise<void>;

/** The kernel of Deno, where this runs in one. */
function kernelOf(): Kernel | undefined {
  let broadcast: Broadcast | undefined;
  try {
    const { Deno } = globalThis as { Deno?: { jupyter?: { broadcast: Broadcast } } };
    broadcast = Deno?.jupyter?.broadcast;
  } catch {
    // Deno throws where it is no kernel
  }
  if (!broadcast) return undefined;
  const id = `sluice-${crypto.randomUUID()}`;
  const send = (type: string, shown: Description) =>
    void broadcast(type, {
      data: { "text/html": htmlOf(shown), "text/plain": textOf(shown) },
      metadata: {},
      transient: { display_id: id },
    });
  return {
    show: (shown) => send("display_data", shown),
    update: (shown) => send("update_display_data", shown),
  };
}
