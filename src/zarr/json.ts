/**
 * JSON as zarr's writers make it: with NaN and infinities among the numbers, and whole numbers of any length.
 *
 * @module
 */

// strings are matched so that nothing inside them is
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|-?Infinity|NaN|[[\]{}]/g;
/** Begins the strings that stand for numbers while JSON is parsed; as an escape, since JSON wants it. */
const MARK = "\\u0000number:";
const MARKED = /^\0number:/;

/** Most bytes of a file of metadata: some ten thousand arrays have room in it. */
export const MOST_JSON_BYTES = 2 ** 26;

/** Most lists and objects within each other: JSON.parse() takes a stack for them. */
const MOST_NESTED = 100;

/**
 * What a file of JSON holds. Whole numbers beyond 2^53 come as `whole` makes them of their digits.
 *
 * @throws {SyntaxError} If it is not JSON, or not in UTF-8.
 */
export function parseJson(bytes: Uint8Array, whole: (digits: string) => unknown = Number): unknown {
  if (bytes.length > MOST_JSON_BYTES) {
    throw new SyntaxError(`it holds more than ${MOST_JSON_BYTES} bytes`);
  }
  let nested = 0;
  const text = decodeUtf8(bytes).replace(TOKENS, (token) => {
    if (token === "[" || token === "{") {
      if (++nested > MOST_NESTED) {
        throw new SyntaxError(`it is nested more than ${MOST_NESTED} times`);
      }
    } else if (token === "]" || token === "}") nested--;
    return /^-?(?:Infinity|NaN)$/.test(token) ||
        (/^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token)))
      ? `"${MARK}${token}"`
      : token;
  });
  return JSON.parse(text, (_, value) => {
    if (typeof value !== "string" || !MARKED.test(value)) return value;
    const number = value.replace(MARKED, "");
    return /\d/.test(number) ? whole(number) : Number(number);
  });
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new SyntaxError("it is not in UTF-8");
  }
}

const MOST_SHOWN = 120;

/** A value of metadata, as it may stand in a message: on a line, without what terminals obey, and not too long. */
export function show(value: unknown): string {
  if (typeof value === "bigint" || typeof value === "number") return String(value);
  const text = JSON.stringify(value, (_, part) => typeof part === "bigint" ? String(part) : part);
  if (text === undefined) return String(value);
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}
