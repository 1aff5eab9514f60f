/**
 * How a zip archive is laid out whose members are stored as they are: headers, directory and end, by APPNOTE 6.3.10, with zip64
 * records where 32 bits are too few.
 *
 * @module
 */

const [LOCAL, LOCAL_BYTES] = [0x04034b50, 30];
const [ENTRY, ENTRY_BYTES] = [0x02014b50, 46];
const [END_64, END_64_BYTES] = [0x06064b50, 56];
const [LOCATOR, LOCATOR_BYTES] = [0x07064b50, 20];
const [END, END_BYTES] = [0x06054b50, 22];
/** What a field of 16 or 32 bits holds where zip64 has the number. */
const [IN_64_16, IN_64_32] = [0xffff, 0xffffffff];
/** Its extra field has three numbers at most. */
const [EXTRA_64, MOST_EXTRA_64_BYTES] = [1, 28];
const [VERSION_64, VERSION] = [45, 20];
const IS_UTF_8 = 0x0800;
/** Midnight of the first day that zip knows: equal stores are equal archives. */
const FIRST_DAY = 0x21;

/** A number, and the bytes that it takes. */
interface Field {
  bytes: number;
  value: number;
}

/** A member, once its checksum is known. */
export interface ZipMember {
  name: Uint8Array;
  crc: number;
  bytes: number;
  /** Where its header begins, and its content. */
  at: number;
  contentAt: number;
}

/** An archive as it grows, member after member. */
export class ZipLayout {
  readonly members: ZipMember[] = [];
  /** Bytes so far. */
  bytes = 0;

  /** Bytes of an archive of members of these names, at most, without what they hold. */
  static mostRecordBytes(names: readonly string[]): number {
    return names.reduce(
      (sum, name) =>
        sum + LOCAL_BYTES + ENTRY_BYTES + 2 * (encode(name).length + MOST_EXTRA_64_BYTES),
      END_64_BYTES + LOCATOR_BYTES + END_BYTES,
    );
  }

  /** Makes room for a member of so many bytes. Its header is written once its checksum is known. */
  add(name: string, bytes: number): ZipMember {
    const member = { name: encode(name), crc: 0, bytes, at: this.bytes, contentAt: 0 };
    member.contentAt = this.bytes + localHeader(member).length;
    this.bytes = member.contentAt + bytes;
    this.members.push(member);
    return member;
  }

  /** The directory and the end, piece by piece. */
  *directory(): Generator<Uint8Array> {
    const at = this.bytes;
    for (const member of this.members) {
      const bytes = entry(member);
      this.bytes += bytes.length;
      yield bytes;
    }
    const end = endRecords(this.members.length, this.bytes - at, at);
    this.bytes += end.length;
    yield end;
  }
}

type Placed = Omit<ZipMember, "contentAt">;

/** What a member begins with. */
export function localHeader(member: Placed): Uint8Array {
  const { bytes } = member;
  // here both sizes, and never the place
  const wide = bytes >= IN_64_32 ? [bytes, bytes] : [];
  return joined(record(four(LOCAL), facts(member, wide)), member.name, extra(wide));
}

function entry(member: Placed): Uint8Array {
  const { bytes, at } = member;
  const wide = [...bytes >= IN_64_32 ? [bytes, bytes] : [], ...at >= IN_64_32 ? [at] : []];
  const header = record(
    ...[four(ENTRY), two(VERSION_64), facts(member, wide), two(0, 0, 0)],
    four(0, Math.min(at, IN_64_32)),
  );
  return joined(header, member.name, extra(wide));
}

/** What both headers of a member say of it. */
function facts({ crc, bytes, name }: Placed, wide: readonly number[]): Field[] {
  const size = Math.min(bytes, IN_64_32);
  return [
    ...two(wide.length > 0 ? VERSION_64 : VERSION, IS_UTF_8, 0, 0, FIRST_DAY),
    ...four(crc, size, size),
    ...two(name.length, extra(wide).length),
  ];
}

/** Numbers in 64 bits, for which 32 are too few. */
function extra(wide: readonly number[]): Uint8Array {
  if (wide.length === 0) return new Uint8Array(0);
  return record(two(EXTRA_64, 8 * wide.length), eight(...wide));
}

function endRecords(count: number, bytes: number, at: number): Uint8Array {
  const few = Math.min(count, IN_64_16);
  const sizes = four(Math.min(bytes, IN_64_32), Math.min(at, IN_64_32));
  const end = record(four(END), two(0, 0, few, few), sizes, two(0));
  if (count < IN_64_16 && bytes < IN_64_32 && at < IN_64_32) return end;
  const wide = record(
    ...[four(END_64), eight(END_64_BYTES - 12), two(VERSION_64, VERSION_64), four(0, 0)],
    eight(count, count, bytes, at),
  );
  return joined(wide, record(four(LOCATOR, 0), eight(at + bytes), four(1)), end);
}

const encode = (text: string) => new TextEncoder().encode(text);

const sized = (bytes: number) => (...values: readonly number[]): Field[] =>
  values.map((value) => ({ bytes, value }));
const [two, four, eight] = [sized(2), sized(4), sized(8)];

/** Numbers one after another, little-endian. */
function record(...fields: readonly Field[][]): Uint8Array {
  const all = fields.flat();
  const record = new Uint8Array(all.reduce((sum, { bytes }) => sum + bytes, 0));
  let at = 0;
  for (const { bytes, value } of all) {
    for (let i = 0, rest = value; i < bytes; i++, rest = Math.floor(rest / 256)) {
      record[at++] = rest % 256;
    }
  }
  return record;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
