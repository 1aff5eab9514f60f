/**
 * Labels that probes are fitted to.
 *
 * @module
 */

import type { Labels } from "../math/classification.ts";
import { binaryOf, shownLabel } from "../math/classification.ts";

/** A column of labels, 0 and 1 or booleans, or several by their names. */
export type LabelColumns = Labels | Readonly<Record<string, Labels>>;

/** A column that was looked at. */
export interface LabelColumn {
  name: string;
  /** `[rows]`, 0 or 1. */
  values: Uint8Array<ArrayBuffer>;
  positives: number;
  /** Why nothing can be fitted to it, if so. */
  reason: string | undefined;
}

/** The name of a column that has none. */
const ONLY = "label";

/**
 * @param rows Of the features.
 * @throws {TypeError} If there are no labels.
 * @throws {RangeError} If there are not as many as rows, one is not 0 or 1, or nothing can be fitted to the
 * only column.
 */
export function labelColumns(given: LabelColumns, rows: number, action: string): LabelColumn[] {
  const isOne = typeof (given as Labels | undefined)?.length === "number";
  if (!isOne && (typeof given !== "object" || given === null || Object.keys(given).length === 0)) {
    throw new TypeError(
      `Cannot ${action}: labels are ${
        given === null ? "null" : typeof given
      }, wanted 0 or 1 of every ` +
        "row, or columns of them by their names",
    );
  }
  const columns = isOne ? { [ONLY]: given as Labels } : given as Record<string, Labels>;
  const looked = Object.entries(columns).map(([name, labels]) =>
    lookAt(name, labels, rows, action)
  );
  if (isOne) refuseOne(looked[0]!, action);
  return looked;
}

/** @throws {RangeError} If nothing can be fitted to the only column. */
export function refuseOne({ reason }: LabelColumn, action: string): void {
  if (reason === undefined) return;
  throw new RangeError(`Cannot ${action}: ${reason}, wanted two rows and both classes`);
}

function lookAt(name: string, labels: Labels, rows: number, action: string): LabelColumn {
  if (labels.length !== rows) {
    throw new RangeError(
      `Cannot ${action}: column "${name}" has ${labels.length} labels, there are ${rows} samples`,
    );
  }
  const values = new Uint8Array(rows);
  for (let row = 0; row < rows; row++) {
    const label = binaryOf(labels[row]);
    if (label !== 0 && label !== 1) {
      throw new RangeError(
        `Cannot ${action}: label ${row} of column "${name}" is ${
          shownLabel(labels[row])
        }, wanted 0 or 1`,
      );
    }
    values[row] = label;
  }
  return columnOf(name, values);
}

/** @param what Labels are of, where that is not everything that has one. */
export function columnOf(
  name: string,
  values: Uint8Array<ArrayBuffer>,
  what = "",
): LabelColumn {
  const rows = values.length;
  const positives = values.reduce((sum, label) => sum + label, 0);
  const reason = rows < 2
    ? `there is 1 row${what}`
    : positives === 0 || positives === rows
    ? `all ${rows} labels${what} are ${positives === 0 ? 0 : 1}`
    : undefined;
  return { name, values, positives, reason };
}
