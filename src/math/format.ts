/**
 * Sizes and names as people write them.
 *
 * @module
 */

const UNITS: Record<string, number> = {
  "": 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

/**
 * Reads a size: a number of bytes, or text such as `512MiB`, `"1.5 GB"`, `4096`.
 *
 * @throws {RangeError} If it is not a non-negative size.
 */
export function parseBytes(size: number | string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(String(size));
  const unit = match ? UNITS[match[2]!.toUpperCase()] : undefined;
  if (!match || unit === undefined) {
    throw new RangeError(
      `Cannot read a size: got "${size}", wanted bytes or a number with MiB, GiB, MB or GB`,
    );
  }
  return Math.floor(Number(match[1]) * unit);
}

/** Writes a size with a binary unit and three significant digits: `17.3 MiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = "B";
  for (const next of ["KiB", "MiB", "GiB", "TiB"]) {
    if (Math.abs(value) < 1024) break;
    value /= 1024;
    unit = next;
  }
  if (unit === "B") return `${value} B`;
  return `${value.toPrecision(value >= 999.5 ? 4 : 3)} ${unit}`;
}

/** Writes a whole number with its thousands apart: `1,976,441`. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** Writes a duration: `41 s`, `3 min 05 s`, `2 h 10 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const pad = (value: number) => String(value).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
}

/** Columns between those of a table. */
const GAP = 2;
/** Narrower than this, the first column is hard to read. */
const LEAST_LABEL = 20;

/**
 * Writes a table with a header row; cells right-aligned except the first column. Where it is too wide, words of the first column
 * go on below each other, or else every row becomes a paragraph.
 *
 * @param columns Of the terminal, if this runs on one.
 */
export function formatTable(
  rows: readonly (readonly string[])[],
  columns: number = terminalColumns(),
): string {
  const widths = rows[0]!.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))
  );
  const others = widths.slice(1).reduce((sum, width) => sum + GAP + width, 0);
  const room = Math.min(widths[0]!, columns - others);
  const [head, ...body] = rows as [readonly string[], ...(readonly string[])[]];
  const fits = room === widths[0] || room >= LEAST_LABEL &&
      rows.every(([label]) => label!.split(" ").every((word) => word.length <= room - 2 * GAP));
  if (!fits) {
    return body.map(([label, ...cells]) => {
      const said = cells.map((cell, i) => cell && `${head[i + 1]} ${cell}`.trim()).filter(Boolean);
      const indent = " ".repeat(GAP);
      const words = wrapWords(said.join(", "), columns - GAP).split("\n");
      return [label, ...words.filter(Boolean).map((line) => indent + line)].join("\n");
    }).join("\n");
  }
  widths[0] = room;
  const line = ([label, ...cells]: readonly string[]) => {
    const [first, ...more] = wrapWords(label!, room, GAP).split("\n");
    const right = cells.map((cell, column) => cell.padStart(widths[column + 1]!));
    return [[first!.padEnd(room), ...right].join("  ").trimEnd(), ...more].join("\n");
  };
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  return [line(head), rule, ...body.map(line)].join("\n");
}

/** Breaks lines between words; what follows stands `indent` further in than the first. */
export function wrapWords(
  text: string,
  columns: number = terminalColumns(),
  indent = 0,
): string {
  const start = /^ */.exec(text)![0];
  const [first, ...words] = text.slice(start.length).split(" ");
  const lines = [start + first];
  for (const word of words) {
    const longer = `${lines.at(-1)} ${word}`;
    if (longer.length <= columns) lines[lines.length - 1] = longer;
    else lines.push(start + " ".repeat(indent) + word);
  }
  return lines.join("\n");
}

/** Of the terminal that this runs on; where there is none, lines are as long as they like. */
function terminalColumns(): number {
  type Stream = { columns?: number };
  const { process } = globalThis as { process?: { stdout?: Stream; stderr?: Stream } };
  return process?.stdout?.columns || process?.stderr?.columns || Infinity;
}

/** Writes which names are wanted where another is given, and first the one that may be meant. */
export function wantedNames(name: unknown, names: readonly string[]): string {
  const meant = typeof name === "string" ? nearest(name, names) : undefined;
  const guess = meant === undefined ? "" : `"${meant}" may be meant, `;
  return `${guess}wanted one of ${names.join(", ")}`;
}

/** The name that is reached by fewest changes of letters, if those are few. */
function nearest(name: string, names: readonly string[]): string | undefined {
  const [best] = names.map((own) => ({ own, changes: changes(name, own) }))
    .sort((a, b) => a.changes - b.changes);
  return best && best.changes <= Math.max(1, best.own.length / 3) ? best.own : undefined;
}

/** Letters to be put in, left out, replaced, or swapped with their neighbour, in either case. */
function changes(from: string, to: string): number {
  const [own, other] = [from.toLowerCase(), to.toLowerCase()];
  let before: number[] = [];
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (let i = 0; i < own.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < other.length; j++) {
      const same = own[i] === other[j] ? 0 : 1;
      next.push(Math.min(row[j]! + same, row[j + 1]! + 1, next[j]! + 1));
      const swapped = i > 0 && j > 0 && own[i] === other[j - 1] && own[i - 1] === other[j];
      if (swapped) next[j + 1] = Math.min(next[j + 1]!, before[j - 1]! + 1);
    }
    [before, row] = [row, next];
  }
  return row.at(-1)!;
}

// beside line feeds and tabs: what moves a terminal's cursor, changes its colours or title, or turns the
// direction of text
const CONTROLS = /(?![\n\t])[\p{Cc}\p{Bidi_Control}]/gu;

/** Text for a terminal: control characters, which names in files may have, are written out. */
export function printable(text: string): string {
  return text.replace(
    CONTROLS,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A number as JSON has it: there are no infinities and no NaN, which become texts, as zarr writes them. */
export function jsonNumber(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

/** A value as JSON that a terminal shows as it is. */
export function printableJson(value: unknown): string {
  return printable(JSON.stringify(value));
}
