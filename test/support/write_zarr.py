"""Writes seeded arrays of zarr, with what they hold, for a reader to be compared with.

    python3 write_zarr.py FOLDER SEED COUNT

Version 2 is written by zarr-python 2 and numcodecs. Version 3, which that has not, is put together here by the
letter of the specification, with codecs of numcodecs. For each array i there are i.zarr and i.bin: its
elements in C order and little endian. The list is printed as JSON: name of the type, what the array is made
of, and whether a reader that knows the usual codecs should read it.
"""

import gzip, itertools, json, os, sys, zlib
import numcodecs, numpy as np, zarr
from foreign_values import NAMES, any_shape, chance, fill_of, pick, rng, seed, values_of

FOLDER, SEED, COUNT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
seed(SEED)


def blosc():
    return numcodecs.Blosc(cname=pick("blosclz", "lz4", "lz4hc", "zlib", "zstd"), clevel=int(rng.integers(0, 10)),
                           shuffle=pick(0, 1, 2, -1), blocksize=pick(0, 0, 256, 1024))


COMPRESSORS = [lambda: None, blosc, blosc, lambda: numcodecs.Zstd(pick(1, 5, 12)), lambda: numcodecs.GZip(pick(0, 1, 9)),
               lambda: numcodecs.Zlib(pick(0, 1, 9)), lambda: numcodecs.LZ4(pick(1, 9))]


def filters_of(dtype):
    """Filters for elements of a type."""
    kind = dtype.kind
    if kind == "b":
        return pick([numcodecs.PackBits()], [numcodecs.Shuffle(1)])
    size = dtype.itemsize
    shuffle = [numcodecs.Shuffle(pick(0, 1, size, 2 * size, 3, 4))]
    if kind in "iu":
        narrow = np.dtype(pick("<", ">") + dtype.kind + pick(*[n for n in "1248" if int(n) <= size]))
        delta = numcodecs.Delta(dtype.str, pick(dtype.str, narrow.str))
        return pick(shuffle, [delta], [delta] + shuffle, [numcodecs.Adler32()],
                    [numcodecs.AsType(">i8", dtype.str)])
    delta = numcodecs.Delta(dtype.str, pick("<", ">") + dtype.str[1:])
    scale = numcodecs.FixedScaleOffset(pick(0, 10, 0.3), pick(1, 10, 100.5, 0.1), dtype.str,
                                       pick("<i2", ">i4", "|u1", dtype.str))
    quantize = numcodecs.Quantize(pick(1, 3), dtype.str, pick(dtype.str, "<f4") if size > 2 else dtype.str)
    # numcodecs itself rounds no big-endian numbers
    bitround = [numcodecs.BitRound(pick(3, 8))] if dtype.str[0] == "<" else shuffle
    return pick(shuffle, [delta], [delta] + shuffle, [scale], [quantize] + shuffle, bitround)


UNKNOWN = {"packbits", "adler32", "crc32", "astype", "bz2", "lzma"}


def is_known(dtype, codecs):
    for codec in codecs:
        config = codec.get_config()
        if config["id"] in UNKNOWN:
            return False
        if config["id"] == "fixedscaleoffset":
            if dtype.itemsize == 2 or np.dtype(config["astype"]).str[1:] == "f2":
                return False
    return True


def write_v2(path):
    kind = pick(*NAMES)
    odd = chance(0.06)
    dtype = np.dtype(pick("<c8", "<M8[ns]", "|S3", "<U2", "|V4")) if odd else np.dtype(pick("<", ">") + kind)
    shape = any_shape()
    if odd and chance(0.3):
        dtype = np.dtype([("a", "<i4"), ("b", "<f8")])
    chunks = tuple(max(1, min(int(rng.integers(1, n + 3)), 40)) for n in shape)
    data = np.zeros(shape, dtype) if odd else values_of(dtype, shape)
    filters = None if odd or chance(0.6) else filters_of(dtype)
    compressor = pick(numcodecs.BZ2(), numcodecs.LZMA()) if chance(0.03) else COMPRESSORS[rng.integers(len(COMPRESSORS))]()
    whole = chance(0.7)
    fill = None if odd or (whole and chance(0.2)) else fill_of(dtype)
    order = pick("C", "F")
    array = zarr.open_array(zarr.DirectoryStore(path), mode="w", shape=shape, chunks=chunks, dtype=dtype, order=order,
                            compressor=compressor, filters=filters, fill_value=fill,
                            dimension_separator=pick(".", "/"))
    if chance(0.3):
        array.attrs["note"] = pick(float("nan"), "x", 2**60)
    with np.errstate(all="ignore"):
        if whole:
            array[...] = data
        else:
            part = tuple(slice(int(rng.integers(0, n)), n) for n in shape)
            array[part] = data[part]
    codecs = list(filters or []) + ([compressor] if compressor else [])
    held = zarr.open_array(zarr.DirectoryStore(path), mode="r")[...]
    made = "v2 " + " ".join([dtype.str, order] + [str(codec) for codec in codecs])
    return held, made, not odd and is_known(dtype, codecs)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return (crc ^ 0xFFFFFFFF).to_bytes(4, "little")


