import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { COMMANDS } from "../../src/cli/commands.ts";
import { CommandLine } from "../../src/cli/usage.ts";
import * as sluice from "../../src/mod.ts";
import { blocksOf, commandsOf, declaredBy, PAGES, sluiceArguments } from "../support/doc_blocks.ts";

const blocks = PAGES.flatMap(blocksOf);
const commands = blocks.filter(({ language }) => language === "sh").flatMap((block) =>
  commandsOf(block).map((words) => ({ where: `${block.page}:${block.line}`, words }))
);

describe("README and docs", () => {
  it("have commands that are read as they are, or scripts of the package", () => {
    // what this test reads is what there is to read
    expect(commands.length).toBeGreaterThan(35);
    for (const { where, words } of commands) {
      const args = sluiceArguments(words);
      if (args) {
        const [name, ...rest] = args.filter((arg) => arg !== "…");
        const { sections } = COMMANDS[name!]!;
        // a flag whose value is left to the reader
        const whole = rest.filter((arg) => arg !== "--spike-times" || !args.includes("…"));
        const upTo = whole.indexOf(">");
        const own = upTo < 0 ? whole : whole.slice(0, upTo);
        expect([where, new CommandLine(own, sections, { positionals: 3 })]).toBeDefined();
        continue;
      }
      const line = words.join(" ");
      for (const [, script] of line.matchAll(/npm run (?:-s )?([\w:]+)/g)) {
        expect([where, Object.keys(packageJson.scripts)]).toEqual([
          where,
          expect.arrayContaining([script]),
        ]);
      }
      expect([where, line]).toEqual([where, expect.stringMatching(/^(npm|deno) /)]);
    }
  });

  it("import what the package exports", () => {
    const known = Object.keys(sluice);
    for (const { page, line, code } of blocks) {
      for (const [, list] of code.matchAll(/^import \{([^}]*)\} from "sluice"/gm)) {
        const names = list!.split(",").map((name) => name.trim());
        expect([`${page}:${line}`, names.filter((name) => !known.includes(name))])
          .toEqual([`${page}:${line}`, []]);
      }
    }
  });

  it("link to what is there", () => {
    for (const page of [...PAGES, "CONTRIBUTING.md", "MIGRATING.md"]) {
      const text = readFileSync(page, "utf8").replace(/^```.*?^```/gms, "");
      for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(target!)) continue;
        const [path, anchor] = target!.split("#") as [string, string?];
        const file = path === "" ? page : join(dirname(page), path);
        expect([page, target, existsSync(file)]).toEqual([page, target, true]);
        if (anchor === undefined || !file.endsWith(".md")) continue;
        expect([page, target, headingsOf(file)]).toEqual([
          page,
          target,
          expect.arrayContaining([anchor]),
        ]);
      }
    }
  });

  it("are cited by the version that the package has", () => {
    const text = readFileSync("CITATION.cff", "utf8");
    expect(text).toContain(`\nversion: ${packageJson.version}\n`);
    expect(text).toContain(`\nlicense: ${packageJson.license}\n`);
    for (const file of ["CITATION.cff", "SECURITY.md", "CHANGELOG.md", "docs"]) {
      expect(packageJson.files).toContain(file);
    }
  });

  it("say what blocks declare, so that the next one has it", () => {
    const code =
      "const { a, b: c } = x;\nlet [d, e] = y;\nconst f: number = 1;\n  const inside = 2;\n";
    expect(declaredBy(code)).toEqual(["a", "c", "d", "e", "f"]);
  });
});

/** Anchors of headings, as GitHub makes them. */
function headingsOf(file: string): string[] {
  return [...readFileSync(file, "utf8").matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!.toLowerCase().replace(/[`*[\]()]/g, "").replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(
      " ",
      "-",
    )
  );
}
