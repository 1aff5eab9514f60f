/**
 * Checks of what models and fits are told, before anything is planned.
 *
 * @module
 */

import { wantedNames } from "../math/format.ts";

/** @throws {TypeError} If there is an option of another name. */
export function checkNames(action: string, options: object, names: readonly string[]): void {
  const other = Object.keys(options).find((name) => !names.includes(name));
  if (other !== undefined) {
    throw new TypeError(
      `Cannot ${action}: there is no option "${other}", ${wantedNames(other, names)}`,
    );
  }
}

/**
 * @throws {TypeError} If it is no number.
 * @throws {RangeError} If it is no whole number from `from`.
 */
export function checkWhole(action: string, name: string, value: unknown, from: number): void {
  const wanted = `wanted a whole number from ${from}`;
  if (typeof value !== "number") {
    throw new TypeError(`Cannot ${action}: ${name} is ${show(value)}, ${wanted}`);
  }
  if (!(Number.isSafeInteger(value) && value >= from)) {
    throw new RangeError(`Cannot ${action}: ${name} is ${value}, ${wanted}`);
  }
}

/** @throws {TypeError} If it is neither true nor false. */
export function checkFlag(action: string, name: string, value: unknown): void {
  if (typeof value === "boolean") return;
  throw new TypeError(`Cannot ${action}: ${name} is ${show(value)}, wanted true or false`);
}

/** @throws {TypeError} If it is given and no text. */
export function checkPlace(action: string, name: string, value: unknown): void {
  if (value === undefined || typeof value === "string") return;
  throw new TypeError(`Cannot ${action}: ${name} is ${show(value)}, wanted a place, as text`);
}

function show(value: unknown): string {
  return typeof value === "string" ? `"${value}"` : String(value);
}
