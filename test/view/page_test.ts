import { describe, expect, it } from "vitest";
import type { Page } from "../../src/view/view.ts";
import { drawChart, drawPage, line } from "../../src/view/view.ts";
import { elementsOf, parseHtml } from "../support/xml.ts";

const chart = {
  x: { label: "time", unit: "s" },
  y: { label: "speed", unit: "cm/s" },
  marks: [line({ y: [1, 3, 2], name: "speed", color: 0 })],
};
const figure = { caption: "Speed", draw: (width: number) => drawChart(chart, width) };

const all = (page: Page, name: string) =>
  [...elementsOf(parseHtml(drawPage(page)))].filter((element) => element.name === name);

describe("drawPage()", () => {
  it("writes titles, texts, tables and facts, all escaped", () => {
    const evil = `</style><img src="x" onerror='alert(1)'>&amp;`;
    const page: Page = {
      title: evil,
      verdict: { text: evil, passed: false },
      sections: [{
        heading: evil,
        text: [evil],
        figures: [{ ...figure, caption: evil, small: true }],
        table: { columns: [evil], rows: [[evil], [{ text: evil, passed: true }]] },
        facts: [[evil, evil]],
        folded: evil,
      }],
    };
    expect(all(page, "img")).toEqual([]);
    for (const name of ["title", "h2", "p", "figcaption", "th", "td", "summary"]) {
      expect(all(page, name)[0]!.text).toBe(evil);
    }
    expect(all(page, "span").map(({ text }) => text)).toEqual([`${evil} ✗`, `${evil} ✓`]);
  });

  it("draws a figure for wide and one for narrow windows, a small one once", () => {
    const widths = (page: Page) =>
      all(page, "svg").map(({ attributes }) => Number(attributes.width));
    expect(widths({ title: "t", sections: [{ figures: [figure] }] })).toEqual([1100, 340]);
    const small = { ...figure, small: true };
    expect(widths({ title: "t", sections: [{ figures: [small, small] }] })).toEqual([340, 340]);
  });

  it("loads nothing, and knows light and dark", () => {
    const html = drawPage({ title: "t", sections: [{ figures: [figure] }] });
    expect(html).not.toMatch(/<script|<link|https?:|url\(|@import/);
    expect(html).toMatch(/prefers-color-scheme:dark/);
    expect(html).toMatch(/<meta name="viewport" content="width=device-width/);
  });

  it("puts columns of numbers at the right", () => {
    const table = {
      columns: ["name", "rows", "ratio"],
      rows: [["a", 12, "0.5"], ["b", 7, "none"]],
    };
    const kinds = all({ title: "t", sections: [{ table }] }, "td").map(({ attributes }) =>
      attributes.class ?? ""
    );
    expect(kinds).toEqual(["", "number", "number", "", "number", "number"]);
  });

  it("of nothing is a page", () => {
    expect(all({ title: "", sections: [] }, "h1").length).toBe(1);
    expect(all({ title: "", sections: [{ table: { columns: [], rows: [] } }] }, "table").length)
      .toBe(1);
  });
});
