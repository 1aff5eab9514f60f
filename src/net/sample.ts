/**
 * Variational values: drawn from normal distributions, by counter, so that the same batch draws the same again.
 *
 * @module
 */

import { netSample, netSampleGradient } from "../kernels/net_sample.ts";
import type { WholeBatch } from "./batch.ts";
import type { Frame, Layer } from "./layer.ts";
import { bits, countOf, firstOf, groupsOf } from "./layer.ts";
import type { Value } from "./value.ts";
import { quadsOf } from "./value.ts";

export interface SampleParts {
  mean: Value;
  /** Of which softplus, and 1e-4, is the variance. */
  spread: Value;
  /** Buffer of the tile: `[tile rows | samples]` f32, how far each is from normal distributions of mean 0 and variance 1. */
  divergences: string;
  /** Of all layers, from 0: it draws by it. */
  index: number;
}

export function sampleLayer(frame: Frame, output: Value, parts: SampleParts): Layer {
  const { mean, spread, divergences, index } = parts;
  const { axis, width } = output;
  const params = (batch: WholeBatch) =>
    Uint32Array.of(
      ...[countOf(axis, batch), width, firstOf(axis, batch), index],
      ...[batch.draw, batch.drawnFor, bits(batch.divergence)],
    );
  const own = { mean: mean.name, spread: spread.name, seeds: frame.names.seeds };
  return {
    output,
    forward: () => [{
      kernel: netSample,
      constants: { LANES: 64 },
      buffers: { ...own, y: output.name, divergences },
      params,
      workgroups: (batch) => [groupsOf(countOf(axis, batch), 1)],
    }],
    backward(gradients) {
      const made = [gradients.into(mean), gradients.into(spread)];
      if (made.some(({ adds }) => adds === 1)) {
        throw new TypeError(`Cannot draw "${output.name}": what it is drawn from has other uses`);
      }
      return [{
        kernel: netSampleGradient,
        buffers: {
          ...own,
          y_gradient: gradients.of(output),
          mean_gradient: made[0]!.buffer,
          spread_gradient: made[1]!.buffer,
        },
        params,
        workgroups: (batch) => [groupsOf(countOf(axis, batch) * quadsOf(width))],
      }];
    },
  };
}
