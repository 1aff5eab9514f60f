/**
 * Drawings as PNG, in every runtime and without a browser.
 *
 * @module
 */

import type { Rgb } from "../colors.ts";
import type { Drawing } from "../drawing.ts";
import { bigEndian } from "../deflate.ts";
import { pngChunk, pngSignature } from "../png.ts";
import { sideColors } from "../style.ts";
import { FONT_SIZE } from "../text.ts";
import { Canvas } from "./canvas.ts";
import type { SvgElement } from "./elements.ts";
import { parseSvg } from "./elements.ts";
import type { Outline } from "./outlines.ts";
import { circle, dashed, polylines, stroke, textOutlines } from "./outlines.ts";

export interface PaintOptions {
  dark?: boolean;
  /** Pixels of a px. Default 2, as good screens have. */
  scale?: number;
  /** Around the drawing, px. Default 12. */
  margin?: number;
}

/** What the classes of the style say of lines. */
const LINES: Record<string, { width: number; round: boolean; color?: string; opacity?: number }> = {
  frame: { width: 1, round: false, color: "rule" },
  grid: { width: 1, round: false, color: "grid" },
  line: { width: 1.6, round: true },
  casing: { width: 4, round: true, color: "background", opacity: 0.65 },
};
/** A title is that much bolder, px. */
const BOLDER = 0.5;

/** A drawing as the bytes of a PNG. */
export async function paintPng(drawing: Drawing, options: PaintOptions = {}): Promise<Uint8Array> {
  const { dark = false, scale = 2, margin = 12 } = options;
  const colors = sideColors(dark ? "dark" : "light");
  const canvas = new Canvas(
    Math.ceil((drawing.width + 2 * margin) * scale),
    Math.ceil((drawing.height + 2 * margin) * scale),
    colors.background!,
  );
  const painter = new Painter(canvas, colors, scale, dark ? "on-light" : "on-dark");
  await painter.paint(parseSvg(drawing.content), { x: margin, y: margin, opacity: 1 });
  return await encodePng(canvas, drawing.label);
}

/** What elements have from those that they are in. */
interface Around {
  x: number;
  y: number;
  opacity: number;
  fill?: string;
}

class Painter {
  readonly #canvas: Canvas;
  readonly #colors: Readonly<Record<string, Rgb>>;
  readonly #scale: number;
  /** Class of what the other surroundings have. */
  readonly #hidden: string;

  constructor(
    canvas: Canvas,
    colors: Readonly<Record<string, Rgb>>,
    scale: number,
    hidden: string,
  ) {
    this.#canvas = canvas;
    this.#colors = colors;
    this.#scale = scale;
    this.#hidden = hidden;
  }

  async paint({ name, attributes, children, text }: SvgElement, around: Around): Promise<void> {
    const { class: kind = "", transform = "", fill = around.fill } = attributes;
    if (kind === this.#hidden || name === "title") return;
    const [, dx = 0, dy = 0] = /^translate\(([\d.-]+) ([\d.-]+)\)$/.exec(transform) ?? [];
    const faint = Number(attributes.opacity ?? 1) * Number(attributes["fill-opacity"] ?? 1);
    const own: Around = {
      ...{ x: around.x + Number(dx), y: around.y + Number(dy), opacity: around.opacity * faint },
      ...(fill !== undefined && { fill }),
    };
    if (name === "rect") this.#rectangle(attributes, kind, own);
    else if (name === "path") this.#path(attributes, kind, own);
    else if (name === "circle") this.#circle(attributes, own);
    else if (name === "text") this.#text(attributes, kind, text, own);
    else if (name === "image") await this.#image(attributes, own);
    for (const child of children) await this.paint(child, own);
  }

  #color(name: string | undefined): Rgb | undefined {
    if (name === undefined || name === "none") return undefined;
    const own = /^var\(--view-(.+)\)$/.exec(name)?.[1] ?? name;
    return this.#colors[own];
  }

