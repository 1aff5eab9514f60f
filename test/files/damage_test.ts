import { describe, expect, it, vi } from "vitest";
import { readAll } from "../../src/array/array.ts";
import { openArrayFile } from "../../src/array/file_arrays.ts";
import { ChunkError } from "../../src/errors.ts";
import { filePlace } from "../../src/files/file_place.ts";
import { elementCount } from "../../src/zarr/data_types.ts";
import { libraryFile, putFiles } from "../support/library_files.ts";
import { seeded } from "../support/random.ts";
import { cases } from "../support/tier.ts";

// HDF5 writes pages of complaint, to what this is when it is loaded
vi.spyOn(console, "error").mockImplementation(() => {});

/** Cuts a file, turns a bit of it, or sets bytes to what counts and offsets are worst at. */
function damage(whole: Uint8Array<ArrayBuffer>, random: () => number): Uint8Array<ArrayBuffer> {
  const below = (count: number) => Math.floor(random() * count);
  const bytes = whole.slice();
  if (random() < 0.3) return bytes.slice(0, below(bytes.length));
  // headers are small, and at the start or the end
  const place = () => {
    const near = below(Math.min(3000, bytes.length));
    return [near, bytes.length - 1 - near, below(bytes.length)][below(3)]!;
  };
  if (random() < 0.5) bytes[place()]! ^= 1 << below(8);
  else for (let i = 0; i <= below(6); i++) bytes[place()] = [0, 127, 128, 255][below(4)]!;
  return bytes;
}

// not parquet: hyparquet believes the lengths of runs, and one that is damaged can exhaust memory
describe("a file that is damaged anywhere", () => {
  it.each([
    "stored.npz",
    "deflated.npz",
    "piped.npz",
    "x.safetensors",
    "earliest.h5",
    "latest.h5",
    "stamps.nwb",
  ])("is read or refused as a ChunkError: %s", async (name) => {
    const random = seeded(name.length);
    const whole = await libraryFile(name);
    let refused = 0;
    const attempt = async (action: () => Promise<void>) => {
      try {
        await action();
      } catch (error) {
        expect(error).toBeInstanceOf(ChunkError);
        refused++;
      }
    };
    const count = cases(10, 150);
    for (let i = 0; i < count; i++) {
      const place = await putFiles("damage_test", { [name]: damage(whole, random) });
      await attempt(async () => {
        const file = await openArrayFile(filePlace(`${place}/${name}`)!);
        try {
          for (const inner of await file.names()) {
            await attempt(async () => {
              const array = await file.array(inner);
              const isSmall = elementCount(array.shape) < 1e6;
              await (isSmall ? readAll(array) : array.read(0, Math.min(1, array.shape[0]!)));
            });
          }
        } finally {
          await file.close();
        }
      });
    }
    expect(refused).toBeGreaterThan(count / 5);
  });
});
