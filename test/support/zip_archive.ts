/** Zip archives, and such as lie. */

import { crc32 } from "../../src/math/crc32c.ts";

export interface ArchiveMember {
  name: string;
  content: Uint8Array;
  deflate?: boolean;
  /** What the directory says instead of the truth. */
  says?: { bytes?: number; packedBytes?: number; crc?: number; flags?: number; method?: number };
  /** Sizes and place in the extra field of zip64. */
  wide?: boolean;
}

const text = (letters: string) => new TextEncoder().encode(letters);

function numbers(...parts: [value: number, bytes: number][]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap(([value, bytes]) =>
      Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256)
    ),
  );
}

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

async function deflated(content: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([content.slice()]).stream()
    .pipeThrough(new CompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** An archive by APPNOTE, records one after another. */
export async function archive(
  members: readonly ArchiveMember[],
  { wide = false } = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const [bodies, entries]: [Uint8Array[], Uint8Array[]] = [[], []];
  let at = 0;
  for (const { name, content, deflate = false, says = {}, wide = false } of members) {
    const packed = deflate ? await deflated(content) : content;
    const { bytes = content.length, packedBytes = packed.length, crc = crc32(content) } = says;
    const { flags = 0, method = deflate ? 8 : 0 } = says;
    const common = [[20, 2], [flags, 2], [method, 2], [0, 4], [crc, 4]] as [number, number][];
    const sizes = wide ? [0xffffffff, 0xffffffff] : [packedBytes, bytes];
    const extra = wide
      ? numbers([1, 2], [24, 2], [bytes, 8], [packedBytes, 8], [at, 8])
      : numbers();
    const header = numbers([0x04034b50, 4], ...common, [sizes[0]!, 4], [sizes[1]!, 4], [
      name.length,
      2,
    ], [3, 2]);
    entries.push(
      numbers(
        [0x02014b50, 4],
        [20, 2],
        ...common,
        [sizes[0]!, 4],
        [sizes[1]!, 4],
        [name.length, 2],
        [extra.length, 2],
        [0, 10],
        [wide ? 0xffffffff : at, 4],
      ),
      text(name),
      extra,
    );
    // three bytes of extra: where the content begins is told by the member's own header alone
    bodies.push(header, text(name), numbers([0, 3]), packed);
    at += header.length + name.length + 3 + packed.length;
  }
  const directory = join(entries);
  const counts = [[members.length, 2], [members.length, 2], [directory.length, 4], [at, 4]] as [
    number,
    number,
  ][];
  const wideEnd = [
    numbers(
      [0x06064b50, 4],
      [44, 8],
      [45, 2],
      [45, 2],
      [0, 8],
      [members.length, 8],
      [members.length, 8],
      [directory.length, 8],
      [at, 8],
    ),
    numbers([0x07064b50, 4], [0, 4], [at + directory.length, 8], [1, 4]),
  ];
  const end = numbers(
    [0x06054b50, 4],
    [0, 4],
    ...wide
      ? [[0xffff, 2], [0xffff, 2], [0xffffffff, 4], [0xffffffff, 4]] as [number, number][]
      : counts,
    [7, 2],
  );
  return join([...bodies, directory, ...wide ? wideEnd : [], end, text("comment")]);
}
