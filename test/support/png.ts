/** Reads the PNGs that pictures hold. */

export async function inflate(data: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([data as Uint8Array<ArrayBuffer>]).stream()
    .pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Chunks of a PNG that is given as a data address, by name; checks the signature. */
export function pngChunks(address: string): Record<string, Uint8Array> {
  const text = atob(address.slice("data:image/png;base64,".length));
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  if (`${bytes.subarray(0, 8)}` !== "137,80,78,71,13,10,26,10") throw new Error("not a PNG");
  const view = new DataView(bytes.buffer);
  const chunks: Record<string, Uint8Array> = {};
  for (let at = 8; at < bytes.length;) {
    const length = view.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    chunks[name] = bytes.slice(at + 8, at + 8 + length);
    at += 12 + length;
  }
  return chunks;
}

/** Width and height that a PNG tells. */
export function pngSize(address: string): [number, number] {
  const view = new DataView(pngChunks(address).IHDR!.buffer);
  return [view.getUint32(0), view.getUint32(4)];
}

/** Places in the palette, `[height][width]`, of a PNG whose rows have no filter. */
export async function pngRows(address: string): Promise<number[][]> {
  const [width, height] = pngSize(address);
  const data = await inflate(pngChunks(address).IDAT!);
  return Array.from({ length: height }, (_, row) => {
    const from = row * (width + 1);
    if (data[from] !== 0) throw new Error(`row ${row} has the filter ${data[from]}`);
    return [...data.subarray(from + 1, from + 1 + width)];
  });
}
