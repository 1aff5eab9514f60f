import { describe, expect, it } from "vitest";
import type { WidgetModel } from "../../src/anywidget.ts";
import widget from "../../src/anywidget.ts";
import { readAll } from "../../src/array/array.ts";
import { contFrag, sortedSpikes } from "../../src/hmm/decoder.ts";
import { useGpu } from "../support/gpu.ts";
import { smallRecording } from "../support/recordings.ts";

const gpu = useGpu();
const recording = smallRecording({ seconds: 3 });
const OPTIONS = { binSize: 3, positionStd: 3, movementVar: 4, rate: 50 };

const bytes = (values: ArrayLike<number>) => new DataView(Float64Array.from(values).buffer);

/** The Python side, as anywidget shows it: sync happens at `save_changes`. */
class Host implements WidgetModel {
  readonly saved: Record<string, unknown> = {};
  readonly progress: unknown[] = [];
  readonly #values: Record<string, unknown>;
  readonly #listeners = new Map<string, Set<() => void>>();
  #done = () => {};
  readonly done = new Promise<void>((resolve) => this.#done = resolve);

  constructor(options: Record<string, unknown>, changes: Record<string, unknown> = {}) {
    const { position, spikes } = recording;
    this.#values = {
      ...{ position_times: bytes(position.times), position: bytes(position.values) },
      ...{ spike_times: bytes(spikes.times), spike_units: bytes(spikes.units) },
      ...{ dimensions: 1, options, ...changes },
    };
  }

  get(name: string): unknown {
    return this.#values[name];
  }

  set(name: string, value: unknown): void {
    this.#values[name] = value;
  }

  save_changes(): void {
    Object.assign(this.saved, this.#values);
    this.progress.push(this.saved.progress);
    if (this.saved.status === "done" || this.saved.status === "failed") this.#done();
  }

  on(event: string, listen: () => void): void {
    this.#listeners.set(event, (this.#listeners.get(event) ?? new Set()).add(listen));
  }

  off(event: string, listen: () => void): void {
    this.#listeners.get(event)?.delete(listen);
  }

  ask(): void {
    for (const listen of this.#listeners.get("change:asked") ?? []) listen();
  }
}

const numbers = (value: unknown, type: typeof Float32Array | typeof Float64Array) => {
  const { buffer, byteOffset, byteLength } = value as DataView<ArrayBuffer>;
  return new type(buffer.slice(byteOffset, byteOffset + byteLength));
};

describe("the widget for notebooks", () => {
  it("decodes bytes of Python, and sends back what the package gives", async () => {
    const host = new Host({ ...OPTIONS, posterior: true });
    const el = document.createElement("div");
    const end = widget.render({ model: host, el });
    el.querySelector("button")!.click();
    await host.done;
    expect(host.saved.error).toBe("");
    const { binSize, positionStd, movementVar, rate } = OPTIONS;
    const plan = sortedSpikes({
      ...recording,
      ...{ binSize, positionStd, states: contFrag({ movementVar }) },
    }).smooth(gpu(), { time: { rate }, out: "memory:widget-test" });
    const wanted = await plan.run();
    expect(numbers(host.saved._posterior, Float32Array)).toEqual(await readAll(wanted.posterior));
    expect(numbers(host.saved._time, Float64Array)).toEqual(await readAll(wanted.time));
    expect(numbers(host.saved._state_probabilities, Float32Array))
      .toEqual(await readAll(wanted.states));
    const [rows, bins] = wanted.posterior.shape as [number, number];
    expect(host.saved.facts).toMatchObject({ rows, bins, states: 2, dimensions: 1 });
    expect(numbers(host.saved._mean, Float64Array).length).toBe(rows);
    expect(host.progress.at(-1)).toBe(1);
    await wanted.close();
    const [drawn] = [...el.querySelectorAll("div")].filter(({ shadowRoot }) => shadowRoot);
    expect(drawn!.shadowRoot!.querySelector("svg")).not.toBe(null);
    end();
  });

  it("stops where its button says so, tells Python, and can be asked again", async () => {
    const el = document.createElement("div");
    class Impatient extends Host {
      override set(name: string, value: unknown): void {
        super.set(name, value);
        if (name !== "progress") return;
        const buttons = [...el.querySelectorAll("button")];
        buttons.find(({ textContent }) => textContent === "Cancel")?.click();
      }
    }
    const host = new Impatient(OPTIONS);
    const end = widget.render({ model: host, el });
    host.ask();
    await host.done;
    expect(host.saved).toMatchObject({
      status: "failed",
      error: expect.stringMatching(/^Cancelled/),
    });
    expect(host.saved._mean).toBe(undefined);
    expect(el.querySelector("button")!.disabled).toBe(false);
    end();
  });

  it("says what is wrong with what it was given, there and to Python", async () => {
    const host = new Host(OPTIONS, { spike_times: new DataView(new ArrayBuffer(12)) });
    const el = document.createElement("div");
    const end = widget.render({ model: host, el });
    host.ask();
    await host.done;
    expect(host.saved.error).toBe(
      "Cannot decode: spike_times is 12 bytes, wanted bytes of float64",
    );
    expect(el.querySelector("[role=status]")!.textContent).toBe(`${host.saved.error}.`);
    end();
  });
});
