/**
 * Ranges, ticks and their labels.
 *
 * @module
 */

/** From `low` to `high`; neither infinite, the second larger. */
export interface Range {
  low: number;
  high: number;
}

export interface Ticks {
  /** Ascending multiples of `step`. */
  values: number[];
  step: number;
}

export interface TickLabels {
  labels: string[];
  /** What all labels leave out, for the label of the axis: `×10⁶`, `from 1,000,000`. Often empty. */
  note: string;
}

// what is beyond is drawn at the edge, so that no difference overflows or vanishes
const LARGEST = 1e300;
const SMALLEST_SPAN = 1e-290;
/** Share of the larger end below which a range is one number: no ticks could be told apart. */
const LEAST_SHARE = 1e-12;

/** What the finite values cover; `undefined` if there are none. */
export function extent(values: ArrayLike<number>): Range | undefined {
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? { low, high } : undefined;
}

/** A range that can be drawn: 0 to 1 if there is none, wider if both ends are the same number. */
export function drawableRange(range?: Range): Range {
  if (!range || !Number.isFinite(range.low) || !Number.isFinite(range.high)) {
    return { low: 0, high: 1 };
  }
  const low = Math.max(-LARGEST, Math.min(range.low, range.high));
  const high = Math.min(LARGEST, Math.max(range.low, range.high));
  const size = Math.max(Math.abs(low), Math.abs(high));
  if (high - low > Math.max(SMALLEST_SPAN, LEAST_SHARE * size)) return { low, high };
  const middle = (low + high) / 2;
  const half = size > SMALLEST_SPAN ? size / 2 : 0.5;
  return { low: middle - half, high: middle + half };
}

/** Power of ten that is no larger than a positive value, exact where powers of ten are. */
function powerOfTen(value: number): number {
  const power = Math.floor(Math.log10(value));
  if (Number(`1e${power + 1}`) <= value) return power + 1;
  return Number(`1e${power}`) > value ? power - 1 : power;
}

/** Smallest of 1, 2, 5 times a power of ten that is no smaller than `least`. */
function roundStep(least: number): { digit: number; power: number } {
  const power = powerOfTen(least);
  const times = least / Number(`1e${power}`);
  const digit = [1, 2, 5].find((digit) => digit >= times * (1 - 1e-12));
  return digit === undefined ? { digit: 1, power: power + 1 } : { digit, power };
}

/** Ticks at round numbers within a range: about `count`, never more than one above; at whole ones if `whole`. */
export function ticksOf({ low, high }: Range, count: number, whole = false): Ticks {
  const least = (high - low) / Math.max(1, count);
  const { digit, power } = roundStep(whole ? Math.max(1, least) : least);
  const step = Number(`${digit}e${power}`);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  // a decimal as it is written, where a product of the step would miss it
  const values = Array.from(
    { length: Math.max(0, last - first + 1) },
    (_, i) => Number(`${(first + i) * digit}e${power}`),
  );
  return { values, step };
}

/** The range from tick to tick that holds all of a range. */
export function roundRange(range: Range, count: number, whole = false): Range {
  const { step } = ticksOf(range, count, whole);
  return {
    low: step * Math.floor(range.low / step + 1e-9),
    high: step * Math.ceil(range.high / step - 1e-9),
  };
}

const SUPERSCRIPTS: Record<string, string> = Object.fromEntries(
  [..."0123456789-"].map((digit, i) => [digit, [..."⁰¹²³⁴⁵⁶⁷⁸⁹⁻"][i]!]),
);

/** A decimal number with its thousands apart and a true minus. */
function formatDecimal(value: number, decimals: number): string {
  const [whole, part] = Math.abs(value).toFixed(decimals).split(".") as [string, string?];
  const apart = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, ",") : whole;
  const digits = part === undefined ? apart : `${apart}.${part}`;
  return value < 0 && /[1-9]/.test(digits) ? `−${digits}` : digits;
}

/** Labels of ticks, short and no two alike. */
export function labelTicks({ values, step }: Ticks): TickLabels {
  const largest = Math.max(...values.map(Math.abs), step);
  const [power, stepPower] = [powerOfTen(largest), powerOfTen(step)];
  const first = values[0] ?? 0;
  // the digits that all have in common say nothing
  if (power - stepPower > 6 && first !== 0 && values.length > 1) {
    const { labels, note } = labelTicks({ values: values.map((value) => value - first), step });
    return { labels, note: [`from ${formatNumber(first)}`, note].filter(Boolean).join(", ") };
  }
  const shift = power > 5 || power < -3 ? 3 * Math.floor(power / 3) : 0;
  const decimals = Math.max(0, shift - stepPower);
  const labels = values.map((value) => formatDecimal(Number(`${value}`) / 10 ** shift, decimals));
  if (shift === 0) return { labels, note: "" };
  const exponent = [...String(shift)].map((digit) => SUPERSCRIPTS[digit]).join("");
  return { labels, note: `×10${exponent}` };
}

/** A number as a person writes it, with at most so many significant digits. */
export function formatNumber(value: number, digits = 15): string {
  if (Number.isNaN(value)) return "none";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const rounded = Number(value.toPrecision(digits));
  const power = powerOfTen(Math.abs(rounded));
  if (power > 14 || power < -4) {
    const [mantissa, exponent] = rounded.toExponential().split("e") as [string, string];
    const raised = [...exponent.replace("+", "")].map((digit) => SUPERSCRIPTS[digit]).join("");
    return `${mantissa.replace("-", "−")}×10${raised}`;
  }
  return formatDecimal(rounded, String(rounded).split(".")[1]?.length ?? 0);
}
