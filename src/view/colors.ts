/**
 * Colours of pictures, each in a light and a dark version: maps for numbers and a series for names.
 *
 * Lightness alone tells the numbers of a map apart, in even steps, so that it reads the same without
 * colour vision. The series is close to that of Okabe and Ito (2008).
 *
 * @module
 */

/** Red, green, blue, 0 to 255. */
export type Rgb = readonly [number, number, number];

export interface ColorMap {
  /** Colours of equally spaced numbers, from the lowest; as many in either. */
  light: readonly Rgb[];
  dark: readonly Rgb[];
}

/** Colours of a map: a step is too small to be seen. */
export const LEVELS = 64;

/** Lightness 0 to 1, chroma and hue in degrees, as in Oklch (Ottosson 2020). */
type Oklch = readonly [number, number, number];

function rgbOf([lightness, chroma, hue]: Oklch): Rgb {
  const a = chroma * Math.cos(hue * Math.PI / 180);
  const b = chroma * Math.sin(hue * Math.PI / 180);
  const long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const short = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
    -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
    -0.0041960863 * long - 0.7034186147 * medium + 1.707614701 * short,
  ];
  return linear.map((part) => {
    const kept = Math.min(1, Math.max(0, part));
    const encoded = kept <= 0.0031308 ? 12.92 * kept : 1.055 * kept ** (1 / 2.4) - 0.055;
    return Math.round(255 * encoded);
  }) as unknown as Rgb;
}

/** Colours at equal steps along a line through stops that are themselves equally spaced. */
function ramp(stops: readonly Oklch[]): Rgb[] {
  return Array.from({ length: LEVELS }, (_, level) => {
    const at = level / (LEVELS - 1) * (stops.length - 1);
    const from = Math.min(stops.length - 2, Math.floor(at));
    const [before, after] = [stops[from]!, stops[from + 1]!];
    const between = before.map((part, i) => part + (at - from) * (after[i]! - part));
    return rgbOf(between as unknown as Oklch);
  });
}

/** Maps by name. `even` goes from the background up, `around` from one side of a middle to the other. */
export const COLOR_MAPS = {
  even: {
    light: ramp([[0.99, 0.004, 215], [0.79, 0.085, 225], [0.54, 0.13, 250], [0.28, 0.1, 270]]),
    dark: ramp([[0.21, 0.025, 265], [0.45, 0.12, 262], [0.7, 0.12, 225], [0.96, 0.06, 180]]),
  },
  around: {
    light: ramp([[0.4, 0.13, 255], [0.72, 0.1, 240], [0.97, 0, 90], [0.72, 0.12, 55], [
      0.4,
      0.11,
      40,
    ]]),
    dark: ramp([[0.85, 0.1, 225], [0.53, 0.11, 250], [0.24, 0, 90], [0.53, 0.11, 45], [
      0.85,
      0.11,
      75,
    ]]),
  },
} as const satisfies Record<string, ColorMap>;

export type ColorMapName = keyof typeof COLOR_MAPS;

/** Cells without a number. */
export const MISSING: { light: Rgb; dark: Rgb } = { light: [208, 208, 208], dark: [72, 72, 72] };

/** Colours of things with names, light and dark; after the last, lines begin again with dashes. */
export const SERIES: readonly { light: string; dark: string }[] = [
  { light: "#0068a8", dark: "#56b4e9" },
  { light: "#c64f00", dark: "#f08a3c" },
  { light: "#007a59", dark: "#2cc295" },
  { light: "#a8487f", dark: "#e08fbd" },
  { light: "#8a6a00", dark: "#e3c432" },
  { light: "#5b4bb5", dark: "#a99bf5" },
  { light: "#595f69", dark: "#b4bac4" },
];

export function hex(color: Rgb): string {
  return `#${color.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

/** Level of a number in a range, 0 to {@link LEVELS} - 1; the share is raised to `power` first. */
export function levelOf(value: number, low: number, high: number, power = 1): number {
  const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
  return Math.round(share ** power * (LEVELS - 1));
}
