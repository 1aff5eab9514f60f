/**
 * Strings as zarr stores them.
 *
 * @module
 */

/** How strings lie in bytes: of any length, or each in so many characters. */
export type TextType =
  | { coding: "vlen-utf8" }
  | { coding: "utf-32"; characters: number; isBigEndian: boolean }
  | { coding: "bytes"; characters: number };

/** The strings that numpy means by a name such as `<U8`; `undefined` if it means something else. */
export function textTypeV2(name: unknown, isVariable: boolean): TextType | undefined {
  if (typeof name !== "string") return undefined;
  if (name === "|O" && isVariable) return { coding: "vlen-utf8" };
  const [, order, kind, digits] = /^([<>|])([US])(\d{1,9})$/.exec(name) ?? [];
  const characters = Number(digits);
  if (kind === "S") return { coding: "bytes", characters };
  if (kind === "U" && order !== "|") {
    return { coding: "utf-32", characters, isBigEndian: order === ">" };
  }
  return undefined;
}

/** Bytes of each string; `undefined` where they differ. */
export function textBytes(type: TextType): number | undefined {
  if (type.coding === "vlen-utf8") return undefined;
  return type.characters * (type.coding === "utf-32" ? 4 : 1);
}

/** What strings are that are not stored; `undefined` if that is something else than a string. */
export function textFillOf(value: unknown, { coding }: TextType): string | undefined {
  if (value === null) return "";
  if (typeof value !== "string") return undefined;
  if (coding !== "bytes") return value;
  try {
    return decodeUtf8(trimZeros(Uint8Array.from(atob(value), (byte) => byte.charCodeAt(0))));
  } catch {
    return undefined;
  }
}

/**
 * The strings of a chunk.
 *
 * @throws {RangeError} If there are others than so many, or they are damaged.
 */
export function decodeTexts(bytes: Uint8Array, type: TextType, count: number): string[] {
  switch (type.coding) {
    case "vlen-utf8":
      return decodeVariable(bytes, count);
    case "bytes":
      return eachOf(bytes, type.characters, count, (own) => decodeUtf8(trimZeros(own)));
    case "utf-32":
      return eachOf(bytes, 4 * type.characters, count, (own) => {
        const view = new DataView(own.buffer, own.byteOffset, own.byteLength);
        const points = Array.from(
          { length: type.characters },
          (_, i) => view.getUint32(4 * i, !type.isBigEndian),
        );
        const end = points.findLastIndex((point) => point !== 0) + 1;
        return points.slice(0, end).map((point) => String.fromCodePoint(point)).join("");
      });
  }
}

function eachOf(
  bytes: Uint8Array,
  size: number,
  count: number,
  decode: (own: Uint8Array) => string,
): string[] {
  return Array.from({ length: count }, (_, i) => decode(bytes.subarray(i * size, (i + 1) * size)));
}

/** A count, then the length and UTF-8 of each string. */
function decodeVariable(bytes: Uint8Array, count: number): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const next = (): number => {
    at += 4;
    if (at > bytes.length) throw new RangeError(`its ${bytes.length} bytes end in a string`);
    return view.getUint32(at - 4, true);
  };
  const stored = next();
  if (stored !== count) throw new RangeError(`it holds ${stored} strings, wanted ${count}`);
  const texts: string[] = [];
  for (let i = 0; i < count; i++) {
    const length = next();
    if (at + length > bytes.length) {
      throw new RangeError(`its ${bytes.length} bytes end in a string`);
    }
    texts.push(decodeUtf8(bytes.subarray(at, at + length)));
    at += length;
  }
  if (at !== bytes.length) {
    throw new RangeError(`its ${bytes.length} bytes go on after its strings`);
  }
  return texts;
}

function trimZeros(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.findLastIndex((byte) => byte !== 0) + 1);
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new RangeError("it holds a string that is not in UTF-8");
  }
}
