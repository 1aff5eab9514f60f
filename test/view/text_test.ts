import { escapeText } from "../../src/math/escape.ts";
import { describe, expect, it } from "vitest";
import { shorten, textWidth, wrap } from "../../src/view/text.ts";
import { parseXml } from "../support/xml.ts";

describe("escapeText()", () => {
  it("gives back the text through an XML parser, within elements and attributes", () => {
    const text = `<script>alert("1")</script> & 'x' &amp; é 鼠 🐀`;
    const xml = parseXml(`<a b="${escapeText(text)}">${escapeText(text)}</a>`);
    expect(xml).toMatchObject({ text, attributes: { b: text }, children: [] });
  });

  it("replaces what XML cannot hold", () => {
    expect(escapeText("a\u0000b\u001bc\ud800d\uffffe")).toBe("a\ufffdb\ufffdc\ufffdd\ufffde");
    expect(escapeText("a\tb\nc")).toBe("a\tb\nc");
  });
});

describe("shorten()", () => {
  it("leaves what fits, and keeps both ends of what does not", () => {
    expect(shorten("short", 200)).toBe("short");
    const name = "session_2026_hippocampus_left_probe_03";
    const short = shorten(name, 120);
    expect(textWidth(short)).toBeLessThanOrEqual(120);
    expect(short).toMatch(/^session.*….*03$/);
    expect(shorten(name, 1)).toBe("…");
    expect(shorten("", 1)).toBe("");
  });

  it("never cuts a character in two", () => {
    for (let width = 10; width < 120; width++) {
      expect(shorten("🐀🐀🐀🐀🐀🐀🐀🐀", width)).toMatch(/^(?:🐀|…)+$/u);
    }
  });
});

describe("wrap()", () => {
  it("breaks between words and loses none", () => {
    const text = "Where is the rat? Decoded from spikes alone";
    const lines = wrap(text, 120);
    expect(lines.length).toBeGreaterThan(2);
    expect(lines.join(" ")).toBe(text);
    expect(lines.every((line) => textWidth(line) <= 120)).toBe(true);
    expect(wrap("", 100)).toEqual([]);
  });
});
