import { describe, expect, it } from "vitest";
import { COLOR_MAPS, levelOf, LEVELS, type Rgb, SERIES } from "../../src/view/colors.ts";

const BACKGROUNDS = { light: "#ffffff", dark: "#0d1117" };

/** Relative luminance (WCAG 2). */
function luminance(color: Rgb): number {
  const [red, green, blue] = color.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Lightness L* (CIE 1976), 0 to 100. */
function lightness(color: Rgb): number {
  const y = luminance(color);
  return y <= 216 / 24389 ? y * 24389 / 27 : 116 * Math.cbrt(y) - 16;
}

function parseHex(text: string): Rgb {
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)) as unknown as Rgb;
}

function contrast(one: Rgb, other: Rgb): number {
  const [less, more] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (more + 0.05) / (less + 0.05);
}

describe("colour maps", () => {
  for (const side of ["light", "dark"] as const) {
    it(`go evenly from the background on, ${side}`, () => {
      const levels = COLOR_MAPS.even[side].map(lightness);
      expect(levels.length).toBe(LEVELS);
      const steps = levels.slice(1).map((level, i) => Math.abs(level - levels[i]!));
      const whole = Math.abs(levels.at(-1)! - levels[0]!);
      expect(whole).toBeGreaterThan(65);
      // one way only, so that grey prints and eyes without colour see the order
      expect(steps.reduce((sum, step) => sum + step)).toBeCloseTo(whole, 9);
      const mean = whole / (LEVELS - 1);
      expect(Math.max(...steps)).toBeLessThan(2 * mean);
      expect(Math.min(...steps)).toBeGreaterThan(0.3 * mean);
      const background = lightness(parseHex(BACKGROUNDS[side]));
      expect(Math.abs(levels[0]! - background)).toBeLessThan(8);
    });

    it(`around a middle leave it on both sides alike, ${side}`, () => {
      const levels = COLOR_MAPS.around[side].map(lightness);
      levels.forEach((level, i) => expect(Math.abs(level - levels.at(-1 - i)!)).toBeLessThan(7));
    });

    it(`for names stand out from the background, ${side}`, () => {
      const background = parseHex(BACKGROUNDS[side]);
      for (const color of SERIES) {
        expect(contrast(parseHex(color[side]), background)).toBeGreaterThan(4.5);
      }
    });
  }
});

describe("levelOf()", () => {
  it("gives the ends of the map to the ends of the range and beyond", () => {
    expect([-1, 0, 0.5, 1, 2, Infinity, -Infinity].map((value) => levelOf(value, 0, 1))).toEqual(
      [0, 0, Math.round(0.5 * (LEVELS - 1)), LEVELS - 1, LEVELS - 1, LEVELS - 1, 0],
    );
    expect(levelOf(0.25, 0, 1, 0.5)).toBe(levelOf(0.5, 0, 1));
  });
});
