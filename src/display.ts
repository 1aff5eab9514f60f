/**
 * How things show themselves: in a notebook of Jupyter, in a page, and where they are printed.
 *
 * @module
 */

import type { ChunkedArray } from "./chunked_array.ts";
import { escapeText } from "./math/escape.ts";
import { formatBytes, formatCount, printable } from "./math/format.ts";

/** What shows itself. */
export interface Displayed {
  /** As HTML for a notebook or a page; all text is escaped. */
  toHTML(): string;
}

/** What callers get of a run: a result that shows itself, but for typed arrays, which are numbers alone. */
export type Shown<Result> = Result extends ArrayBufferView ? Result : Result & Displayed;

/** What is shown of a thing. */
export interface Description {
  /** One line. */
  title: string;
  /** Names and values. */
  facts?: readonly (readonly [name: string, value: string])[];
  /** In lines of equal letters, as a table of memory. */
  text?: string;
  /** 0 to 1, of what is on its way. */
  fraction?: number;
}

/** Symbols that kernels and consoles ask for. */
const JUPYTER = Symbol.for("Jupyter.display");
const NODE = Symbol.for("nodejs.util.inspect.custom");
const DENO = Symbol.for("Deno.customInspect");

/** Gives a thing, or all of a class by its prototype, the methods by which it shows itself; they are not enumerable. */
export function displayed<Thing extends object>(
  thing: Thing,
  describe: (own: Thing) => Description,
): Thing & Displayed {
  const methods = {
    toHTML(this: Thing) {
      return htmlOf(describe(this));
    },
    [JUPYTER](this: Thing) {
      const own = describe(this);
      return { "text/plain": textOf(own), "text/html": htmlOf(own) };
    },
    [NODE](this: Thing) {
      return textOf(describe(this));
    },
    [DENO](this: Thing) {
      return textOf(describe(this));
    },
  };
  for (const key of ["toHTML", JUPYTER, NODE, DENO] as const) {
    const value = methods[key as keyof typeof methods];
    Object.defineProperty(thing, key, { value, configurable: true, writable: true });
  }
  return thing as Thing & Displayed;
}

/** In lines. */
export function textOf({ title, facts = [], text }: Description): string {
  const widest = Math.max(0, ...facts.map(([name]) => name.length));
  const lines = facts.map(([name, value]) => `  ${name.padEnd(widest)}  ${value}`);
  return printable([title, ...lines, ...text === undefined ? [] : [text]].join("\n"));
}

// pages have styles of their own: these take their colours from where they are
const CELL = "text-align:left;padding:1px 12px 1px 0;vertical-align:top";

export function htmlOf({ title, facts = [], text, fraction }: Description): string {
  const rows = facts.map(([name, value]) =>
    `<tr><th scope="row" style="${CELL};font-weight:400;opacity:.75">${escapeText(name)}</th>` +
    `<td style="${CELL};font-variant-numeric:tabular-nums">${escapeText(value)}</td></tr>`
  );
  const table = rows.length > 0
    ? `<table style="border-collapse:collapse;margin:4px 0">${rows.join("")}</table>`
    : "";
  const bar = fraction === undefined
    ? ""
    : `<progress max="1" value="${fraction}" style="width:100%;max-width:30rem" ` +
      `aria-label="${escapeText(title)}"></progress>`;
  const lines = text === undefined
    ? ""
    : `<pre style="overflow-x:auto;margin:4px 0;font-size:12px">${escapeText(text)}</pre>`;
  return `<div class="sluice" style="font:14px/1.5 system-ui,sans-serif;max-width:100%">` +
    `<div style="font-weight:600">${escapeText(title)}</div>${bar}${table}${lines}</div>`;
}

const isArray = (value: unknown): value is ChunkedArray =>
  typeof value === "object" && value !== null && "read" in value && "shape" in value &&
  "dtype" in value;

function arrayWords({ shape, dtype, dims }: ChunkedArray): string {
  return `${dtype} [${shape.join(", ")}]${dims ? `, ${dims.join(" x ")}` : ""}`;
}

/** An array, to be read: its type, shape and dims. */
export function describeArray(array: ChunkedArray): Description {
  return {
    title: `array, ${arrayWords(array)}`,
    facts: [["rows that are best read together", formatCount(array.chunkRows)]],
  };
}

/** An array that shows itself. */
export function displayedArray<Own extends ChunkedArray>(array: Own): Own & Displayed {
  return displayed(array, describeArray);
}

/**
 * A result that shows its fields, and arrays among them that do so themselves. What is no plain object is given back
 * as it is: numbers show themselves.
 */
export function displayedResult<Result>(title: string, result: Result): Shown<Result> {
  if (typeof result !== "object" || result === null) return result as Shown<Result>;
  const prototype = Object.getPrototypeOf(result);
  if (prototype !== Object.prototype && prototype !== null) return result as Shown<Result>;
  for (const value of fieldsOf(result).map(([, value]) => value)) {
    if (isArray(value) && !("toHTML" in value)) displayedArray(value);
  }
  return displayed(result, (own) => ({ title, facts: factsOf(own) })) as Shown<Result>;
}

/** Fields that are there; what is worked out when it is asked for is not asked for. */
function fieldsOf(object: object): [string, unknown][] {
  return Object.entries(Object.getOwnPropertyDescriptors(object))
    .filter(([, { enumerable, get }]) => enumerable && !get)
    .map(([name, { value }]) => [name, value]);
}

/** Entries of a field that are listed. */
const MOST_LISTED = 4;

function factsOf(object: object): [string, string][] {
  return fieldsOf(object).flatMap(([name, value]): [string, string][] => {
    const words = wordsOf(name, value);
    return words === undefined ? [] : [[name, words]];
  });
}

/** Whole numbers as they are, others by six digits. */
const shortNumber = (value: number | bigint): string =>
  typeof value === "bigint" || Number.isInteger(value)
    ? formatCount(Number(value))
    : String(Number(value.toPrecision(6)));

function wordsOf(name: string, value: unknown): string | undefined {
  if (isArray(value)) return arrayWords(value);
  if (ArrayBuffer.isView(value)) {
    const { constructor, length } = value as unknown as ArrayLike<number>;
    const some = Array.from(value as unknown as ArrayLike<number>).slice(0, MOST_LISTED);
    const more = length > MOST_LISTED ? ", ..." : "";
    return `${constructor.name} [${length}]: ${
      some.map((own) => shortNumber(own)).join(", ")
    }${more}`;
  }
  if (typeof value === "number") return shortNumber(value);
  if (typeof value === "string" || typeof value === "boolean") return String(value);
  if (typeof value !== "object" || value === null) return undefined;
  if (/Bytes$/.test(name)) {
    const sizes = Object.entries(value).filter(([, size]) => typeof size === "number");
    // of a result that was opened, not run, nothing is known
    if (sizes.every(([, size]) => size === 0)) return undefined;
    return sizes.map(([place, size]) => `${place} ${formatBytes(size)}`).join(", ");
  }
  if (Array.isArray(value)) return `${value.length} of them`;
  const inner = fieldsOf(value).flatMap(([name, own]) =>
    isArray(own) ? [`${name} ${arrayWords(own)}`] : []
  );
  if (inner.length > 0) return inner.join("; ");
  const numbers = fieldsOf(value).filter(([, own]) => typeof own === "number");
  return numbers.length > 0
    ? numbers.slice(0, MOST_LISTED).map(([name, own]) => `${name} ${shortNumber(own as number)}`)
      .join(", ")
    : undefined;
}
