/** Where drivers come from: code that this process loads. */

import { createHash } from "node:crypto";
import { Buffer } from "node:buffer";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { brotliCompressSync, constants } from "node:zlib";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { areSafe, cacheFolder, findPackage, unpacked } from "../../src/gpu/driver_package.ts";
import { runCli } from "../support/cli.ts";
import { runtime } from "../support/runtime.ts";

const root = mkdtempSync(join(tmpdir(), `sluice-driver-${runtime}-`));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folder: string;
const reasons: string[] = [];
const refuse = (reason: string) => void reasons.push(reason);

beforeEach(() => {
  folder = mkdtempSync(join(root, "case-"));
  reasons.length = 0;
});

/** A tar of files, as the package has one. */
function tarOf(files: Record<string, string>): Uint8Array {
  const blocks = Object.entries(files).flatMap(([name, text]) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write(text.length.toString(8).padStart(11, "0"), 124);
    header.write("0", 156);
    return [header, Buffer.from(text.padEnd(512 * Math.ceil(text.length / 512), "\0"))];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

const GOOD = { "libvk_swiftshader.so": "code", "vk_swiftshader_icd.json": "{}" };

/** Puts a package below a folder. */
function install(
  into: string,
  { files = GOOD, name = "@sparticuz/chromium", version = "1.2.3" }: {
    files?: Record<string, string>;
    name?: string;
    version?: string;
  } = {},
) {
  const place = join(into, "node_modules/@sparticuz/chromium");
  mkdirSync(join(place, "bin"), { recursive: true });
  writeFileSync(join(place, "package.json"), JSON.stringify({ name, version }));
  const options = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };
  writeFileSync(join(place, "bin/swiftshader.tar.br"), brotliCompressSync(tarOf(files), options));
}

describe("the package that a driver comes from", () => {
  it("is one that lies beside this package or above it", () => {
    mkdirSync(join(folder, "a/b"), { recursive: true });
    install(folder);
    expect(findPackage(join(folder, "a/b"), refuse)?.version).toBe("1.2.3");
    rmSync(join(folder, "node_modules"), { recursive: true });
    // whoever runs this may have one above the folder of temporary files
    expect(findPackage(join(folder, "a/b"), refuse)?.version).not.toBe("1.2.3");
    expect(reasons).toEqual([]);
  });

  it("has the name and a version that it should", () => {
    for (
      const [name, version] of [["other", "1.2.3"], ["@sparticuz/chromium", "../../x"]] as const
    ) {
      install(folder, { name, version });
      expect(findPackage(folder, refuse)).toBeUndefined();
      expect(reasons.at(-1)).toContain(`is "${name}" ${version}, wanted a release of`);
    }
  });

  it("is never one of the folder that a command is started in", async () => {
    // the loader would say so of any driver that is none
    install(folder, { files: { ...GOOD, "libvulkan.so.1": "planted" } });
    const home = join(folder, "home");
    mkdirSync(home);
    const run = await runCli(["info", "--json"], {
      cwd: folder,
      env: { HOME: home, XDG_CACHE_HOME: join(home, "cache"), XDG_DATA_DIRS: ".:share" },
    });
    const { driver = "", error } = JSON.parse(run.stdout);
    expect(driver + JSON.stringify(error ?? "")).not.toContain("1.2.3");
    expect(existsSync(join(home, "cache/sluice/swiftshader-1.2.3"))).toBe(false);
    expect(run.code).toBe(0);
  });
});

describe("what is unpacked", () => {
  const unpack = async () => await unpacked(findPackage(folder, refuse)!, folder);

  it("is the user's alone, and found again", async () => {
    install(folder);
    const first = await unpack();
    expect(first.source).toBe("npm");
    expect(readFileSync(join(first.folder, "libvk_swiftshader.so"), "utf8")).toBe("code");
    expect(statSync(first.folder).mode & 0o77).toBe(0);
    expect(statSync(join(first.folder, "libvk_swiftshader.so")).mode & 0o77).toBe(0);
    expect(await unpack()).toEqual({ ...first, source: "cache" });
  });

  it("is unpacked anew when a file was changed, added, removed or linked, or another may write", async () => {
    install(folder);
    const { folder: place } = await unpack();
    const file = join(place, "libvk_swiftshader.so");
    const changes = [
      () => writeFileSync(file, "evil"),
      () => writeFileSync(join(place, "libmore.so"), "evil"),
      () => rmSync(file),
      () => {
        rmSync(file);
        writeFileSync(join(folder, "elsewhere"), "code");
        symlinkSync(join(folder, "elsewhere"), file);
      },
      () => chmodSync(file, 0o666),
      () => chmodSync(place, 0o777),
      () => rmSync(join(place, "sha256.json")),
    ];
    for (const change of changes) {
      change();
      expect((await unpack()).source).toBe("npm");
      expect(readFileSync(file, "utf8")).toBe("code");
      expect((await unpack()).source).toBe("cache");
    }
    expect(existsSync(join(place, "libmore.so"))).toBe(false);
  });

  it("is another folder for another archive, whatever its version says", async () => {
    install(folder);
    const first = await unpack();
    install(folder, { files: { ...GOOD, "libvk_swiftshader.so": "other" } });
    const second = await unpack();
    expect(second.folder).not.toBe(first.folder);
    const archive = readFileSync(findPackage(folder, refuse)!.archive);
    const digest = createHash("sha256").update(archive).digest("hex");
    expect(second.folder).toContain(`swiftshader-1.2.3-${digest.slice(0, 16)}`);
  });

  it("has no file that it should not have, and none outside its folder", async () => {
    for (const name of ["../evil.so", "/evil.so", "a/libvk_swiftshader.so", "evil.so"]) {
      install(folder, { files: { ...GOOD, [name]: "x" } });
      await expect(unpack()).rejects.toThrow(/its archive holds ".*" of 1 bytes, wanted libEGL/);
      expect(existsSync(join(folder, "evil.so"))).toBe(false);
    }
  });
});

describe("the folder of what is unpacked", () => {
  const within = (name: string, work: () => void) => {
    const before = process.env.XDG_CACHE_HOME;
    process.env.XDG_CACHE_HOME = name;
    try {
      work();
    } finally {
      if (before === undefined) delete process.env.XDG_CACHE_HOME;
      else process.env.XDG_CACHE_HOME = before;
    }
  };

  it("is made for the user alone", () => {
    within(folder, () => {
      expect(cacheFolder(refuse)).toBe(join(folder, "sluice"));
      expect(statSync(join(folder, "sluice")).mode & 0o777).toBe(0o700);
    });
  });

  it("is not one that others can write, nor lies in one, which is said", () => {
    for (const [mode, open] of [[0o777, "sluice"], [0o770, "sluice"], [0o777, "."]] as const) {
      const cache = mkdtempSync(join(folder, "cache-"));
      mkdirSync(join(cache, "sluice"));
      chmodSync(join(cache, open), mode);
      within(cache, () => expect(cacheFolder(refuse)).not.toBe(join(cache, "sluice")));
      expect(reasons.at(-1)).toContain(`(mode ${mode.toString(8)}), wanted one of the user's`);
    }
    // where nobody may rename what is not theirs
    const sticky = mkdtempSync(join(folder, "cache-"));
    chmodSync(sticky, 0o1777);
    within(sticky, () => expect(cacheFolder(refuse)).toBe(join(sticky, "sluice")));
  });

  it("is never below the folder that a program was started in, by a path that is not whole", () => {
    within("cache", () => {
      expect(cacheFolder(refuse)).not.toContain(process.cwd());
      expect(existsSync("cache/sluice")).toBe(false);
    });
  });

  it("is not one that belongs to somebody else", (context) => {
    if (process.getuid?.() !== 0) context.skip("only root can give a folder away");
    const theirs = join(folder, "theirs");
    mkdirSync(theirs);
    chownSync(theirs, 12345, 0);
    expect(areSafe([theirs], refuse)).toBe(false);
    expect(reasons.at(-1)).toMatch(/belongs to user 12345, wanted/);
  });
});

it("a driver that the environment names without a whole path is refused", async () => {
  const run = await runCli(["info", "--json"], { env: { VK_DRIVER_FILES: "evil_icd.json" } });
  expect(JSON.parse(run.stdout).error.message).toMatch(
    /VK_DRIVER_FILES names "evil_icd.json", wanted a path from \/ on/,
  );
  expect(run.code).toBe(2);
});
