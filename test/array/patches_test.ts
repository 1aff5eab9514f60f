import { describe, expect, it } from "vitest";
import { fromTypedArray, readAll } from "../../src/array/array.ts";
import { patches } from "../../src/array/patches.ts";

function imageOf(height: number, width: number, channels: number) {
  const values = Uint8Array.from({ length: height * width * channels }, (_, i) => 7 * i % 251);
  const shape = channels === 1 ? [height, width] : [height, width, channels];
  const at = (y: number, x: number, c: number) => values[(y * width + x) * channels + c]!;
  return { image: fromTypedArray(values, shape), at };
}

describe("patches()", () => {
  for (
    const [height, width, channels, down, across, stride] of [
      [1, 1, 1, 1, 1, 1],
      [5, 7, 3, 2, 3, 1],
      [9, 8, 1, 3, 3, 2],
      [6, 6, 2, 6, 6, 4],
    ] as const
  ) {
    it(`cuts ${height} x ${width} x ${channels} into ${down} x ${across} every ${stride}`, async () => {
      const { image, at } = imageOf(height, width, channels);
      const rows = patches(image, { size: [down, across], stride });
      const wanted: number[][] = [];
      for (let top = 0; top + down <= height; top += stride) {
        for (let left = 0; left + across <= width; left += stride) {
          const own: number[] = [];
          for (let y = top; y < top + down; y++) {
            for (let x = left; x < left + across; x++) {
              for (let c = 0; c < channels; c++) own.push(at(y, x, c));
            }
          }
          wanted.push(own);
        }
      }
      expect(rows.shape).toEqual([wanted.length, down * across * channels]);
      expect([...await readAll(rows)]).toEqual(wanted.flat());
      for (let start = 0; start < wanted.length; start += 3) {
        const end = Math.min(wanted.length, start + 5);
        const some = await rows.read(start, end);
        expect(some).toBeInstanceOf(Uint8Array);
        expect([...some]).toEqual(wanted.slice(start, end).flat());
      }
      expect((await rows.read(1, 1)).length).toBe(0);
    });
  }

  it("refuses images and sizes that have no patches", async () => {
    const { image } = imageOf(4, 5, 1);
    expect(() => patches(image, { size: 6 })).toThrow("6 x 6: the image has 4 x 5 pixels");
    expect(() => patches(image, { size: 2, stride: 0 })).toThrow("stride is 0, wanted a whole");
    expect(() => patches(fromTypedArray(new Uint8Array(5)), { size: 2 })).toThrow("shape [5]");
    await expect(patches(image, { size: 2 }).read(0, 13)).rejects.toThrow("the array has 12 rows");
  });
});
