/**
 * What exphil writes: frames embedded in `embeddings.bin`, the buttons and sticks of each in `labels.bin`, and
 * the games they are of in `manifest.jsonl`.
 *
 * @module
 */

import type { ChunkedArray } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import type { ByteSource } from "../../files/byte_source.ts";
import { readExactly, sourceOf } from "../../files/byte_source.ts";
import { decodeBfloat16 } from "../../math/bfloat16.ts";
import type { Store } from "../../store/store.ts";
import type { NumericType } from "../../zarr/data_types.ts";
import { elementBytes } from "../../zarr/data_types.ts";
import { openLayout } from "../npy.ts";
import type { Segment } from "../window_view.ts";
import type { EpisodeParts } from "./parts.ts";
import { readJsonLines } from "./json_lines.ts";

const EMBEDDINGS = { magic: "EMBD", headerBytes: 32 };
const LABELS = { magic: "LBLS", headerBytes: 24, frameBytes: 6 };
/** Elements by the number that a header has; the third is read as f32, exactly. */
const DATA_TYPES = [undefined, "float32", "float16", "bfloat16"] as const;
/** What the bytes of a label are, and the bits of the first of them, from the lowest. */
const [BYTES, BUTTONS] = [["main_x", "main_y", "c_x", "c_y", "shoulder"], 8];

export async function openExphil(store: Store): Promise<EpisodeParts> {
  const embeddings = await openEmbeddings(await sourceOf(store, "/embeddings.bin"));
  const [frames] = embeddings.shape as [number];
  const segments = await readManifest(store, frames);
  const arrays = new Map<string, () => Promise<ChunkedArray>>([
    ["embeddings", () => Promise.resolve(embeddings)],
  ]);
  if (await store.size("/labels.bin") !== undefined) {
    const labels = await openLabels(await sourceOf(store, "/labels.bin"), frames);
    arrays.set("labels", () => Promise.resolve(labels));
    arrays.set("buttons", () => Promise.resolve(buttonsOf(labels)));
    BYTES.forEach((name, i) => arrays.set(name, () => Promise.resolve(columnOf(labels, i + 1))));
  }
  return {
    ...{ kind: "exphil", rate: undefined, segments, parts: {}, tasks: undefined, arrays },
    close: () => store.close(),
  };
}

/** Frames [frames, width]; `bfloat16` is read as f32, exactly. */
async function openEmbeddings(source: ByteSource): Promise<ChunkedArray> {
  const { path } = source;
  const { header, frames } = await readHeader(source, EMBEDDINGS);
  const width = wholeOf(header.getBigUint64(16, true), path);
  const [code, spare] = [header.getUint32(24, true), header.getUint32(28, true)];
  const stored = DATA_TYPES[code];
  if (!stored || spare !== 0 || width === 0) {
    throw new ChunkError(
      `Cannot open "${path}": its header has the type ${code}, a width of ${width} and ${spare} at its ` +
        "end, wanted a type from 1 to 3 (f32, f16, bf16), a width from 1 and 0",
      path,
    );
  }
  const dtype: NumericType = stored === "bfloat16" ? "uint16" : stored;
  checkBytes(source, EMBEDDINGS.headerBytes + frames * width * elementBytes(dtype), frames);
  const offset = EMBEDDINGS.headerBytes;
  const shape = [frames, width];
  const array = openLayout(source, { dtype, shape, fortran: false, bigEndian: false, offset });
  if (stored !== "bfloat16") return array;
  const readBits = async (...range: Parameters<ChunkedArray["read"]>) =>
    await array.read(...range) as Uint16Array;
  return {
    ...array,
    dtype: "float32",
    read: async (...range) => decodeBfloat16(await readBits(...range)),
    readBrainBits: readBits,
  };
}

/** Bytes of frames, [frames, 6]: a mask of buttons, and buckets of sticks and shoulder. */
async function openLabels(source: ByteSource, wantedFrames: number): Promise<ChunkedArray> {
  const { path } = source;
  const { header, frames } = await readHeader(source, LABELS);
  const [frameBytes, spare] = [header.getUint32(16, true), header.getUint32(20, true)];
  if (frameBytes !== LABELS.frameBytes || spare !== 0 || frames !== wantedFrames) {
    throw new ChunkError(
      `Cannot open "${path}": its header has ${frames} frames of ${frameBytes} bytes and ${spare} at its ` +
        `end, wanted the ${wantedFrames} frames that are embedded, of ${LABELS.frameBytes} bytes, and 0`,
      path,
    );
  }
  checkBytes(source, LABELS.headerBytes + frames * frameBytes, frames);
  const offset = LABELS.headerBytes;
  return openLayout(source, {
    ...{ dtype: "uint8", shape: [frames, frameBytes], fortran: false, bigEndian: false, offset },
  });
}

