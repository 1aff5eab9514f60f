/**
 * Pages: one HTML file with text, figures and tables, for any width, light and dark.
 *
 * @module
 */

import type { Drawing } from "./drawing.ts";
import { beside, stack, svgElement } from "./drawing.ts";
import { pictureStyle } from "./style.ts";
import { escapeText } from "../math/escape.ts";

/** What was asked and the answer, in its colour and with its sign. */
export interface Verdict {
  text: string;
  passed: boolean;
}

export type Cell = string | number | Verdict;

export interface Table {
  columns: readonly string[];
  rows: readonly (readonly Cell[])[];
}

export interface Figure {
  caption?: string;
  /** Draws for a width, px. */
  draw(width: number): Drawing;
  /** The same as numbers, for those who cannot see it, or want to know exactly; hidden until it is clicked. */
  table?: Table;
  /** Small figures stand beside one another, after those that take the page's width. Default false. */
  small?: boolean;
}

export interface Section {
  heading?: string;
  /** Paragraphs. */
  text?: readonly string[];
  figures?: readonly Figure[];
  table?: Table;
  /** Names and values. */
  facts?: readonly (readonly [name: string, value: Cell])[];
  /** Hides all but this line and the heading until it is clicked. */
  folded?: string;
}

export interface Page {
  title: string;
  /** After the title. */
  verdict?: Verdict;
  sections: readonly Section[];
}

// what a telephone shows beside its margins, and what a page of 72rem holds
const [NARROW, WIDE] = [340, 1100];
/** Between figures beside one another, px. */
const GAP = 40;
/** From here on a page takes wide figures, px. */
const WIDE_FROM = 800;
/** Characters of a cell that is broken into lines. */
const LONG_TEXT = 36;

const PAGE_STYLE = `body{font:15px/1.5 system-ui,"Segoe UI",Helvetica,Arial,sans-serif;margin:0}
main{max-width:${WIDE}px;margin:0 auto;padding:24px 16px 48px;overflow-wrap:break-word}
h1{font-size:24px;line-height:1.25;margin:0 0 12px}
h2{font-size:18px;line-height:1.3;margin:32px 0 8px}
p{margin:0 0 12px;max-width:46rem}
figure{margin:0 0 24px}
.figures{display:flex;flex-wrap:wrap;gap:24px 40px;margin:0 0 24px}
.figures figure{width:${NARROW}px;max-width:100%;margin:0}
figcaption{font-weight:600;margin-bottom:4px}
svg{display:block;max-width:100%;height:auto}
.scroll{overflow-x:auto;margin:12px 0}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:3px 12px 3px 0;text-align:left;border-bottom:1px solid var(--view-grid);white-space:nowrap}
thead th{vertical-align:bottom;line-height:1.2;font-weight:600;white-space:normal}
tbody th{font-weight:400;color:var(--view-soft)}
.facts td{white-space:normal;overflow-wrap:anywhere}
details{margin:4px 0 0}
.number{text-align:right}
.long{white-space:normal;overflow-wrap:anywhere;min-width:12rem;max-width:18rem}
.pass{color:var(--view-pass)}.fail{color:var(--view-fail)}
summary{cursor:pointer}
.wide{display:none}
@media(min-width:${WIDE_FROM}px){.wide{display:block}.narrow{display:none}}`;

/** All figures of a page below one another, small ones beside one another as far as there is room. */
export function drawFigures({ sections }: Page, width: number): Drawing {
  const rows: Drawing[][] = [];
  for (const { draw, small } of sections.flatMap(({ figures = [] }) => figures)) {
    const drawing = draw(small ? Math.min(width, NARROW) : width);
    const row = rows.at(-1);
    const taken = row?.reduce((sum, own) => sum + own.width + GAP, 0) ?? Infinity;
    if (row && taken + drawing.width <= width) row.push(drawing);
    else rows.push([drawing]);
  }
  return stack(rows.map((row) => beside(row, GAP)), 24);
}

