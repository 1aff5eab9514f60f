/**
 * Outlines of what is drawn: of paths, of lines with a width, of letters.
 *
 * @module
 */

import { EM, LETTERS } from "./letters.ts";

/** Corners of a closed shape: x, y, x, y … in px. */
export type Outline = number[];

/** Corners of a line that may be open. */
export interface Polyline {
  points: number[];
  closed: boolean;
}

/** Lines of a path of `M`, `L`, `H`, `V`, `h`, `v` and `z`, which are all that pictures have. */
export function polylines(path: string): Polyline[] {
  const lines: Polyline[] = [];
  let [x, y] = [0, 0];
  for (const [, command, written] of path.matchAll(/([MLHVhvz])([^MLHVhvz]*)/g)) {
    const numbers = written!.match(/-?[\d.]+(?:e-?\d+)?/g)?.map(Number) ?? [];
    if (command === "z") lines.at(-1)!.closed = true;
    else if (command === "M" || command === "L") {
      for (let i = 0; i + 1 < numbers.length; i += 2) {
        [x, y] = [numbers[i]!, numbers[i + 1]!];
        if (command === "M" && i === 0) lines.push({ points: [x, y], closed: false });
        else lines.at(-1)!.points.push(x, y);
      }
    } else {
      const value = numbers[0]!;
      if (command === "H") x = value;
      else if (command === "h") x += value;
      else if (command === "V") y = value;
      else y += value;
      lines.at(-1)!.points.push(x, y);
    }
  }
  return lines;
}

/** Corners of a circle. */
export function circle(x: number, y: number, radius: number): Outline {
  const count = Math.max(8, Math.ceil(6 * Math.sqrt(radius)) * 2);
  return Array.from({ length: count }, (_, i) => 2 * Math.PI * i / count)
    .flatMap((angle) => [x + radius * Math.cos(angle), y + radius * Math.sin(angle)]);
}

/** A line of some width, as shapes that lie on one another; round where it bends, if asked for. */
export function stroke({ points, closed }: Polyline, width: number, round: boolean): Outline[] {
  const shapes: Outline[] = [];
  const own = closed ? [...points, points[0]!, points[1]!] : points;
  const half = width / 2;
  for (let i = 0; i + 3 < own.length; i += 2) {
    const [x, y, toX, toY] = own.slice(i, i + 4) as [number, number, number, number];
    const length = Math.hypot(toX - x, toY - y);
    if (length === 0) continue;
    const [dx, dy] = [(toX - x) / length * half, (toY - y) / length * half];
    // all shapes turn the same way, so that none undoes another
    shapes.push([x - dy, y + dx, x + dy, y - dx, toX + dy, toY - dx, toX - dy, toY + dx]);
  }
  if (round && width > 1) {
    for (let i = 0; i < own.length; i += 2) shapes.push(circle(own[i]!, own[i + 1]!, half));
  }
  return shapes;
}

/** Parts of a line that dashes leave. */
export function dashed({ points, closed }: Polyline, dashes: readonly number[]): Polyline[] {
  const own = closed ? [...points, points[0]!, points[1]!] : points;
  const parts: Polyline[] = [];
  let [dash, left] = [0, dashes[0]!];
  let open: number[] | undefined = [own[0]!, own[1]!];
  for (let i = 0; i + 3 < own.length; i += 2) {
    let [x, y] = [own[i]!, own[i + 1]!];
    const [toX, toY] = [own[i + 2]!, own[i + 3]!];
    let length = Math.hypot(toX - x, toY - y);
    while (length > 0) {
      const step = Math.min(left, length);
      [x, y] = [x + (toX - x) * step / length, y + (toY - y) * step / length];
      [length, left] = [length - step, left - step];
      open?.push(x, y);
      if (left > 1e-9) continue;
      if (open) parts.push({ points: open, closed: false });
      dash = (dash + 1) % dashes.length;
      left = dashes[dash]!;
      open = dash % 2 === 0 ? [x, y] : undefined;
    }
  }
  if (open && open.length > 2) parts.push({ points: open, closed: false });
  return parts;
}

interface Letter {
  /** Of an em. */
  width: number;
  /** Control and end of every part, of an em, y upwards. */
  outlines: number[][];
}

let letters: Map<number, Letter> | undefined;

function readLetters(): Map<number, Letter> {
  const text = atob(LETTERS.replace(/\s/g, ""));
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const found = new Map<number, Letter>();
  for (let at = 0; at < bytes.length;) {
    const code = bytes[at]! + 256 * bytes[at + 1]!;
    const [width, count] = [bytes[at + 2]!, bytes[at + 3]!];
    at += 4;
    const outlines = Array.from({ length: count }, () => {
      const points = 4 * bytes[at++]!;
      at += points;
      return Array.from(bytes.subarray(at - points, at), (byte) => (byte - 64) / EM);
    });
    found.set(code, { width: width / EM, outlines });
  }
  return found;
}

/** Parts that a curve is drawn in. */
const CURVE_PARTS = 4;

/** Outlines of a text that begins at (x, y), and how wide it is; letters that are not known are boxes. */
export function textOutlines(
  text: string,
  x: number,
  y: number,
  size: number,
): { outlines: Outline[]; width: number } {
  letters ??= readLetters();
  const outlines: Outline[] = [];
  let at = x;
  for (const character of text) {
    const { width, outlines: own } = letters.get(character.codePointAt(0)!) ?? letters.get(0xfffd)!;
    for (const parts of own) {
      const outline: Outline = [];
      let [fromX, fromY] = [parts[2]!, parts[3]!];
      for (let i = 0; i < parts.length; i += 4) {
        const [controlX, controlY, toX, toY] = parts.slice(i, i + 4) as [
          number,
          number,
          number,
          number,
        ];
        const isStraight = controlX === toX && controlY === toY;
        for (let part = isStraight ? CURVE_PARTS : 1; part <= CURVE_PARTS; part++) {
          const t = part / CURVE_PARTS;
          const between = (from: number, control: number, to: number) =>
            (1 - t) ** 2 * from + 2 * t * (1 - t) * control + t ** 2 * to;
          outline.push(
            at + size * between(fromX, controlX, toX),
            y - size * between(fromY, controlY, toY),
          );
        }
        [fromX, fromY] = [toX, toY];
      }
      outlines.push(outline);
    }
    at += size * width;
  }
  return { outlines, width: at - x };
}