  #fill(shapes: readonly Outline[], { x, y, opacity }: Around, color: Rgb | undefined): void {
    if (!color) return;
    const scale = this.#scale;
    const placed = shapes.map((shape) =>
      shape.map((value, i) => scale * (value + (i % 2 === 0 ? x : y)))
    );
    this.#canvas.fill(placed, color, opacity);
  }

  #rectangle(attributes: Readonly<Record<string, string>>, kind: string, own: Around): void {
    const [x, y, width, height] = ["x", "y", "width", "height"].map((name) =>
      Number(attributes[name] ?? 0)
    ) as [number, number, number, number];
    const corners = [x, y, x + width, y, x + width, y + height, x, y + height];
    const line = LINES[kind];
    if (line) {
      const shapes = stroke({ points: corners, closed: true }, line.width, line.round);
      return this.#fill(shapes, own, this.#color(line.color));
    }
    this.#fill([corners], own, this.#color(own.fill));
  }

  #path(attributes: Readonly<Record<string, string>>, kind: string, own: Around): void {
    const { d = "", stroke: painted, "stroke-dasharray": dashes } = attributes;
    const lines = polylines(d);
    const style = LINES[kind] ?? (painted === undefined ? undefined : { width: 1, round: false });
    if (!style) return this.#fill(lines.map(({ points }) => points), own, this.#color(own.fill));
    const parts = dashes === undefined
      ? lines
      : lines.flatMap((line) => dashed(line, dashes.split(/[\s,]+/).map(Number)));
    const shapes = parts.flatMap((line) => stroke(line, style.width, style.round));
    const around = { ...own, opacity: own.opacity * (style.opacity ?? 1) };
    this.#fill(shapes, around, this.#color(style.color ?? painted));
  }

  #circle(attributes: Readonly<Record<string, string>>, own: Around): void {
    const [x, y, radius] = ["cx", "cy", "r"].map((name) => Number(attributes[name])) as [
      number,
      number,
      number,
    ];
    this.#fill([circle(x, y, radius)], own, this.#color(own.fill));
  }

  #text(
    attributes: Readonly<Record<string, string>>,
    kind: string,
    text: string,
    own: Around,
  ): void {
    const { width } = textOutlines(text, 0, 0, FONT_SIZE);
    const share = { middle: 0.5, end: 1 }[attributes["text-anchor"] ?? ""] ?? 0;
    const [x, y] = [Number(attributes.x) - share * width, Number(attributes.y)];
    const { outlines } = textOutlines(text, x, y, FONT_SIZE);
    const isBold = kind === "title" || kind === "tag";
    if (kind === "tag") {
      const halo = outlines.flatMap((points) => stroke({ points, closed: true }, 3, true));
      this.#fill(halo, own, this.#color("background"));
    }
    const color = this.#color(isBold ? "ink" : "soft");
    this.#fill(outlines, own, color);
    if (isBold) this.#fill(outlines, { ...own, x: own.x + BOLDER }, color);
  }

  async #image(attributes: Readonly<Record<string, string>>, { x, y }: Around): Promise<void> {
    const [left, top, width, height] = ["x", "y", "width", "height"].map((name) =>
      this.#scale * Number(attributes[name])
    ) as [number, number, number, number];
    const { columns, rows, places, palette } = await decodeIndexed(attributes.href!);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        this.#canvas.rectangle(
          this.#scale * x + left + column * width / columns,
          this.#scale * y + top + row * height / rows,
          width / columns,
          height / rows,
          palette[places[row * columns + column]!]!,
        );
      }
    }
  }
}

/** A PNG as `pngAddress()` writes it: places in a palette, rows without filters. */
async function decodeIndexed(address: string) {
  const text = atob(address.slice(address.indexOf(",") + 1));
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const chunks: Record<string, Uint8Array> = {};
  for (let at = 8; at < bytes.length;) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    chunks[type] = bytes.subarray(at + 8, at + 8 + length);
    at += length + 12;
  }
  const header = new DataView(chunks.IHDR!.buffer, chunks.IHDR!.byteOffset);
  const [columns, rows] = [header.getUint32(0), header.getUint32(4)];
  const filtered = await through(chunks.IDAT!, new DecompressionStream("deflate"));
  const places = new Uint8Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    const begin = row * (columns + 1) + 1;
    places.set(filtered.subarray(begin, begin + columns), row * columns);
  }
  const colors = chunks.PLTE!;
  const palette = Array.from(
    { length: colors.length / 3 },
    (_, i): Rgb => [colors[3 * i]!, colors[3 * i + 1]!, colors[3 * i + 2]!],
  );
  return { columns, rows, places, palette };
}

async function through(
  bytes: Uint8Array,
  stream: CompressionStream | DecompressionStream,
): Promise<Uint8Array> {
  const blob = new Blob([bytes as Uint8Array<ArrayBuffer>]);
  return new Uint8Array(await new Response(blob.stream().pipeThrough(stream)).arrayBuffer());
}

const [BITS, COLORED] = [8, 2];

async function encodePng({ width, height, pixels }: Canvas, label: string): Promise<Uint8Array> {
  const rows = new Uint8Array(height * (3 * width + 1));
  for (let row = 0; row < height; row++) {
    rows.set(pixels.subarray(3 * row * width, 3 * (row + 1) * width), row * (3 * width + 1) + 1);
  }
  const header = [...bigEndian(width), ...bigEndian(height), BITS, COLORED, 0, 0, 0];
  const parts = [
    pngSignature(),
    pngChunk("IHDR", Uint8Array.from(header)),
    // what pictures are of, for those who look into the file
    pngChunk("iTXt", new TextEncoder().encode(`Description\0\0\0\0\0${label}`)),
    pngChunk("tEXt", new TextEncoder().encode("Software\0sluice plot")),
    pngChunk("IDAT", await through(rows, new CompressionStream("deflate"))),
    pngChunk("IEND", new Uint8Array()),
  ];
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}