/** A page as HTML; all text is escaped. */
export function drawPage({ title, verdict, sections }: Page): string {
  const body = sections.map(drawSection).join("\n");
  const heading = verdict ? `${escapeText(title)}: ${drawVerdict(verdict)}` : escapeText(title);
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeText(title)}</title>
<style>
${pictureStyle(body)}
${PAGE_STYLE}
</style>
</head>
<body class="view">
<main>
<h1>${heading}</h1>
${body}
</main>
</body>
</html>
`;
}

function drawSection({ heading, text = [], figures = [], table, facts, folded }: Section): string {
  const parts = [
    ...text.map((paragraph) => `<p>${escapeText(paragraph)}</p>`),
    ...figureElements(figures),
    ...table ? [drawTable(table)] : [],
    ...facts ? [drawFacts(facts)] : [],
  ].join("\n");
  const content = folded === undefined
    ? parts
    : `<details><summary>${escapeText(folded)}</summary>\n${parts}\n</details>`;
  return heading === undefined ? content : `<h2>${escapeText(heading)}</h2>\n${content}`;
}

/** Small figures beside one another as far as there is room, others one by one. */
function figureElements(figures: readonly Figure[]): string[] {
  const small = figures.filter((figure) => figure.small).map(({ caption, draw, table }) =>
    `<figure>${drawCaption(caption)}${svgElement(draw(NARROW))}${drawNumbers(table)}</figure>`
  );
  const wide = figures.filter((figure) => !figure.small).map(({ caption, draw, table }) =>
    `<figure>${drawCaption(caption)}<div class="wide">${svgElement(draw(WIDE))}</div>` +
    `<div class="narrow">${svgElement(draw(NARROW))}</div>${drawNumbers(table)}</figure>`
  );
  return small.length > 0 ? [...wide, `<div class="figures">${small.join("\n")}</div>`] : wide;
}

function drawCaption(caption: string | undefined): string {
  return caption === undefined ? "" : `<figcaption>${escapeText(caption)}</figcaption>`;
}

function drawVerdict({ text, passed }: Verdict): string {
  return `<span class="${passed ? "pass" : "fail"}">${escapeText(text)} ${
    passed ? "✓" : "✗"
  }</span>`;
}

function drawCell(cell: Cell): string {
  return typeof cell === "object" ? drawVerdict(cell) : escapeText(String(cell));
}

function isNumber(cell: Cell | undefined): boolean {
  const text = String(typeof cell === "object" ? cell.text : cell ?? "");
  return text.trim() !== "" && Number.isFinite(Number(text));
}

function kindOf(cell: Cell): string {
  return typeof cell === "string" && cell.length > LONG_TEXT ? ' class="long"' : "";
}

function drawTable({ columns, rows }: Table): string {
  const kinds = columns.map((_, column) =>
    rows.some((row) => isNumber(row[column])) ? ' class="number"' : ""
  );
  const head = columns.map((name, i) => `<th scope="col"${kinds[i]}>${escapeText(name)}</th>`);
  const body = rows.map((row) =>
    `<tr>${
      row.map((cell, i) => `<td${kindOf(cell) || kinds[i]!}>${drawCell(cell)}</td>`).join("")
    }</tr>`
  );
  return `<div class="scroll"><table><thead><tr>${head.join("")}</tr></thead>\n<tbody>${
    body.join("\n")
  }</tbody></table></div>`;
}

function drawNumbers(table: Table | undefined): string {
  if (!table) return "";
  return `<details><summary>The same as a table</summary>${drawTable(table)}</details>`;
}

function drawFacts(facts: readonly (readonly [string, Cell])[]): string {
  const rows = facts.map(([name, value]) =>
    `<tr><th scope="row">${escapeText(name)}</th><td${kindOf(value)}>${drawCell(value)}</td></tr>`
  );
  return `<div class="scroll"><table class="facts"><tbody>${rows.join("\n")}</tbody></table></div>`;
}
