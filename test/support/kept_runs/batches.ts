/** Windows: the batches of epochs, their bytes in order. */

import type {
  BatchOptions,
  Gpu,
  HostBatchOptions,
  WindowBatch,
  WindowOptions,
} from "../../../src/mod.ts";
import type { ChunkedArray } from "../../../src/mod.ts";
import { balanced, everyNth, rarityWeights, weighted, windows } from "../../../src/mod.ts";
import { hidden, readBack } from "../window_frames.ts";
import type { KeptRun } from "./kept.ts";
import { sha256 } from "./kept.ts";
import { ROUND, SEGMENTS } from "./rows.ts";

const FRAMES = ROUND.shape[0]!;
const LABELS = Int32Array.from({ length: FRAMES }, (_, frame) => (frame * frame) % 11);
const PRESSED = Uint8Array.from({ length: 3 * FRAMES }, (_, i) => i % 7 === 0 ? 1 : 0);
const VIEW: WindowOptions = { size: 8, stride: 3, segments: SEGMENTS, labels: LABELS };

const view = (more: Partial<WindowOptions> = {}, frames: ChunkedArray = ROUND) =>
  windows(frames, { ...VIEW, ...more });

/** Everything of all batches, one hash for the frames of each. */
async function tell(
  batches: AsyncIterable<WindowBatch>,
  bytes: (batch: never) => Promise<ArrayBufferView>,
) {
  const hashes: string[] = [];
  const order: number[] = [];
  const beside: Record<string, number[]> = { labels: [], previous: [], weights: [] };
  let last: WindowBatch | undefined;
  for await (const batch of batches) {
    hashes.push(await sha256(await bytes(batch as never)));
    order.push(...batch.windows);
    for (const [name, values] of Object.entries(beside)) {
      const own = batch[name as "labels"];
      if (own) values.push(...Array.from(own as ArrayLike<number>, Number));
    }
    const { shape, strides, dtype, cursor, epoch } = batch;
    last = { shape, strides, dtype, cursor, epoch } as WindowBatch;
  }
  return {
    frames: await sha256(new TextEncoder().encode(hashes.join())),
    batches: hashes.length,
    order: Uint32Array.from(order),
    ...Object.fromEntries(
      Object.entries(beside).map(([name, values]) => [name, Float64Array.from(values)]),
    ),
    last,
  };
}

const onHost = (made: ReturnType<typeof view>, options: HostBatchOptions) =>
  tell(
    made.batches(options),
    ({ frames }: { frames: Float32Array }) => Promise.resolve(frames.slice()),
  );

function onDevice(gpu: Gpu, made: ReturnType<typeof view>, options: BatchOptions) {
  return tell(
    made.batches(gpu, options),
    async (
      { buffer, byteOffset, shape, dtype }: {
        buffer: GPUBuffer;
        byteOffset: number;
        shape: number[];
        dtype: string;
      },
    ) => {
      const elements = shape.reduce((product, size) => product * size, 1);
      const bytes = elements * (dtype === "float16" ? 2 : 4);
      return new Uint8Array(await readBack(gpu, buffer, byteOffset, bytes), 0, bytes);
    },
  );
}

/** The same options in memory and on the device. */
function both(
  name: string,
  options: BatchOptions,
  make: () => ReturnType<typeof view> = view,
): KeptRun {
  return {
    name: `windows: ${name}`,
    async run({ gpu }) {
      return {
        returned: {
          host: await onHost(make(), options),
          device: await onDevice(gpu, make(), options),
        },
      };
    },
  };
}

export const BATCH_RUNS: readonly KeptRun[] = [
  both("an epoch in a drawn order", { size: 32, shuffle: 7 }),
  both("two epochs in order, the short batch left out", {
    size: 50,
    shuffle: false,
    dropLast: true,
    epochs: 2,
  }),
  both("an order on two levels", { size: 24, shuffle: { seed: 3, block: 16, pool: 4 } }),
  both("f16 from epoch 5 on", { size: 64, dtype: "float16", hold: "float16", epoch: 5 }),
  both("labels that come later, those before, and weights", { size: 40, shuffle: 2 }, () =>
    view({
      delay: 2,
      previous: true,
      weights: rarityWeights(PRESSED, { buttons: 3, factor: 4 }),
    })),
  both("every fourth window", { size: 16, sampler: everyNth(4, 1), shuffle: 1 }),
  {
    name: "windows: by weight and by class",
    async run({ gpu }) {
      const made = view();
      const weights = Float64Array.from({ length: made.shape[0]! }, (_, i) => (i % 5) / 2);
      const classes = made.atLabels(LABELS);
      return {
        returned: {
          weighted: await onDevice(gpu, made, {
            size: 32,
            sampler: weighted(weights, 4),
            epochs: 2,
          }),
          balanced: await onHost(made, { size: 32, sampler: balanced(classes, { seed: 6 }) }),
        },
      };
    },
  },
  {
    name: "windows: frames on disk, on the host, on the device, and whole windows made before",
    async run({ gpu }) {
      const shuffle = { seed: 9, block: 16, pool: 2 };
      const returned: Record<string, unknown> = {};
      const made = view({}, hidden(ROUND));
      for (const framesIn of ["disk", "host", "device"] as const) {
        returned[framesIn] = await onDevice(gpu, made, { size: 32, framesIn, shuffle });
      }
      returned.disk_in_memory = await onHost(made, { size: 32, framesIn: "disk", shuffle });
      returned.eager = await onDevice(gpu, made, { size: 32, eager: true, shuffle });
      return { returned };
    },
  },
  {
    name: "windows: gone on with after a batch, and the parts of a split",
    async run({ gpu }) {
      const made = view();
      let cursor;
      for await (const batch of made.batches({ size: 30, shuffle: 5 })) {
        cursor = batch.cursor;
        if (cursor.position >= 90) break;
      }
      const [train, rest] = made.split(0.7, 3);
      return {
        returned: {
          rest: await onDevice(gpu, made, { size: 30, shuffle: 5, from: cursor! }),
          train: await onHost(train, { size: 30 }),
          held: await onHost(rest, { size: 30 }),
        },
      };
    },
  },
];