def named(name, **configuration):
    if not configuration and chance(0.5):
        return pick({"name": name}, name)
    return {"name": name, "configuration": configuration}


def byte_codecs():
    """Codecs from bytes to bytes: what is said of each, and what it does."""
    config = blosc()
    level = pick(1, 9)
    known = [
        (named("gzip", level=level), lambda data: gzip.compress(data, level)),
        (named("zstd", level=level, checksum=False), numcodecs.Zstd(level).encode),
        (named("blosc", cname=config.cname, clevel=config.clevel, typesize=1, blocksize=config.blocksize,
               shuffle=["noshuffle", "shuffle", "bitshuffle"][config.shuffle]), config.encode),
        (named("numcodecs.zlib", level=level), lambda data: zlib.compress(data, level)),
        (named("numcodecs.lz4", acceleration=1), numcodecs.LZ4().encode),
        (named("crc32c"), lambda data: data + crc32c(data)),
        (named("numcodecs.shuffle", elementsize=1), lambda data: data),
    ]
    return [pick(*known) for _ in range(pick(0, 1, 1, 2))]


def chunk_codecs(dtype, rank, with_filter=True):
    """The codecs of a chunk, and a function that gives its bytes and what a reader makes of them."""
    orders = [tuple(int(axis) for axis in rng.permutation(rank)) for _ in range(pick(0, 0, 1, 2))]
    endian = pick("little", "big")
    stored = dtype.newbyteorder("<" if endian == "little" else ">")
    names = [named("transpose", order=list(order)) for order in orders]
    applied = None
    if with_filter and dtype.kind in "iuf" and chance(0.25):
        applied = numcodecs.Delta(stored.str)
        if dtype.kind == "f" and dtype.itemsize > 2:
            applied = pick(applied, numcodecs.FixedScaleOffset(10, 100.5, stored.str, stored.str[0] + "i4"),
                           numcodecs.Quantize(2, stored.str))
        config = applied.get_config()
        names.append(named("numcodecs." + config.pop("id"), **config))
    names.append(named("bytes", endian=endian) if dtype.itemsize > 1 or chance(0.5) else named("bytes"))
    steps = byte_codecs()
    names += [name for name, _ in steps]

    def encode(chunk):
        for order in orders:
            chunk = chunk.transpose(order)
        flat = np.ascontiguousarray(chunk).astype(stored).ravel()
        with np.errstate(all="ignore"):
            encoded = applied.encode(flat) if applied else flat
            read = applied.decode(encoded).view(stored) if applied else flat
        data = np.asarray(encoded).tobytes()
        for _, step in steps:
            data = bytes(step(data))
        read = read.reshape(chunk.shape)
        for order in reversed(orders):
            read = read.transpose(np.argsort(order))
        return data, read

    return names, encode


