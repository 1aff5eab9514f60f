/**
 * Values that metadata of both versions of zarr have.
 *
 * @module
 */

import { show } from "./json.ts";

export type Json = Record<string, unknown>;

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** As numpy has them. */
const MOST_AXES = 64;

/** A list of sizes; chunks have no size 0, unless there is nothing along their axis. */
export function sizes(name: string, value: unknown, shape?: readonly number[]): readonly number[] {
  const isList = Array.isArray(value) &&
    value.every((size) => Number.isSafeInteger(size) && size >= 0);
  if (!isList) throw new RangeError(`its ${name} is ${show(value)}, wanted whole numbers`);
  if (value.length > MOST_AXES) {
    throw new RangeError(`its ${name} has ${value.length} axes, wanted ${MOST_AXES} at most`);
  }
  if (!shape) return value;
  if (value.length !== shape.length) {
    throw new RangeError(`its ${name} is [${value}], its shape [${shape}]`);
  }
  if (value.some((size, axis) => size === 0 && shape[axis]! > 0)) {
    throw new RangeError(`its ${name} is [${value}], wanted 1 at least along each axis`);
  }
  return value;
}

export function separatorOf(value: unknown, otherwise: "." | "/"): string {
  if (value === undefined || value === null) return otherwise;
  if (value === "." || value === "/") return value;
  throw new RangeError(`its chunk keys are joined by ${show(value)}, wanted "." or "/"`);
}

export function unknownType(kind: string, type: unknown): RangeError {
  const name = typeof type === "string" ? show(type).slice(1, -1) : show(type);
  return new RangeError(`its elements are ${kind && `${kind} `}${name}, wanted numbers`);
}

export function ownValue<Value>(
  table: Readonly<Record<string, Value>>,
  key: string,
): Value | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

/** What version 3 names, with its configuration. */
export interface Extension {
  name: string;
  options: Json;
}

/** A name with its configuration, or a name alone. */
export function extension(what: string, value: unknown): Extension {
  if (typeof value === "string") return { name: value, options: {} };
  const { name, configuration = {}, must_understand: _, ...others } = isObject(value) ? value : {};
  if (typeof name !== "string" || !isObject(configuration)) {
    throw new RangeError(`its ${what} is ${show(value)}, wanted a name and a configuration`);
  }
  for (const key of Object.keys(others)) {
    throw new RangeError(
      `its ${what} ${show(name)} has an unknown ${show(key)}`,
    );
  }
  return { name, options: configuration };
}

/** Refuses keys that are not known, unless they say themselves that they may be ignored. */
export function checkKeysV3(metadata: Json, known: ReadonlySet<string>): void {
  for (const [key, value] of Object.entries(metadata)) {
    const isIgnorable = isObject(value) && value.must_understand === false;
    if (!known.has(key) && !isIgnorable) {
      throw new RangeError(`its metadata has an unknown ${show(key)}`);
    }
  }
}
