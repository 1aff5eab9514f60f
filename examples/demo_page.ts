/**
 * Draws a decode as one self-contained HTML page: the posterior along x and y over time with the
 * true path on top, and the probability of each discrete state below.
 */

import { deflateSync } from "node:zlib";
import type { decoder } from "../src/mod.ts";
import { decoder as decode } from "../src/mod.ts";

type Session = ReturnType<typeof decoder.simulateSession>;
type Result = decoder.DecodeResult;

/** Part of the recording that is drawn: long enough for a lap or two, short enough to see bins. */
const SHOWN_SECONDS = 60;
/** Cut where the animal counts as running, cm/s. */
const RUNNING_SPEED = 4;

const PLOT = { width: 1080, height: 200, left: 64, top: 28, gap: 52 };

export async function renderPage(
  session: Session,
  result: Result,
): Promise<{ html: string; medianError: number }> {
  const times = await result.time.read(0, result.time.shape[0]!) as Float64Array;
  const means = await decode.posteriorMean(result);
  const truth = [0, 1].map((dimension) => positionAt(session, times, dimension));
  const medianError = median(errorsWhileRunning(times, truth, means));

  const step = times[1]! - times[0]!;
  const shown = Math.min(times.length, Math.round(SHOWN_SECONDS / step));
  const first = busiestStretch(truth, shown);
  const seconds = times.subarray(first, first + shown);
  const panels: string[] = [];
  for (const dimension of [0, 1]) {
    const { image, low, high } = await marginalImage(result, dimension, first, shown);
    const path = truth[dimension]!.subarray(first, first + shown);
    panels.push(heatPanel(dimension, image, low, high, seconds, path));
  }
  panels.push(await statePanel(result, first, seconds));
  const height = panels.length * (PLOT.height + PLOT.gap) + PLOT.top;
  const [rows, bins] = result.posterior.shape as [number, number];
  const html = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sluice: decoded position</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; max-width: 1180px; margin: 32px auto; padding: 0 16px }
  h1 { font-size: 22px; margin: 0 0 4px } p { margin: 0 0 16px; color: #57606a }
  svg { width: 100%; height: auto } text { font: 13px system-ui, sans-serif; fill: #57606a }
  .title { font-weight: 600; fill: #1b1f24 }
</style>
<h1>Where was the rat? Decoded from spikes alone</h1>
<p>${rows.toLocaleString("en")} rows of ${(1000 * step).toFixed(0)} ms over ${bins} state bins;
${SHOWN_SECONDS} seconds are shown. Median error while running: ${medianError.toFixed(1)} cm.
Blue: posterior probability. Orange: the true path.</p>
<svg viewBox="0 0 ${PLOT.width + PLOT.left + 24} ${height}" role="img"
  aria-label="Posterior over position and the true path">
${
    panels.map((panel, i) =>
      `<g transform="translate(${PLOT.left} ${
        PLOT.top + i * (PLOT.height + PLOT.gap)
      })">${panel}</g>`
    ).join("\n")
  }
</svg></html>
`;
  return { html, medianError };
}

/** True position at each time, linear between samples. */
function positionAt(session: Session, times: Float64Array, dimension: number): Float64Array {
  const { times: sampled, values } = session.position;
  const at = new Float64Array(times.length);
  let sample = 0;
  times.forEach((time, row) => {
    while (sample < sampled.length - 2 && sampled[sample + 1]! <= time) sample++;
    const share = (time - sampled[sample]!) / (sampled[sample + 1]! - sampled[sample]!);
    const before = values[2 * sample + dimension]!;
    at[row] = before + Math.min(1, Math.max(0, share)) *
        (values[2 * sample + 2 + dimension]! - before);
  });
  return at;
}

function errorsWhileRunning(
  times: Float64Array,
  truth: Float64Array[],
  means: Float64Array[],
): number[] {
  const errors: number[] = [];
  for (let row = 1; row < times.length; row++) {
    const moved = Math.hypot(
      truth[0]![row]! - truth[0]![row - 1]!,
      truth[1]![row]! - truth[1]![row - 1]!,
    );
    if (moved / (times[row]! - times[row - 1]!) < RUNNING_SPEED) continue;
    errors.push(Math.hypot(truth[0]![row]! - means[0]![row]!, truth[1]![row]! - means[1]![row]!));
  }
  return errors;
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** First row of the stretch in which the animal covers most ground. */
function busiestStretch(truth: Float64Array[], shown: number): number {
  const rows = truth[0]!.length;
  let best = 0;
  let most = -1;
  for (let start = 0; start + shown <= rows; start += Math.max(1, Math.floor(shown / 4))) {
    let ground = 0;
    for (let row = start + 1; row < start + shown; row++) {
      ground += Math.hypot(
        truth[0]![row]! - truth[0]![row - 1]!,
        truth[1]![row]! - truth[1]![row - 1]!,
      );
    }
    if (ground > most) [most, best] = [ground, start];
  }
  return best;
}

/** Posterior summed over everything but one dimension, as a PNG: time to the right, position up. */
async function marginalImage(result: Result, dimension: number, first: number, shown: number) {
  const centers = result.binCenters[dimension]!;
  const levels = [...new Set(centers)].sort((a, b) => a - b);
  const levelOf = Uint16Array.from(centers, (center) => levels.indexOf(center));
  const width = result.posterior.shape[1]!;
  const mass = new Float64Array(levels.length * shown);
  const values = await result.posterior.read(first, first + shown) as Float32Array;
  for (let row = 0; row < shown; row++) {
    for (let bin = 0; bin < width; bin++) {
      mass[levelOf[bin]! * shown + row]! += values[row * width + bin]!;
    }
  }
  const pixels = new Uint8Array(3 * mass.length);
  for (let level = 0; level < levels.length; level++) {
    for (let row = 0; row < shown; row++) {
      const color = ramp(Math.sqrt(mass[level * shown + row]!));
      pixels.set(color, 3 * ((levels.length - 1 - level) * shown + row));
    }
  }
  const half = (levels[1]! - levels[0]!) / 2;
  return {
    image: encodePng(shown, levels.length, pixels),
    low: levels[0]! - half,
    high: levels.at(-1)! + half,
  };
}

function heatPanel(
  dimension: number,
  image: Uint8Array,
  low: number,
  high: number,
  seconds: Float64Array,
  path: Float64Array,
): string {
  const source = `data:image/png;base64,${Buffer.from(image).toString("base64")}`;
  const up = (value: number) => PLOT.height * (1 - (value - low) / (high - low));
  return `<text class="title" y="-8">${"xy"[dimension]} position, cm</text>
<image href="${source}" width="${PLOT.width}" height="${PLOT.height}" preserveAspectRatio="none"
  style="image-rendering: pixelated"/>
<polyline points="${polyline(path, up)}" fill="none" stroke="#e6550d" stroke-width="1.6"/>
${frame(seconds)}${levels([0, 25, 50, 75, 100].filter((v) => v >= low && v <= high), up)}`;
}

async function statePanel(result: Result, first: number, seconds: Float64Array): Promise<string> {
  const states = result.states.shape[1]!;
  const values = await result.states.read(first, first + seconds.length) as Float32Array;
  const last = Float64Array.from(seconds, (_, row) => values[row * states + states - 1]!);
  const up = (value: number) => PLOT.height * (1 - value);
  return `<text class="title" y="-8">Probability of the fragmented state</text>
<polyline points="${polyline(last, up)}" fill="none" stroke="#2171b5" stroke-width="1.2"/>
${frame(seconds)}${levels([0, 0.5, 1], up)}
<text x="${PLOT.width / 2}" y="${PLOT.height + 40}" text-anchor="middle">time, s</text>`;
}

function polyline(values: Float64Array, up: (value: number) => number): string {
  const points: string[] = [];
  values.forEach((value, i) =>
    points.push(`${((i + 0.5) * PLOT.width / values.length).toFixed(1)},${up(value).toFixed(1)}`)
  );
  return points.join(" ");
}

function frame(seconds: Float64Array): string {
  const [begin, end] = [seconds[0]!, seconds.at(-1)!];
  let marks = "";
  for (let second = Math.ceil(begin / 10) * 10; second <= end; second += 10) {
    const x = (PLOT.width * (second - begin) / (end - begin)).toFixed(1);
    marks +=
      `<line x1="${x}" x2="${x}" y1="${PLOT.height}" y2="${PLOT.height + 5}" stroke="#8c959f"/>` +
      `<text x="${x}" y="${PLOT.height + 20}" text-anchor="middle">${second}</text>`;
  }
  return `<rect width="${PLOT.width}" height="${PLOT.height}" fill="none" stroke="#8c959f"/>${marks}`;
}

function levels(values: number[], up: (value: number) => number): string {
  return values.map((value) =>
    `<text x="-8" y="${(up(value) + 4).toFixed(1)}" text-anchor="end">${value}</text>`
  ).join("");
}

const STOPS = [[255, 255, 255], [198, 219, 239], [66, 146, 198], [8, 48, 107]] as const;

/** White to dark blue for 0 to 1. */
function ramp(value: number): number[] {
  const at = Math.min(0.9999, Math.max(0, value)) * (STOPS.length - 1);
  const [low, high] = [STOPS[Math.floor(at)]!, STOPS[Math.floor(at) + 1]!];
  return low.map((part, i) => Math.round(part + (at % 1) * (high[i]! - part)));
}

/** An 8-bit RGB PNG. */
function encodePng(width: number, height: number, rgb: Uint8Array): Uint8Array {
  const raw = new Uint8Array(height * (1 + 3 * width));
  for (let row = 0; row < height; row++) {
    raw.set(rgb.subarray(3 * width * row, 3 * width * (row + 1)), row * (1 + 3 * width) + 1);
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
  const parts = [
    signature,
    pngChunk("IHDR", header),
    pngChunk("IDAT", deflateSync(raw)),
    pngChunk("IEND", new Uint8Array()),
  ];
  return Buffer.concat(parts);
}

function pngChunk(type: string, data: Uint8Array): Uint8Array {
  const chunk = new Uint8Array(12 + data.length);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, data.length);
  chunk.set(new TextEncoder().encode(type), 4);
  chunk.set(data, 8);
  view.setUint32(8 + data.length, pngCrc(chunk.subarray(4, 8 + data.length)));
  return chunk;
}

function pngCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}
