/**
 * Numbers as Python writes them: categories of numbers become names so, as pandas shows them.
 *
 * @module
 */

/** `1.0`, `0.1`, `1e-05`: a float; one that was stored in 32 bits by the digits that tell it from others. */
export function floatText(value: number, bits: 16 | 32 | 64 = 64): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const short = bits === 64 ? value : shortest(value);
  if (short === 0) return Object.is(short, -0) ? "-0.0" : "0.0";
  const [mantissa, exponent] = short.toExponential().split("e") as [string, string];
  const power = Number(exponent);
  if (power >= 16 || power < -4) {
    const digits = String(Math.abs(power)).padStart(2, "0");
    return `${mantissa}e${power < 0 ? "-" : "+"}${digits}`;
  }
  // below 1e21 and from 1e-6 on JavaScript writes no exponents
  const text = String(short);
  return text.includes(".") ? text : `${text}.0`;
}

function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return rounded;
  }
  return Number(value.toPrecision(9));
}
