/** A page that decodes into OPFS, for a test that closes it: `test/node/close_page_test.ts` drives it. */

import { openGpu } from "../../src/gpu/device.ts";
import type { Tile } from "../../src/stream/pass.ts";
import { StoredOutput } from "../../src/stream/stored_output.ts";
import { Journal } from "../../src/store/journal.ts";
import { checkStored, hashesOf, smallDecode } from "./interrupted_decode.ts";

/** What {@link DecodePage.decode} tells while it works. */
export type PageReport = { event: "computed" | "committed"; pass: string; row: number };

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

const placeOf = ({ start, end }: Tile, forward: boolean) =>
  forward ? { pass: "filter", row: end } : { pass: "smooth", row: start };
const output = StoredOutput.prototype;
// it waits, since what is told by a page that goes may get lost
const { commit } = output;
output.commit = async function (tile, forward) {
  await tell({ event: "computed", ...placeOf(tile, forward) });
  return await commit.call(this, tile, forward);
};
const { append } = Journal.prototype;
Journal.prototype.append = async function (entry) {
  await append.call(this, entry);
  const { pass, row } = entry as { pass: string; row: number };
  await tell({ event: "committed", pass, row });
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