async function readHeader(
  source: ByteSource,
  { magic, headerBytes }: { magic: string; headerBytes: number },
): Promise<{ header: DataView; frames: number }> {
  const { path } = source;
  const bytes = await readExactly(source, 0, headerBytes, "the header");
  const header = new DataView(bytes.buffer, bytes.byteOffset, headerBytes);
  const [found, version] = [
    String.fromCharCode(...bytes.subarray(0, 4)),
    header.getUint32(4, true),
  ];
  if (found !== magic || version !== 1) {
    throw new ChunkError(
      `Cannot open "${path}": it begins with ${
        JSON.stringify(found)
      } of version ${version}, wanted ` +
        `"${magic}" of version 1`,
      path,
    );
  }
  return { header, frames: wholeOf(header.getBigUint64(8, true), path) };
}

function wholeOf(count: bigint, path: string): number {
  if (count <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(count);
  throw new ChunkError(`Cannot open "${path}": its header counts to ${count}`, path);
}

function checkBytes({ path, bytes }: ByteSource, wanted: number, frames: number): void {
  if (bytes === wanted) return;
  throw new ChunkError(
    `Cannot open "${path}": it has ${bytes} bytes, ${frames} frames take ${wanted} bytes; what was being ` +
      "written when it stopped is to be cut off, or written to its end",
    path,
  );
}

/** Games in the order they lie in, by path, with the port where a path comes more than once. */
async function readManifest(store: Store, frames: number): Promise<Segment[]> {
  const { lines, path } = await readJsonLines(store, "/manifest.jsonl");
  const names = lines.map(({ path }) => path);
  let next = 0;
  const segments = lines.map((line, i): Segment => {
    const { path: game, start, frames: count, port } = line;
    const isWhole = Number.isSafeInteger(count) && count as number > 0;
    if (typeof game !== "string" || start !== next || !isWhole) {
      throw new ChunkError(
        `Cannot open "${path}": line ${i + 1} is ${
          JSON.stringify(line)
        }, wanted a path, the start ${next} ` +
          "and frames from 1",
        path,
      );
    }
    next += count as number;
    const isAlone = names.indexOf(game) === names.lastIndexOf(game);
    return { start, end: next, id: isAlone ? game : `${game} port ${port}` };
  });
  const ids = new Set(segments.map(({ id }) => id));
  if (next !== frames || ids.size !== segments.length) {
    throw new ChunkError(
      `Cannot open "${path}": it has ${ids.size} games of their own in ${segments.length} lines, with ` +
        `${next} frames, wanted a path and port of each and the ${frames} frames that are embedded`,
      path,
    );
  }
  return segments;
}

/** Whether each button is pressed, [frames, 8]: a b x y z l r d_up. */
function buttonsOf(labels: ChunkedArray): ChunkedArray {
  return derived(labels, [BUTTONS], (bytes, pressed) => {
    for (let i = 0; i < pressed.length; i++) {
      pressed[i] = (bytes[Math.floor(i / BUTTONS) * LABELS.frameBytes]! >> (i % BUTTONS)) & 1;
    }
  });
}

function columnOf(labels: ChunkedArray, byte: number): ChunkedArray {
  return derived(labels, [], (bytes, column) => {
    for (let i = 0; i < column.length; i++) column[i] = bytes[i * LABELS.frameBytes + byte]!;
  });
}

function derived(
  labels: ChunkedArray,
  inner: readonly number[],
  fill: (bytes: Uint8Array, values: Uint8Array) => void,
): ChunkedArray {
  const width = inner[0] ?? 1;
  return {
    ...labels,
    shape: [labels.shape[0]!, ...inner],
    async read(start, end, { signal } = {}) {
      const bytes = await labels.read(start, end, signal && { signal }) as Uint8Array;
      const values = new Uint8Array((end - start) * width);
      fill(bytes, values);
      return values;
    },
  };
}
