/**
 * What a cell was given, from labels such as `A+B` and doses such as `1.0+0.5`.
 *
 * @module
 */

import { isMissingName } from "./names.ts";

/** Perturbations of a cell with their own doses, by name. Control stands alone. */
export interface Treatment {
  names: readonly string[];
  doses: readonly number[];
}

/** What was understood of a label, besides what it says. */
export interface Reading {
  treatment: Treatment;
  /** Names had blanks around them. */
  hadBlanks: boolean;
  /** Control stood beside a perturbation, and was left out with its dose. */
  hadControl: boolean;
}

export interface LabelRules {
  control: string;
  separator: string;
  /** The original's slip: doses stay in the order of the label, whatever becomes of the names. */
  compat?: boolean;
}

/**
 * Reads a label. Every name has the dose that stands at its place; without doses all are 1. Blanks around names do
 * not count, and control beside other perturbations is left out, with its dose. Names come in order, so that `B+A`
 * is `A+B`.
 *
 * @param doses Text of as many numbers, or a number for a single name.
 * @throws {RangeError} If it cannot be understood; says why.
 */
export function readLabel(
  label: string,
  doses: string | number | undefined,
  { control, separator, compat = false }: LabelRules,
): Reading {
  const parts = label.split(separator);
  const names = parts.map((part) => part.trim());
  if (names.includes("")) throw new RangeError(`"${label}" has an empty name`);
  const missing = names.find(isMissingName);
  if (missing !== undefined) throw new RangeError(`"${label}" names "${missing}", a missing value`);
  const values = readDoses(label, names.length, doses, separator);
  const given = names.map((name, i) => ({ name, dose: values[i]! }));
  const others = given.filter(({ name }) => name !== control);
  const kept = others.length === 0 ? given.slice(0, 1) : others;
  const asWritten = kept.map(({ dose }) => dose);
  // in any order a combination is the same, and its doses go along
  kept.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  const twice = kept.find(({ name }, i) => i > 0 && kept[i - 1]!.name === name);
  if (twice) throw new RangeError(`"${label}" names "${twice.name}" twice`);
  return {
    treatment: {
      names: kept.map(({ name }) => name),
      doses: compat ? asWritten : kept.map(({ dose }) => dose),
    },
    hadBlanks: names.some((name, i) => name !== parts[i]),
    hadControl: kept.length < given.length,
  };
}

function readDoses(
  label: string,
  count: number,
  doses: string | number | undefined,
  separator: string,
): number[] {
  if (doses === undefined) return new Array<number>(count).fill(1);
  const texts = typeof doses === "number" ? [String(doses)] : doses.split(separator);
  if (texts.length !== count) {
    throw new RangeError(`"${label}" has ${count} names and ${texts.length} doses, "${doses}"`);
  }
  return texts.map((text) => {
    const isNumber = /^\s*\+?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(text);
    const dose = isNumber ? Number(text) : NaN;
    if (Number.isFinite(Math.fround(dose))) return dose;
    throw new RangeError(`"${label}" has the dose "${doses}", wanted numbers from 0`);
  });
}
