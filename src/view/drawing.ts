/**
 * What pictures are made of: SVG elements in a box of known size.
 *
 * @module
 */

import type { Range } from "./ticks.ts";
import { pictureStyle } from "./style.ts";
import { escapeText } from "../math/escape.ts";

/** A picture that is drawn: SVG elements for a box from (0, 0) to (width, height), px. */
export interface Drawing {
  width: number;
  height: number;
  /** What it shows, for those who cannot see it. */
  label: string;
  content: string;
}

/** Numbers of an axis as px. */
export interface Scale extends Range {
  /** Where `low` and `high` lie. */
  from: number;
  to: number;
}

/** Position of a number on a scale, px. */
export function positionOn({ low, high, from, to }: Scale, value: number): number {
  return from + (value - low) / (high - low) * (to - from);
}

/** A coordinate with a tenth of a pixel. */
export function px(value: number): string {
  return String(Math.round(10 * value) / 10 || 0);
}

/** A text; `more` are further attributes. */
export function textAt(x: number, y: number, text: string, more = ""): string {
  return `<text x="${px(x)}" y="${px(y)}"${more && ` ${more}`}>${escapeText(text)}</text>`;
}

/** A text that was shortened to `shown`: the whole shows under the pointer. */
export function shortTextAt(x: number, y: number, shown: string, text: string, more = ""): string {
  if (shown === text) return textAt(x, y, text, more);
  return `<g>${hint(text)}${textAt(x, y, shown, more)}</g>`;
}

/** What shows under the pointer. */
export function hint(text: string | undefined): string {
  return text === undefined ? "" : `<title>${escapeText(text)}</title>`;
}

/** A drawing within a page that has the style of pictures. */
export function svgElement({ width, height, label, content }: Drawing): string {
  const size = `width="${px(width)}" height="${px(height)}" viewBox="0 0 ${px(width)} ${
    px(height)
  }"`;
  return `<svg class="view" ${size} role="img" aria-label="${escapeText(label)}">${content}</svg>`;
}

/** A drawing as a file of its own, with its style and its background. */
export function svgFile(drawing: Drawing, margin = 12): string {
  const width = drawing.width + 2 * margin;
  const height = drawing.height + 2 * margin;
  const content = `<style>${pictureStyle(drawing.content)}</style>` +
    `<rect width="100%" height="100%" fill="var(--view-background)"/>` +
    `<g transform="translate(${margin} ${margin})">${drawing.content}</g>`;
  return svgElement({ ...drawing, width, height, content })
    .replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ') + "\n";
}

/** Drawings below one another. */
export function stack(drawings: readonly Drawing[], gap = 16): Drawing {
  let height = 0;
  const parts = drawings.map((drawing) => {
    const part = `<g transform="translate(0 ${px(height)})">${drawing.content}</g>`;
    height += drawing.height + gap;
    return part;
  });
  return {
    width: Math.max(0, ...drawings.map(({ width }) => width)),
    height: Math.max(0, height - gap),
    label: drawings.map(({ label }) => label).join("; "),
    content: parts.join("\n"),
  };
}

/** Drawings beside one another. */
export function beside(drawings: readonly Drawing[], gap: number): Drawing {
  let width = 0;
  const parts = drawings.map((drawing) => {
    const part = `<g transform="translate(${px(width)} 0)">${drawing.content}</g>`;
    width += drawing.width + gap;
    return part;
  });
  return {
    width: Math.max(0, width - gap),
    height: Math.max(0, ...drawings.map(({ height }) => height)),
    label: drawings.map(({ label }) => label).join("; "),
    content: parts.join("\n"),
  };
}
