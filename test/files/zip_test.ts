import { describe, expect, it } from "vitest";
import { openNpz } from "../../src/array/npz.ts";
import { encodeNpy } from "../../src/array/npy.ts";
import { ChunkError } from "../../src/errors.ts";
import { blobSource } from "../../src/files/byte_source.ts";
import { openMember, readZip } from "../../src/files/zip.ts";
import { archive } from "../support/zip_archive.ts";

async function contentOf(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<Uint8Array> {
  const source = blobSource(new File([bytes], "a.zip"));
  const member = (await readZip(source)).find((member) => member.name === name)!;
  const opened = await openMember(source, member);
  return (await opened.read(0, opened.bytes)).slice();
}

const content = Uint8Array.from({ length: 5000 }, (_, i) => i * i % 251);

describe("a zip archive", () => {
  it("gives back what it holds: stored, deflated, and with sizes of 64 bits", async () => {
    const members = [
      { name: "a", content },
      { name: "b", content: content.subarray(7), deflate: true },
      { name: "c", content: content.subarray(0, 9), wide: true },
      { name: "d", content: content.subarray(9), wide: true, deflate: true },
      { name: "none", content: content.subarray(0, 0) },
    ];
    for (const wide of [false, true]) {
      const bytes = await archive(members, { wide });
      for (const { name, content } of members) {
        expect(await contentOf(bytes, name)).toEqual(content);
      }
    }
  });

  it.each([
    ["has another checksum", { says: { crc: 1 } }, /checksum \(CRC-32\) is wrong/],
    ["is deflated, with another checksum", { deflate: true, says: { crc: 1 } }, /CRC-32/],
    [
      "holds more than it declares",
      { deflate: true, says: { bytes: 4999 } },
      /more than the 4999 bytes/,
    ],
    [
      "holds less than it declares",
      { deflate: true, says: { bytes: 5001 } },
      /has 5000 bytes and declares 5001/,
    ],
    [
      "declares what deflate cannot do",
      { deflate: true, says: { bytes: 2 ** 31 } },
      /are said to hold 2147483648/,
    ],
    ["is stored, with two sizes", { says: { bytes: 4999 } }, /5000 bytes are said to hold 4999/],
    ["reaches beyond the archive", { says: { bytes: 9e5, packedBytes: 9e5 } }, /header is damaged/],
    ["is encrypted", { says: { flags: 1 } }, /it is encrypted/],
    ["is compressed otherwise", { says: { method: 12 } }, /compression is not known/],
  ])("refuses a member that %s", async (_, member, message) => {
    const bytes = await archive([{ name: "a", content, ...member }]);
    await expect(contentOf(bytes, "a")).rejects.toThrow(ChunkError);
    await expect(contentOf(bytes, "a")).rejects.toThrow(message);
  });

  it("refuses deflated bytes that were damaged", async () => {
    const bytes = await archive([{ name: "a", content, deflate: true }]);
    let refused = 0;
    for (let at = 40; at < 90; at++) {
      const damaged = bytes.slice();
      damaged[at]! ^= 1 << at % 8;
      const found = await contentOf(damaged, "a").catch((error) => error);
      expect(found).toBeInstanceOf(ChunkError);
      refused++;
    }
    expect(refused).toBe(50);
  });

  it("refuses what is cut short, wherever", async () => {
    const bytes = await archive([{ name: "a", content: content.subarray(0, 50) }], { wide: true });
    for (let length = 0; length < bytes.length; length++) {
      const opened = readZip(blobSource(new Blob([bytes.subarray(0, length)])));
      await expect(opened).rejects.toThrow(ChunkError);
    }
  });

  it("holds no more of a bomb than it declares", async () => {
    // 20 MB of zeros that call themselves 1000 bytes
    const bytes = await archive([
      { name: "a", content: new Uint8Array(20_000_000), deflate: true, says: { bytes: 1000 } },
    ]);
    expect(bytes.length).toBeLessThan(30_000);
    await expect(contentOf(bytes, "a")).rejects.toThrow(/more than the 1000 bytes/);
  });
});

describe("openNpz()", () => {
  it("tells shape and dtype of a compressed array by its start alone", async () => {
    const values = Float32Array.from({ length: 3_000_000 }, (_, i) => i % 3);
    const content = encodeNpy(values, [1_000_000, 3]);
    const bytes = await archive([{ name: "x.npy", content, deflate: true }]);
    let read = 0;
    const whole = blobSource(new Blob([bytes]));
    const source = {
      ...whole,
      read(offset: number, length: number) {
        read += Math.min(length, bytes.length - offset);
        return whole.read(offset, length);
      },
    };
    const { shape, dtype } = await openNpz(source, "x", { onlyStart: true });
    expect([shape, dtype]).toEqual([[1_000_000, 3], "float32"]);
    const array = await openNpz(source, "x");
    expect(await array.read(999_999, 1_000_000)).toEqual(values.slice(-3));
    expect(read).toBeLessThan(5 * bytes.length);
  });

  it("refuses two arrays of one name", async () => {
    const content = encodeNpy(Float32Array.of(1));
    const bytes = await archive([{ name: "x.npy", content }, { name: "x.npy", content }]);
    await expect(openNpz(blobSource(new Blob([bytes])), "x")).rejects.toThrow(/there are 2 arrays/);
  });
});
