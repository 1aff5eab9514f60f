/** A page that decodes into OPFS, for a test that closes it: `test/node/close_page_test.ts` drives it. */

import { openGpu } from "../../src/gpu/device.ts";
import { DecodeOutput } from "../../src/hmm/decode_store.ts";
import { Journal } from "../../src/store/journal.ts";
import { checkStored, hashesOf, smallDecode } from "./interrupted_decode.ts";

/** What {@link DecodePage.decode} tells while it works. */
export type PageReport = { event: "computed" | "committed"; pass: string; start: number };

export interface DecodePage {
  /** Decodes; how it ended. */
  decode(out: string): Promise<{ error?: string; resumed?: boolean }>;
  /** Rows of the smoothed posterior that are stored and right. */
  check(out: string, finished: string): Promise<number | undefined>;
  hashes(place: string): Promise<Record<string, string>>;
  /** Every file of the origin whose name begins like this, unfinished ones too. */
  files(start: string): Promise<string[]>;
}

declare global {
  /** Made by the test, which may let the page wait. */
  var tell: (report: PageReport) => Promise<void>;
  var decodePage: DecodePage | undefined;
}

const gpu = await openGpu({ budget: "64 MiB" });

const output = DecodeOutput.prototype;
// it waits, since what is told by a page that goes may get lost
const { commit } = output;
output.commit = async function (pass, tile) {
  await tell({ event: "computed", pass: pass.name, start: tile.start });
  return await commit.call(this, pass, tile);
};
const { append } = Journal.prototype;
Journal.prototype.append = async function (entry) {
  await append.call(this, entry);
  const { pass, start } = entry as { pass: string; start: number };
  await tell({ event: "committed", pass, start });
};

globalThis.decodePage = {
  async decode(out) {
    try {
      const result = await smallDecode(gpu, out).run();
      await result.close();
      return { resumed: result.resumed !== undefined };
    } catch (error) {
      const { name, message } = error as Error;
      return { error: `${name}: ${message}` };
    }
  },
  check: checkStored,
  hashes: hashesOf,
  async files(start) {
    const found: string[] = [];
    const walk = async (directory: FileSystemDirectoryHandle, path: string) => {
      for await (const [name, handle] of directory.entries()) {
        const own = `${path}/${name}`;
        found.push(own);
        if (handle.kind === "directory") await walk(handle as FileSystemDirectoryHandle, own);
      }
    };
    await walk(await navigator.storage.getDirectory(), "");
    return found.filter((path) => path.startsWith(`/${start}`)).sort();
  },
};