def shard_codecs(dtype, shape):
    """The same of shards, in which some chunks are missing."""
    outer = [tuple(int(axis) for axis in rng.permutation(len(shape))) for _ in range(pick(0, 0, 1, 2))]
    for order in outer:
        shape = tuple(shape[axis] for axis in order)
    inner = tuple(int(pick(*[n for n in range(1, size + 1) if size % n == 0])) for size in shape)
    names, encode = chunk_codecs(dtype, len(shape))
    location, endian, checked = pick("start", "end"), pick("little", "big"), chance(0.7)
    configuration = {"chunk_shape": list(inner), "codecs": names,
                     "index_codecs": [named("bytes", endian=endian)] + ([named("crc32c")] if checked else [])}
    if location == "start" or chance(0.5):
        configuration["index_location"] = location
    grid = [size // part for size, part in zip(shape, inner)]
    index_bytes = 16 * int(np.prod(grid)) + 4 * checked

    def encode_shard(chunk, fill):
        for order in outer:
            chunk = chunk.transpose(order)
        read = np.full(chunk.shape, fill, dtype)
        index = np.full(grid + [2], 2**64 - 1, "u8")
        body = b""
        start = index_bytes if location == "start" else 0
        positions = list(np.ndindex(*grid))
        for i in rng.permutation(len(positions)):
            if chance(0.2):
                continue
            at = tuple(slice(p * n, (p + 1) * n) for p, n in zip(positions[i], inner))
            data, read[at] = encode(chunk[at])
            body += b"gap" * pick(0, 0, 1)
            index[positions[i]] = start + len(body), len(data)
            body += data
        told = index.astype("<u8" if endian == "little" else ">u8").tobytes()
        told += crc32c(told) if checked else b""
        for order in reversed(outer):
            read = read.transpose(np.argsort(order))
        return (told + body if location == "start" else body + told), read

    return [named("transpose", order=list(order)) for order in outer] + [
        {"name": "sharding_indexed", "configuration": configuration}], encode_shard


def fill_json(dtype, fill):
    if dtype.kind != "f":
        return fill
    bits = np.array(fill, dtype).view("u%d" % dtype.itemsize)
    if chance(0.3):
        return "0x%0*x" % (2 * dtype.itemsize, int(bits))
    if np.isnan(fill):
        return "NaN"
    return {np.inf: "Infinity", -np.inf: "-Infinity"}.get(fill, fill)


def spoil(metadata):
    """Makes an array that no reader can know."""
    codecs = metadata["codecs"]
    what = pick("codec", "key", "transformer", "grid", "type", "encoding", "option", "around", "fill")
    if what == "codec":
        codecs.append(named(pick("numcodecs.bz2", "pcodec", "https://example.org/codec")))
    elif what == "key":
        metadata["rotated"] = {"name": "rotated", "must_understand": True}
    elif what == "transformer":
        metadata["storage_transformers"] = [{"name": "twice"}]
    elif what == "grid":
        metadata["chunk_grid"]["name"] = "rectilinear"
    elif what == "type":
        metadata["data_type"] = pick("complex64", "r16", "float8_e4m3", {"name": "numpy.datetime64", "configuration": {}})
    elif what == "encoding":
        metadata["chunk_key_encoding"] = {"name": "flat"}
    elif what == "option":
        codecs[-1] = {"name": "gzip", "configuration": {"level": 1, "window": 3}}
    elif what == "around":
        codecs.insert(0, named("cast_value", data_type="int8"))
    else:
        metadata["fill_value"] = pick({}, "1.5.2", "0x1")
    return "spoiled " + what


def write_v3(path):
    kind = pick(*NAMES)
    dtype = np.dtype("<" + kind)
    shape = any_shape()
    chunks = tuple(max(1, min(int(rng.integers(1, n + 3)), 24)) for n in shape)
    fill = fill_of(dtype)
    data = values_of(dtype, shape)
    sharded = chance(0.45)
    codecs, encode = shard_codecs(dtype, chunks) if sharded else chunk_codecs(dtype, len(shape))
    separator, encoding = pick("/", "."), pick("default", "v2")
    metadata = {"zarr_format": 3, "node_type": "array", "shape": list(shape), "data_type": NAMES[kind],
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
                "chunk_key_encoding": {"name": encoding, "configuration": {"separator": separator}},
                "fill_value": fill_json(dtype, fill), "codecs": codecs}
    for key, value in [("attributes", {"note": "é"}), ("storage_transformers", []),
                       ("dimension_names", [None] * len(shape)), ("hint", {"must_understand": False})]:
        if chance(0.5):
            metadata[key] = value
    spoiled = spoil(metadata) if chance(0.08) else ""
    made = "v3 " + " ".join([kind, json.dumps(codecs), spoiled])
    os.makedirs(path)
    with open(f"{path}/zarr.json", "w") as file:
        json.dump(metadata, file)
    held = np.full(shape, fill, dtype)
    for position in itertools.product(*[range(-(-n // c)) for n, c in zip(shape, chunks)]):
        if chance(0.15):
            continue
        whole = np.full(chunks, fill, dtype)
        at = tuple(slice(p * c, min(n, (p + 1) * c)) for p, c, n in zip(position, chunks, shape))
        inside = tuple(slice(0, s.stop - s.start) for s in at)
        whole[inside] = data[at]
        stored, read = encode(whole, fill) if sharded else encode(whole)
        held[at] = read[inside]
        key = separator.join((["c"] if encoding == "default" else []) + [str(p) for p in position])
        os.makedirs(os.path.dirname(f"{path}/{key}"), exist_ok=True)
        with open(f"{path}/{key}", "wb") as file:
            file.write(stored)
    return held, made, spoiled == ""


made = []
while len(made) < COUNT:
    name = f"{FOLDER}/{len(made)}"
    try:
        held, what, known = pick(write_v2, write_v3)(f"{name}.zarr")
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        # what the writer itself cannot do
        import shutil
        shutil.rmtree(f"{name}.zarr", ignore_errors=True)
        print(error, file=sys.stderr)
        continue
    held = np.ascontiguousarray(held)
    numbers = held.dtype.str[1:] in NAMES
    if numbers:
        held.astype(held.dtype.newbyteorder("<")).tofile(f"{name}.bin")
    made.append({"dtype": NAMES[held.dtype.str[1:]] if numbers else held.dtype.str, "shape": list(held.shape),
                 "made": what, "known": bool(known)})
print(json.dumps(made))
