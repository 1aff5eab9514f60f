import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { stampArrays } from "../../src/condition/identity.ts";
import { encodeNpy } from "../../src/array/npy.ts";
import { archive } from "../support/zip_archive.ts";

const folder = await mkdtemp(join(tmpdir(), "sluice-stamp-"));
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("stampArrays()", () => {
  it("tells an array inside of a file from what another one wrote there, of the same size", async () => {
    const place = join(folder, "a.npz");
    const write = async (value: number, seconds: number) => {
      const content = encodeNpy(Float32Array.of(value));
      await writeFile(place, await archive([{ name: "x.npy", content }]));
      await utimes(place, seconds, seconds);
      return await stampArrays([`${place}/x`]);
    };
    const [first, second] = [await write(1, 1000), await write(2, 2000)];
    expect(first).toBeDefined();
    expect(second!.text).not.toBe(first!.text);
    expect((await stampArrays([`${place}/x`]))!.text).toBe(second!.text);
  });
});
