/**
 * Reads the SVG that pictures are drawn as.
 *
 * @module
 */

export interface SvgElement {
  name: string;
  attributes: Readonly<Record<string, string>>;
  children: SvgElement[];
  /** Directly within. */
  text: string;
}

const ENTITIES: Record<string, string> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
};

const plain = (text: string) => text.replace(/&(amp|lt|gt|quot|#39);/g, (all) => ENTITIES[all]!);

/** Elements of a drawing; it is ours, so that nothing else has to be understood. */
export function parseSvg(content: string): SvgElement {
  const root: SvgElement = { name: "g", attributes: {}, children: [], text: "" };
  const open = [root];
  for (const [, closes, name, written, empty, text] of content.matchAll(TAG)) {
    if (closes) open.pop();
    else {
      const attributes = Object.fromEntries(
        [...written!.matchAll(/([\w:-]+)="([^"]*)"/g)].map((
          [, key, value],
        ) => [key, plain(value!)]),
      );
      const element: SvgElement = { name: name!, attributes, children: [], text: "" };
      open.at(-1)!.children.push(element);
      if (!empty) open.push(element);
    }
    open.at(-1)!.text += plain(text!);
  }
  return root;
}

// a tag, and the text behind it; attributes may be as long as a picture
const TAG = /<(\/?)([a-zA-Z][\w-]*)((?:\s+[\w:-]+="[^"]*")*)\s*(\/?)>([^<]*)/g;
