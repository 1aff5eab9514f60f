/** A row of the table of targets. */

/** A row of the table; `passed` is undefined where nothing could be measured. */
export interface Target {
  row: number;
  what: string;
  target: string;
  measured: string;
  passed: boolean | undefined;
}

export const notRun = (row: number, what: string, target: string, reason: string): Target => ({
  row,
  what,
  target,
  measured: reason,
  passed: undefined,
});
