/**
 * Tags: short texts at points, such as the numbers of clusters.
 *
 * @module
 */

import type { Mark } from "./chart.ts";
import { positionOn, textAt } from "./drawing.ts";
import { FONT_SIZE, LINE_HEIGHT, textWidth } from "./text.ts";
import { extent } from "./ticks.ts";

export interface TagOptions {
  /** `[points]` each. */
  x: ArrayLike<number>;
  y: ArrayLike<number>;
  texts: readonly string[];
}

/** Texts in the middle of their points; one that has no room beside those before it is left out. */
export function tags({ x, y, texts }: TagOptions): Mark {
  if (x.length !== texts.length || y.length !== texts.length) {
    throw new RangeError(
      `Cannot draw tags: x has ${x.length} numbers, y has ${y.length}, there are ${texts.length} texts`,
    );
  }
  return {
    x: extent(x),
    y: extent(y),
    keys: [],
    draw(plot) {
      const kept: { x: number; y: number; width: number }[] = [];
      const drawn = texts.map((text, i) => {
        if (!Number.isFinite(x[i]!) || !Number.isFinite(y[i]!)) return "";
        const own = {
          x: positionOn(plot.x, x[i]!),
          y: positionOn(plot.y, y[i]!) + 0.36 * FONT_SIZE,
          width: textWidth(text),
        };
        const isOutside = own.x - own.width / 2 < plot.x.from ||
          own.x + own.width / 2 > plot.x.to ||
          own.y - FONT_SIZE < plot.y.to || own.y > plot.y.from;
        const hasRoom = kept.every((other) =>
          Math.abs(other.x - own.x) > (other.width + own.width) / 2 ||
          Math.abs(other.y - own.y) > LINE_HEIGHT - 2
        );
        if (isOutside || !hasRoom) return "";
        kept.push(own);
        return textAt(own.x, own.y, text, 'class="tag" text-anchor="middle"');
      });
      return drawn.join("");
    },
  };
}
