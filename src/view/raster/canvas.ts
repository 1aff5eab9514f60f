/**
 * Pixels that shapes are filled on, with smooth edges.
 *
 * @module
 */

import type { Rgb } from "../colors.ts";
import type { Outline } from "./outlines.ts";

/** Lines that a row of pixels is looked at in. */
const LINES = 4;

interface Edge {
  top: number;
  bottom: number;
  /** Where it is at its top, and how far it goes to the right for each line. */
  x: number;
  slope: number;
  turn: 1 | -1;
}

export class Canvas {
  readonly width: number;
  readonly height: number;
  /** `[height, width, 3]`: red, green, blue. */
  readonly pixels: Uint8Array;

  constructor(width: number, height: number, background: Rgb) {
    this.width = width;
    this.height = height;
    this.pixels = new Uint8Array(3 * width * height);
    for (let i = 0; i < this.pixels.length; i++) this.pixels[i] = background[i % 3]!;
  }

  /** Fills what shapes go around, those within one another by the way they turn, in a colour of some opacity. */
  fill(shapes: readonly Outline[], color: Rgb, opacity = 1): void {
    const edges = edgesOf(shapes, LINES * this.height).sort((a, b) => a.top - b.top);
    if (edges.length === 0) return;
    const first = Math.floor(edges[0]!.top / LINES);
    const last = Math.min(
      this.height - 1,
      Math.floor((edges.reduce((most, { bottom }) => Math.max(most, bottom), 0) - 1) / LINES),
    );
    const cover = new Float32Array(this.width + 2);
    const [from, to] = reachOf(shapes, this.width);
    let next = 0;
    let active: Edge[] = [];
    for (let row = first; row <= last; row++) {
      cover.fill(0, from, to + 1);
      for (let lineOf = LINES * row; lineOf < LINES * (row + 1); lineOf++) {
        while (next < edges.length && edges[next]!.top <= lineOf) active.push(edges[next++]!);
        active = active.filter(({ bottom }) => bottom > lineOf);
        const crossings = active.map(({ top, x, slope, turn }) => ({
          x: x + (lineOf - top) * slope,
          turn,
        }))
          .sort((a, b) => a.x - b.x);
        let winding = 0;
        crossings.forEach(({ x, turn }, i) => {
          winding += turn;
          if (winding !== 0) this.#cover(cover, x, crossings[i + 1]?.x ?? x);
        });
      }
      this.#blend(row, cover, [from, to], color, opacity);
    }
  }

  /** Puts a pixel's colour into a rectangle of whole and part pixels, without smooth edges. */
  rectangle(x: number, y: number, width: number, height: number, color: Rgb): void {
    const [left, right] = [x, x + width].map((side) =>
      Math.min(this.width, Math.max(0, Math.round(side)))
    );
    const [top, bottom] = [y, y + height].map((side) =>
      Math.min(this.height, Math.max(0, Math.round(side)))
    );
    for (let row = top!; row < bottom!; row++) {
      for (let column = left!; column < right!; column++) {
        this.pixels.set(color, 3 * (row * this.width + column));
      }
    }
  }

  /** Adds a stretch of a line, in shares of pixels. */
  #cover(cover: Float32Array, from: number, to: number): void {
    const [left, right] = [Math.max(0, from), Math.min(this.width, to)];
    if (!(right > left)) return;
    const [first, last] = [Math.floor(left), Math.floor(right)];
    if (first === last) {
      cover[first]! += (right - left) / LINES;
      return;
    }
    cover[first]! += (first + 1 - left) / LINES;
    for (let column = first + 1; column < last; column++) cover[column]! += 1 / LINES;
    cover[last]! += (right - last) / LINES;
  }

  #blend(
    row: number,
    cover: Float32Array,
    [from, to]: readonly [number, number],
    color: Rgb,
    opacity: number,
  ): void {
    for (let column = from; column < to; column++) {
      const share = Math.min(1, cover[column]!) * opacity;
      if (share === 0) continue;
      const at = 3 * (row * this.width + column);
      for (let part = 0; part < 3; part++) {
        const own = this.pixels[at + part]!;
        this.pixels[at + part] = Math.round(own + share * (color[part]! - own));
      }
    }
  }
}

/** First column that shapes touch, and the one behind their last. */
function reachOf(shapes: readonly Outline[], width: number): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i += 2) {
      low = Math.min(low, shape[i]!);
      high = Math.max(high, shape[i]!);
    }
  }
  return [Math.max(0, Math.floor(low)), Math.min(width, Math.ceil(high) + 1)];
}

/** Edges of shapes by the lines whose middles they cross. */
function edgesOf(shapes: readonly Outline[], lines: number): Edge[] {
  const edges: Edge[] = [];
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i += 2) {
      const next = (i + 2) % shape.length;
      const [x, y] = [shape[i]!, shape[i + 1]! * LINES - 0.5];
      const [toX, toY] = [shape[next]!, shape[next + 1]! * LINES - 0.5];
      if (y === toY) continue;
      const down = y < toY;
      const [upX, upY, lowX, lowY] = down ? [x, y, toX, toY] : [toX, toY, x, y];
      const top = Math.max(0, Math.ceil(upY));
      const bottom = Math.min(lines, Math.ceil(lowY));
      if (top >= bottom) continue;
      const slope = (lowX - upX) / (lowY - upY);
      edges.push({ top, bottom, x: upX + (top - upY) * slope, slope, turn: down ? 1 : -1 });
    }
  }
  return edges;
}
