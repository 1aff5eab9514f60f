import { describe, expect, it } from "vitest";
import { encodeFloat16 } from "../../src/math/half.ts";
import type { FrameTable, FrameType } from "../../src/feed/frame_table.ts";
import { FrameReader } from "../../src/feed/frame_table.ts";
import { wholeWords } from "../../src/windows/frame_staging.ts";
import { DeviceSide } from "../../src/windows/device_side.ts";
import type { SidePlan } from "../../src/windows/gather_side.ts";

import { gatherWindows, widen } from "../reference/gather_windows.ts";
import { useGpu } from "../support/gpu.ts";
import { framesOf, readBack, someFrames } from "../support/window_frames.ts";

const gpu = useGpu();

const [ROWS, WIDTH, SIZE] = [41, 3, 4];
const values = someFrames(ROWS, WIDTH);

describe("frames kept whole on the device", () => {
  for (const held of ["float32", "float16"] as FrameType[]) {
    // one row more than a window, half, all but one, and more than all of them
    for (const rows of [SIZE + 1, 21, 40, 200]) {
      it(`are cut into buffers of ${rows} rows of ${held}, and no window is`, async () => {
        const table: FrameTable = {
          array: framesOf(values, WIDTH),
          rows: ROWS,
          width: WIDTH,
          held,
          windowRows: SIZE,
          rowOf: (window) => window,
        };
        const bindingBytes = rows * WIDTH * (held === "float32" ? 4 : 2);
        const plan: SidePlan = {
          table,
          batchSize: ROWS,
          slots: 1,
          dtype: "float32",
          poolRows: ROWS,
          whole: true,
          bindingBytes,
          stagingRows: 6,
        };
        const bytes = DeviceSide.bytes(plan).reduce((sum, item) => sum + item.bytes, 0);
        const account = gpu().ledger.open("side", { gpu: bytes, host: 0, disk: 0 });
        const { signal } = new AbortController();
        // all windows there are, backwards
        const starts = Uint32Array.from({ length: ROWS - SIZE + 1 }, (_, i) => ROWS - SIZE - i);
        const entries = [...starts].map((start, slot) => [start, slot] as const);
        const wanted = held === "float32"
          ? gatherWindows(values, WIDTH, SIZE, entries)
          : widen(gatherWindows(encodeFloat16(values), WIDTH, SIZE, entries));
        // by the kernel, and by copying, which halves that are widened cannot
        for (const copies of held === "float32" ? [false, true] : [false]) {
          const side = new DeviceSide(plan, account, gpu(), copies);
          await side.open(new FrameReader(table, signal, { readsAgain: false }));
          expect(account.live.gpu).toBe(bytes);
          const buffer = await side.gather(starts, 0);
          const got = await readBack(gpu(), buffer, 0, 4 * starts.length * SIZE * WIDTH);
          expect(new Float32Array(got)).toEqual(wanted);
          await side.close();
        }
        account.close();
      });
    }
  }
});

describe("rows that end where a word does", () => {
  it("are an even number of halves, where a row has an odd one", () => {
    const table = (width: number, held: FrameType) => ({ width, held }) as FrameTable;
    expect([4, 5].map((rows) => wholeWords(table(3, "float16"), rows))).toEqual([4, 4]);
    expect([4, 5].map((rows) => wholeWords(table(4, "float16"), rows))).toEqual([4, 5]);
    expect([4, 5].map((rows) => wholeWords(table(3, "float32"), rows))).toEqual([4, 5]);
  });
});
