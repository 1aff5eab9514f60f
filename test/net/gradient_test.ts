import { describe, expect, it } from "vitest";
import { NetTwin } from "../reference/net_layers.ts";
import type { Model } from "../support/net_models.ts";
import { models } from "../support/net_models.ts";
import { seeded } from "../support/random.ts";

const STARTS = [0, 4, 4, 6, 13];

/** The loss of a twin, what regularises it included, and its gradient. */
function twinOf(model: Model, values: ArrayLike<number>) {
  const random = seeded(model.width);
  const rows = STARTS.at(-1)!;
  const samples = STARTS.length - 1;
  const count = (model.axis === "rows" ? rows : samples) * model.width;
  const twin = new NetTwin(values, {
    inputs: { x: Float64Array.from({ length: count }, () => 4 * random() - 2) },
    ...{ samples, starts: STARTS, longest: 7, seed: 5, step: 3 },
    detected: Array.from({ length: rows }, (_, row) => Number(row !== 1 && row !== 8)),
    labels: [1, 0, 1, 0],
    weights: [1, 0.5, 2, 1],
  });
  model.build(twin, twin.input("x", model));
  return twin;
}

describe("gradients of twins are those of finite differences", () => {
  const each: [string, Model][] = [
    ["ReLU", models.relu(5, 4)],
    ["GELU and dropout", models.gelu(6, 5, 0.4)],
    ["attention and dropout", models.attention(5, 4, 0.2)],
    ["maxima", models.multimax(5, 4, 3)],
    ["gates, both ends and regularising", models.gated(4, 5, 3)],
    ["soft attention of several heads", models.soft(5, 4, 3)],
    ["rolling attention", models.soft(5, 4, 3, 3)],
    ["heads of several columns, sums", models.mixed(5, 2)],
  ];
  for (const [name, model] of each) {
    it(name, () => {
      const counting = twinOf(model, new Float64Array(10_000));
      const count = counting.parameters.reduce((sum, { data }) => sum + data.length, 0);
      const random = seeded(3);
      const values = Float64Array.from({ length: count }, () => random() - 0.5);
      const twin = twinOf(model, values);
      const gradient = twin.backward();
      expect(gradient.length).toBe(count);
      const lossAt = (i: number, value: number) => {
        const moved = twinOf(model, values.with(i, value));
        return moved.loss + moved.regularised;
      };
      const step = 1e-5;
      values.forEach((value, i) => {
        const slope = (lossAt(i, value + step) - lossAt(i, value - step)) / (2 * step);
        expect(Math.abs(gradient[i]! - slope)).toBeLessThan(1e-8);
      });
    });
  }
});
