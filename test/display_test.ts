import { afterEach, describe, expect, it } from "vitest";
import { fromTypedArray, openArray } from "../src/array/array.ts";
import { contexts } from "../src/array/contexts.ts";
import { displayed } from "../src/display.ts";
import { KMeans, live, open } from "../src/mod.ts";
import type { Progress } from "../src/types.ts";
import { useGpu } from "./support/gpu.ts";
import { runtime } from "./support/runtime.ts";
import { elementsOf, parseXml } from "./support/xml.ts";

const gpu = useGpu();
const rows = fromTypedArray(Float32Array.from({ length: 400 }, (_, i) => i % 7), [100, 4]);
const model = () => new KMeans({ k: 2, inits: 1 });
const plan = () => model().fit(gpu(), rows);

type Shown = Record<symbol, () => unknown> & { toHTML(): string };
const JUPYTER = Symbol.for("Jupyter.display");

/** What a thing says of itself: to a kernel, to a page, and where it is printed. */
async function shownBy(thing: unknown) {
  const own = thing as Shown;
  const { "text/html": html, "text/plain": text } = own[JUPYTER]!() as Record<string, string>;
  expect(html).toBe(own.toHTML());
  const words = [...elementsOf(parseXml(html!))].map(({ text }) => text).join(" ");
  if (runtime === "deno") {
    const { Deno } = globalThis as unknown as { Deno: { inspect(thing: unknown): string } };
    expect(Deno.inspect(thing)).toBe(text);
  }
  if (runtime !== "chromium") {
    const { inspect } = await import("node:util");
    expect(inspect(thing)).toBe(text);
  }
  return { text: text!, words };
}

