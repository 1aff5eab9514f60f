import { Buffer } from "node:buffer";
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { openSource } from "../../src/files/byte_source.ts";
import { openMember, readZip } from "../../src/files/zip.ts";
import { localHeader, ZipLayout } from "../../src/io/zip_layout.ts";
import { crc32 } from "../../src/math/crc32c.ts";
import { pythonMissing, runPython } from "../support/python.ts";
import { LEFT_OUT, quick } from "../support/tier.ts";

const GIB = 2 ** 30;
const text = (words: string) => new TextEncoder().encode(words);

/** What zipfile finds: names, sizes, places, and the content of members that are small. */
const READ = `
import json, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    infos = archive.infolist()
    small = [info for info in infos if info.file_size < 1000]
    if infos[0].file_size > 1000:
        assert archive.open(infos[0]).read(4) == b"\\0\\0\\0\\0"
    found = {info.filename: archive.read(info).decode() for info in small[:3] + small[-3:]}
    told = [[info.filename, info.file_size, info.header_offset] for info in infos[:3] + infos[-3:]]
    print(json.dumps({"count": len(infos), "found": found, "told": told}))
`;

let folder: string | undefined;
afterEach(() => {
  if (folder) rmSync(folder, { recursive: true });
  folder = undefined;
});

/** An archive of members of zeros, which are left out of the file, and of members of a few words. */
function write(members: readonly (readonly [name: string, content: number | string])[]) {
  const archive = new ZipLayout();
  const pieces: { at: number; bytes: Uint8Array[] }[] = [];
  const put = (at: number, ...bytes: Uint8Array[]) => void pieces.push({ at, bytes });
  for (const [name, content] of members) {
    const bytes = typeof content === "string" ? text(content) : undefined;
    const member = archive.add(name, bytes?.length ?? content as number);
    member.crc = bytes ? crc32(bytes) : 0;
    const header = localHeader(member);
    if (member.contentAt !== member.at + header.length) {
      throw new Error("a header is longer than was said");
    }
    put(member.at, header, ...bytes ? [bytes] : []);
  }
  put(archive.bytes, ...archive.directory());
  folder = mkdtempSync(join(tmpdir(), "sluice-zip64-"));
  const path = join(folder, "wide.zip");
  const file = openSync(path, "w");
  if (archive.members.length > 10) {
    writeSync(file, Buffer.concat(pieces.flatMap(({ bytes }) => bytes)));
  } else {
    for (const { at, bytes } of pieces) writeSync(file, Buffer.concat(bytes), 0, undefined, at);
  }
  closeSync(file);
  expect(statSync(path).size).toBe(archive.bytes);
  return { path, told: archive.members.map(({ bytes, at }) => [bytes, at] as const) };
}

describe("a zip archive that is written", () => {
  for (
    const [what, sizes] of [
      // 32 bits hold all but the last: it has the meaning "see zip64"
      ["one byte below what 32 bits hold", [2 ** 32 - 2]],
      ["what 32 bits hold", [2 ** 32 - 1]],
      ["members that lie beyond 4 GiB", [3 * GIB, 3 * GIB]],
      ["a member beyond 4 GiB of size", [5 * GIB, 7 * GIB]],
    ] as const
  ) {
    it(`is read by Python and by this package: ${what}`, async (context) => {
      const missing = pythonMissing(["zipfile"]);
      if (missing) context.skip(missing);
      const large = sizes.map((bytes, i) => [`large${i}`, bytes] as const);
      const members = [...large, ["ä/last", "what lies behind"]] as const;
      const { path, told } = write(members);
      const facts = members.map(([name], i) => [name, ...told[i]!] as const);
      const python = runPython(READ, path);
      expect(new Map(python.told.map((own: unknown[]) => [own[0], own]))).toEqual(
        new Map(facts.map((own) => [own[0], [...own]])),
      );
      expect(python.found).toEqual({ "ä/last": "what lies behind" });
      const source = await openSource(path);
      const found = await readZip(source);
      expect(found.map(({ name, bytes, headerAt }) => [name, bytes, headerAt])).toEqual(facts);
      const last = await openMember(source, found.at(-1)!);
      expect(new TextDecoder().decode(await last.read(0, last.bytes))).toBe("what lies behind");
      await source.close();
    });
  }

  for (const count of [65_534, 65_535]) {
    it(`is read by Python and by this package: ${count.toLocaleString("en")} members`, async (context) => {
      if (quick) context.skip(LEFT_OUT);
      const missing = pythonMissing(["zipfile"]);
      if (missing) context.skip(missing);
      const members = Array.from({ length: count }, (_, i) => [`c/${i}`, `${i}`] as const);
      const { path } = write(members);
      const { count: counted, found } = runPython(READ, path);
      expect(counted).toBe(count);
      expect(found[`c/${count - 1}`]).toBe(`${count - 1}`);
      const source = await openSource(path);
      expect((await readZip(source)).length).toBe(count);
      await source.close();
    });
  }
});
