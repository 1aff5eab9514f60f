import { describe, it } from "vitest";
import { blocksOf, PAGES } from "../support/doc_blocks.ts";
import { runtime } from "../support/runtime.ts";

describe("blocks of code", () => {
  for (const page of PAGES.filter((page) => blocksOf(page).length > 0)) {
    it(`of ${page} run as they are, one after the other`, async (context) => {
      if (runtime === "chromium") context.skip("pages are followed in Node and Deno");
      const { runPage } = await import("../support/run_docs.ts");
      for (const line of await runPage(page)) console.log(`not run, ${line}`);
    });
  }
});
