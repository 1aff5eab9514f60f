/**
 * Compression in the zlib format (RFC 1950 and 1951), at once and in every runtime: browsers offer it
 * only to those who wait.
 *
 * @module
 */

const WINDOW = 32_768;
const [SHORTEST, LONGEST] = [3, 258];
/** Earlier places that are tried for a match. */
const TRIES = 24;

// codes of lengths and distances: the least of each, and the bits that tell what it is above that
const LENGTH_BITS = [
  ...Array(8).fill(0),
  ...[1, 2, 3, 4, 5].flatMap((bits) => Array(4).fill(bits)),
  0,
];
const DISTANCE_BITS = [0, 0, ...Array.from({ length: 28 }, (_, i) => i >> 1)];
const LENGTHS = leastOf(LENGTH_BITS, SHORTEST);
LENGTHS[28] = LONGEST;
const DISTANCES = leastOf(DISTANCE_BITS, 1);

function leastOf(bits: readonly number[], first: number): number[] {
  let next = first;
  return bits.map((count) => (next += 2 ** count) - 2 ** count);
}

/** Last code whose least value is no larger. */
function codeOf(leasts: readonly number[], value: number): number {
  let code = leasts.length - 1;
  while (leasts[code]! > value) code--;
  return code;
}

/** Writes numbers of few bits, the lowest bit first. */
class BitWriter {
  readonly bytes: number[] = [];
  #held = 0;
  #count = 0;

  write(value: number, bits: number): void {
    this.#held |= value << this.#count;
    this.#count += bits;
    while (this.#count >= 8) {
      this.bytes.push(this.#held & 255);
      this.#held >>>= 8;
      this.#count -= 8;
    }
  }

  /** Huffman codes are written from their highest bit. */
  writeCode(code: number, bits: number): void {
    let turned = 0;
    for (let bit = 0; bit < bits; bit++) turned |= (code >> bit & 1) << (bits - 1 - bit);
    this.write(turned, bits);
  }

  flush(): void {
    if (this.#count > 0) this.write(0, 8 - this.#count);
  }
}

/** A literal, a length or the end, in the fixed code of RFC 1951, 3.2.6. */
function writeSymbol(writer: BitWriter, symbol: number): void {
  if (symbol < 144) writer.writeCode(48 + symbol, 8);
  else if (symbol < 256) writer.writeCode(400 + symbol - 144, 9);
  else if (symbol < 280) writer.writeCode(symbol - 256, 7);
  else writer.writeCode(192 + symbol - 280, 8);
}

/** Compresses bytes: repeated runs and fixed codes, which suits pictures of few colours. */
export function zlibCompress(data: Uint8Array): Uint8Array {
  const writer = new BitWriter();
  writer.write(0x78, 8);
  writer.write(0x01, 8);
  // one block, the last, of fixed codes
  writer.write(0b011, 3);
  const heads = new Int32Array(65_536).fill(-1);
  const earlier = new Int32Array(data.length);
  for (let at = 0; at < data.length;) {
    const { length, distance } = longestMatch(data, at, heads, earlier);
    if (length < SHORTEST) {
      writeSymbol(writer, data[at]!);
    } else {
      const code = codeOf(LENGTHS, length);
      writeSymbol(writer, 257 + code);
      writer.write(length - LENGTHS[code]!, LENGTH_BITS[code]!);
      const far = codeOf(DISTANCES, distance);
      writer.writeCode(far, 5);
      writer.write(distance - DISTANCES[far]!, DISTANCE_BITS[far]!);
    }
    const next = at + Math.max(1, length);
    for (; at < next; at++) remember(data, at, heads, earlier);
  }
  writeSymbol(writer, 256);
  writer.flush();
  return Uint8Array.from(writer.bytes.concat(bigEndian(adler32(data))));
}

/** Numbers of three bytes, spread over the table. */
function hashAt(data: Uint8Array, at: number): number {
  return ((data[at]! << 10) ^ (data[at + 1]! << 5) ^ data[at + 2]!) & 65_535;
}

function remember(data: Uint8Array, at: number, heads: Int32Array, earlier: Int32Array): void {
  if (at + SHORTEST > data.length) return;
  const hash = hashAt(data, at);
  earlier[at] = heads[hash]!;
  heads[hash] = at;
}

function longestMatch(data: Uint8Array, at: number, heads: Int32Array, earlier: Int32Array) {
  const best = { length: 0, distance: 0 };
  if (at + SHORTEST > data.length) return best;
  const most = Math.min(LONGEST, data.length - at);
  let from = heads[hashAt(data, at)]!;
  for (let tries = 0; tries < TRIES && from >= 0 && at - from <= WINDOW; tries++) {
    let length = 0;
    while (length < most && data[from + length] === data[at + length]) length++;
    if (length > best.length) Object.assign(best, { length, distance: at - from });
    if (length === most) break;
    from = earlier[from]!;
  }
  return best.length < SHORTEST ? { length: 0, distance: 0 } : best;
}

function adler32(data: Uint8Array): number {
  let [sum, sums] = [1, 0];
  for (const byte of data) {
    sum = (sum + byte) % 65_521;
    sums = (sums + sum) % 65_521;
  }
  return (sums * 65_536 + sum) >>> 0;
}

export function bigEndian(value: number): number[] {
  return [value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255];
}
