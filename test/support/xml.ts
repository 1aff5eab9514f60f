/** A strict reader of small XML texts: what it takes, every XML parser takes. */

export interface XmlElement {
  name: string;
  attributes: Record<string, string>;
  children: XmlElement[];
  /** Text directly within, entities resolved. */
  text: string;
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function resolve(text: string): string {
  if (/[<>]/.test(text)) throw new Error(`a bracket in text: ${text}`);
  // deno-lint-ignore no-control-regex
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Cs}/u.test(text)) {
    throw new Error(`a character that XML does not have: ${JSON.stringify(text)}`);
  }
  return text.replace(/&(?:#(\d+)|(\w+));|&/g, (all, number?: string, name?: string) => {
    if (number !== undefined) return String.fromCodePoint(Number(number));
    if (name === undefined || !(name in ENTITIES)) throw new Error(`an unknown entity: ${all}`);
    return ENTITIES[name]!;
  });
}

/** Reads one element; throws where tags, attributes or characters are not as XML wants them. */
export function parseXml(xml: string): XmlElement {
  const root: XmlElement = { name: "", attributes: {}, children: [], text: "" };
  const open = [root];
  const tag = /<(\/?)([a-zA-Z][\w-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/y;
  for (let at = 0; at < xml.length;) {
    const bracket = xml.indexOf("<", at);
    const end = bracket < 0 ? xml.length : bracket;
    open.at(-1)!.text += resolve(xml.slice(at, end));
    if (end === xml.length) break;
    tag.lastIndex = end;
    const found = tag.exec(xml);
    if (!found) throw new Error(`no tag: ${xml.slice(end, end + 120)}`);
    at = tag.lastIndex;
    const [, closes, name, written, empty] = found as unknown as [string, ...string[]];
    if (closes) {
      const element = open.pop()!;
      if (element.name !== name) throw new Error(`</${name}> closes <${element.name}>`);
      continue;
    }
    const attributes: Record<string, string> = {};
    for (const [, key, value] of written!.matchAll(/([\w:-]+)="([^"]*)"/g)) {
      if (key! in attributes) throw new Error(`twice the attribute ${key} of <${name}>`);
      attributes[key!] = resolve(value!);
    }
    const element = { name: name!, attributes, children: [], text: "" };
    open.at(-1)!.children.push(element);
    if (!empty) open.push(element);
  }
  if (open.length !== 1) throw new Error(`<${open.at(-1)!.name}> is not closed`);
  if (root.children.length !== 1 || root.text.trim() !== "") throw new Error("not one element");
  return root.children[0]!;
}

/** An element and all within it. */
export function* elementsOf(element: XmlElement): Iterable<XmlElement> {
  yield element;
  for (const child of element.children) yield* elementsOf(child);
}

/** Reads a page that is HTML and, but for its `<meta>`, XML. */
export function parseHtml(html: string): XmlElement {
  return parseXml(html.replace("<!DOCTYPE html>\n", "").replace(/<meta [^>]*/g, "$& /"));
}
