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

/** Writes a table with a header row; cells right-aligned except the first column. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))
  );
  const line = (row: readonly string[]) =>
    row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    ).join("  ").trimEnd();
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  return [line(rows[0]!), rule, ...rows.slice(1).map(line)].join("\n");
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

/** Letters to be put in, left out or replaced, in either case. */
function changes(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...from.toLowerCase()].entries()) {
    const next = [i + 1];
    for (let j = 0; j < to.length; j++) {
      const same = letter === to[j]!.toLowerCase() ? 0 : 1;
      next.push(Math.min(row[j]! + same, row[j + 1]! + 1, next[j]! + 1));
    }
    row = next;
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

/** A value as JSON that a terminal shows as it is. */
export function printableJson(value: unknown): string {
  return printable(JSON.stringify(value));
}
