/**
 * Attributes of a group as every reader takes them: numbers, texts, and lists of these. NetCDF knows no others.
 *
 * What is more than that is a text of JSON, and what is true or false 1 or 0; two attributes tell which are such.
 *
 * @module
 */

const JSON_NAMES = "json_attributes";
const FLAG_NAMES = "flag_attributes";

type Attributes = Record<string, unknown>;

const isNumber = (value: unknown) => typeof value === "number" && Number.isFinite(value);
const isText = (value: unknown) => typeof value === "string";

function isPlain(value: unknown): boolean {
  if (isNumber(value) || isText(value)) return true;
  return Array.isArray(value) && value.length > 0 && (value.every(isNumber) || value.every(isText));
}

/** As they are stored. */
export function plainAttributes(attributes: Attributes): Attributes {
  const entries = Object.entries(attributes).filter(([, value]) => value !== undefined);
  const flags = entries.filter(([, value]) => typeof value === "boolean").map(([name]) => name);
  const others = entries.filter(([name, value]) => !isPlain(value) && !flags.includes(name))
    .map(([name]) => name);
  const plain = entries.map(([name, value]) => [
    name,
    flags.includes(name) ? Number(value) : others.includes(name) ? JSON.stringify(value) : value,
  ]);
  return {
    ...Object.fromEntries(plain),
    ...(others.length > 0 && { [JSON_NAMES]: others.join(" ") }),
    ...(flags.length > 0 && { [FLAG_NAMES]: flags.join(" ") }),
  };
}

/**
 * As they were given.
 *
 * @throws {SyntaxError} If one that is said to be JSON is none.
 */
export function fullAttributes(stored: Attributes): Attributes {
  const { [JSON_NAMES]: json, [FLAG_NAMES]: flags, ...attributes } = stored;
  for (const name of namesIn(json)) {
    if (typeof attributes[name] === "string") attributes[name] = JSON.parse(attributes[name]);
  }
  for (const name of namesIn(flags)) {
    if (typeof attributes[name] === "number") attributes[name] = attributes[name] === 1;
  }
  return attributes;
}

function namesIn(list: unknown): string[] {
  return typeof list === "string" ? list.split(" ") : [];
}
