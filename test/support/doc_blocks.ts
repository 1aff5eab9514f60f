/** The blocks of code of README and docs, as they are. */

import { readdirSync, readFileSync } from "node:fs";

export interface DocBlock {
  page: string;
  /** Of its first line of code. */
  line: number;
  language: string;
  code: string;
}

export const PAGES = [
  "README.md",
  ...readdirSync("docs").filter((name) => name.endsWith(".md")).sort().map((name) =>
    `docs/${name}`
  ),
];

export function blocksOf(page: string): DocBlock[] {
  const text = readFileSync(page, "utf8");
  return [...text.matchAll(/^```(\w*)\n(.*?)^```/gms)].map(({ index, 1: language, 2: code }) => ({
    page,
    line: text.slice(0, index).split("\n").length + 1,
    language: language!,
    code: code!,
  }));
}

/** Commands of a block of shell, as words: without comments, broken lines joined. */
export function commandsOf({ code }: DocBlock): string[][] {
  return code.replace(/\\\n\s*/g, " ").split("\n")
    .map((line) => line.replace(/\s+#.*$/, "").match(/(?:[^\s"]|"[^"]*")+/g) ?? [])
    .filter((words) => words.length > 0)
    .map((words) => words.map((word) => word.replaceAll('"', "")));
}

/** Arguments of `sluice` where a command runs it; an ellipsis stands for what comes before. */
export function sluiceArguments(words: readonly string[]): string[] | undefined {
  const [first] = words;
  if (first === "sluice") return words.slice(1);
  const own = words.join(" ").startsWith("npm run -s sluice -- ");
  return own ? words.slice(5) : undefined;
}

const NAME = /^(?:const|let) (\{[^=]*?\}|\[[^=]*?\]|\w+)(?:: [^=]+)? = /gm;

/** What a block of TypeScript declares at its outermost. */
export function declaredBy(code: string): string[] {
  return [...code.matchAll(NAME)].flatMap(([, pattern]) =>
    [...pattern!.matchAll(/(\w+)\s*(?=[,}\]]|$)/g)].map(([, name]) => name!)
  );
}
