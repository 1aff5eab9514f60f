/**
 * Text in pictures: escaped, measured without a browser, shortened and broken into lines.
 *
 * @module
 */

/** Size of every text in a picture, px. */
export const FONT_SIZE = 13;
/** From one line of text to the next, px. */
export const LINE_HEIGHT = 18;

/** Width of a character in ems: no narrower than in the usual sans-serif fonts. */
function characterWidth(character: string): number {
  if (/[iljtfrI.,:;|'! ()[\]]/.test(character)) return 0.42;
  if (/[mwMW@%]/.test(character)) return 1;
  if (/[A-Z&+=<>~−×#^]/.test(character)) return 0.84;
  if (character.codePointAt(0)! < 0x1100) return 0.64;
  return 1;
}

/** Width of a text in px, a little more than it takes. */
export function textWidth(text: string): number {
  let ems = 0;
  for (const character of text) ems += characterWidth(character);
  return ems * FONT_SIZE;
}

/** The beginning and the end of a text that is too wide, with an ellipsis between them. */
export function shorten(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  const characters = [...text];
  for (let kept = characters.length - 1; kept > 0; kept--) {
    const tail = Math.floor(kept / 3);
    const short = `${characters.slice(0, kept - tail).join("").trimEnd()}…${
      tail > 0 ? characters.slice(-tail).join("").trimStart() : ""
    }`;
    if (textWidth(short) <= width) return short;
  }
  return "…";
}

/** Lines that are no wider than `width`; a word that is wider than a line is shortened. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter((word) => word !== "")) {
    const longer = lines.length > 0 ? `${lines.at(-1)} ${word}` : undefined;
    if (longer !== undefined && textWidth(longer) <= width) lines[lines.length - 1] = longer;
    else lines.push(shorten(word, width));
  }
  return lines;
}

/** A label with its unit: `position, cm`. */
export function withUnit(label: string, unit?: string): string {
  return unit ? `${label}, ${unit}` : label;
}
