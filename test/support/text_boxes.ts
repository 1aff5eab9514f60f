/** Where the texts of a picture are, by the widths of a font that people have. */

import type { XmlElement } from "./xml.ts";

// advance widths of DejaVu Sans from the space to the tilde, hundredths of an em: the widest of the usual
// fonts; measured in Chromium
const WIDTHS =
  `32 40 46 84 64 95 78 27 39 39 50 84 32 36 32 34 64 64 64 64 64 64 64 64 64 64 34 34 84 84
  84 53 100 68 69 70 77 63 58 77 75 29 29 66 56 86 75 79 60 79 69 63 61 73 68 99 69 61 69 39 34 39 84 50
  50 61 63 55 63 62 35 63 63 28 28 58 28 97 63 61 63 63 41 52 39 63 59 82 59 59 52 64 34 64 84`
    .split(/\s+/).map(Number);
const OTHERS: Record<string, number> = { "…": 100, "−": 84, "×": 84, "⁻": 53, "⁶": 40, "✓": 84 };
const [SIZE, BOLD] = [13, 1.12];

export interface TextBox {
  text: string;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

function widthOf(text: string): number {
  let hundredths = 0;
  for (const character of text) {
    hundredths += WIDTHS[character.charCodeAt(0) - 32] ?? OTHERS[character] ?? 100;
  }
  return hundredths * SIZE / 100;
}

/** Boxes of all texts of a picture. */
export function textBoxes(element: XmlElement, dx = 0, dy = 0): TextBox[] {
  const { name, attributes, text, children } = element;
  const moved = /^translate\(([\d.-]+) ([\d.-]+)\)$/.exec(attributes.transform ?? "");
  const [x, y] = [dx + Number(moved?.[1] ?? 0), dy + Number(moved?.[2] ?? 0)];
  const inside = children.flatMap((child) => textBoxes(child, x, y));
  if (name !== "text") return inside;
  const width = widthOf(text) * (attributes.class === "title" ? BOLD : 1);
  const share = { start: 0, middle: 0.5, end: 1 }[attributes["text-anchor"] ?? "start"]!;
  const left = x + Number(attributes.x) - share * width;
  const baseline = y + Number(attributes.y);
  return [{
    text,
    left,
    right: left + width,
    top: baseline - 0.76 * SIZE,
    bottom: baseline + 0.24 * SIZE,
  }];
}

/** Pairs of texts that lie on one another. */
export function overlaps(boxes: readonly TextBox[]): string[] {
  return boxes.flatMap((one, i) =>
    boxes.slice(i + 1)
      .filter((other) =>
        one.left < other.right && other.left < one.right && one.top < other.bottom &&
        other.top < one.bottom
      )
      .map((other) => `${one.text} / ${other.text}`)
  );
}