describe("what shows itself", () => {
  it("in kernels, pages and consoles: a GPU, a plan, its progress and its result", async () => {
    expect((await shownBy(gpu())).text).toMatch(/^GPU ".+, budget 256 MiB of its memory and /);
    const own = model().fit(gpu(), rows, { out: "memory:shown" });
    const { text, words } = await shownBy(own);
    expect(text).toMatch(
      /^plan "kmeans": GPU .+iB, host .+iB, disk .+iB\nPlan "kmeans": 100 rows on/,
    );
    expect(words).toContain("in all (passes share buffers)");
    const reports: Progress[] = [];
    const result = await own.run({ onProgress: (progress) => reports.push(progress) });
    const last = await shownBy(reports.at(-1));
    expect(last.text).toMatch(/^kmeans: assign \(\d\/\d\) 100 %/);
    expect(last.words).toContain("written");
    const shown = await shownBy(result);
    expect(shown.text).toMatch(/^kmeans fit\n|^kmeans\n/);
    expect(shown.text).toMatch(/\n {2}ids +int32 \[100\], row\n/);
    expect(shown.text).toMatch(/\n {2}centroids +Float64Array \[8\]: /);
    expect(shown.text).toMatch(/\n {2}projectedBytes +gpu .+iB, host /);
    await shownBy(result.ids);
    await result.close();
    const opened = await open("memory:shown");
    const again = await shownBy(opened);
    expect(again.text).toMatch(/^memory:shown: sluice.kmeans\n/);
    // nothing was run
    expect(again.text).not.toMatch(/Bytes/);
    await opened.close();
  });

  it("of arrays, wherever they are from", async () => {
    expect((await shownBy(rows)).text).toMatch(/^array, float32 \[100, 4\]\n/);
    const view = contexts(rows, { width: 3, mode: "mean" });
    expect((await shownBy(view)).text).toMatch(/^array, float32 \[97, 4\]/);
    const stored = await openArray("memory:shown/centroids");
    expect((await shownBy(stored)).text).toMatch(/^array, float64 \[2, 4\], cluster x feature\n/);
    await stored.close();
  });

  it("is not copied, counted or compared with what it is of", () => {
    const thing = displayed({ a: 1 }, () => ({ title: "a thing" }));
    expect(Object.keys(thing)).toEqual(["a"]);
    expect({ ...thing }).toEqual({ a: 1 });
    expect(JSON.stringify(thing)).toBe('{"a":1}');
  });

  it("escapes what names hold", async () => {
    const evil = `<img src=x onerror="alert(1)">\u001b[2J`;
    const thing = displayed({}, () => ({ title: evil, facts: [[evil, evil]], text: evil }));
    const { text } = await shownBy(thing);
    expect(text).not.toContain("\u001b");
    expect(thing.toHTML()).not.toContain("<img");
  });
});

describe("live()", () => {
  const { Deno } = globalThis as { Deno?: object };
  afterEach(() => {
    if (runtime !== "deno") delete (globalThis as { Deno?: object }).Deno;
  });

  it("gives what the run gives, and shows the end", async () => {
    const run = live(plan());
    const { ids } = await run.result;
    expect(ids.length).toBe(100);
    expect((await shownBy(run)).text).toMatch(/^done: kmeans: assign/);
  });

  it("cancels: the run ends with an AbortError, and shows that", async () => {
    const run = live({
      run: ({ signal }) =>
        new Promise((_, reject) =>
          signal!.addEventListener("abort", () => reject(signal!.reason), { once: true })
        ),
    });
    run.cancel();
    await expect(run.result).rejects.toMatchObject({ name: "AbortError" });
    expect(run.toHTML()).toContain("cancelled: Cancelled: run the same plan again to go on");
  });

  it("shows failures of a run that nobody waits for, and throws nothing", async () => {
    const run = live({ run: () => Promise.reject(new RangeError("Cannot run: it is a test")) });
    await new Promise((resolve) => setTimeout(resolve));
    expect(run.toHTML()).toContain("failed: Cannot run: it is a test");
  });

  it("keeps a bar of a notebook's kernel up to date, the same one from beginning to end", async () => {
    if (Deno && runtime !== "deno") throw new Error("there is a Deno where none is expected");
    const sent: { type: string; content: Record<string, Record<string, string>> }[] = [];
    const jupyter = {
      broadcast(type: string, content: Record<string, Record<string, string>>) {
        sent.push({ type, content });
        return Promise.resolve();
      },
    };
    const whole = globalThis as unknown as { Deno: object };
    if (runtime === "deno") {
      (whole.Deno as { jupyter?: object }).jupyter = jupyter;
    } else whole.Deno = { jupyter };
    await live(plan()).result;
    if (runtime === "deno") (whole.Deno as { jupyter?: object | undefined }).jupyter = undefined;
    expect(sent[0]!.type).toBe("display_data");
    expect(new Set(sent.slice(1).map(({ type }) => type))).toEqual(
      new Set(["update_display_data"]),
    );
    expect(new Set(sent.map(({ content }) => content.transient!.display_id)).size).toBe(1);
    expect(sent.length).toBeGreaterThan(2);
    expect(sent.at(-1)!.content.data!["text/html"]).toMatch(/<progress max="1" value="1"/);
  });

  it("has an element for a page, whose button cancels", async (context) => {
    if (runtime !== "chromium") context.skip("only browsers have documents");
    let stopped = false;
    const run = live({
      run: ({ signal, onProgress }) => {
        onProgress!({
          ...{ plan: "p", pass: "filter", passIndex: 0, passCount: 2, rows: 1, totalRows: 4 },
          ...{ fraction: 0.25, bytesWritten: 2048, rowsPerSecond: 3, elapsedSeconds: 5 },
          ...{ etaSeconds: 15, peakBytes: { gpu: 1024, host: 1024, disk: 0 } },
        });
        return new Promise((_, reject) =>
          signal!.addEventListener("abort", () => {
            stopped = true;
            reject(signal!.reason);
          })
        );
      },
    });
    const { element } = run;
    document.body.append(element);
    expect(element.querySelector("progress")!.value).toBe(0.25);
    const status = element.querySelector('[role="status"]')!;
    expect(status.textContent).toMatch(
      /^p: filter \(1\/2\) 25 %, 15 s left; so far 5.0 s; written 2.00 KiB/,
    );
    element.querySelector("button")!.click();
    await expect(run.result).rejects.toMatchObject({ name: "AbortError" });
    expect(stopped).toBe(true);
    expect(element.querySelector("button")!.disabled).toBe(true);
    expect(status.textContent).toContain("cancelled");
    element.remove();
  });
});
