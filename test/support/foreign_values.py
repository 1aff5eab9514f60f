"""Seeded elements of arrays: smooth, wild and constant, of every type and shape."""

import numpy as np

NAMES = {"b1": "bool", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64", "u1": "uint8",
         "u2": "uint16", "u4": "uint32", "u8": "uint64", "f2": "float16", "f4": "float32", "f8": "float64"}
rng = np.random.default_rng()


def seed(number):
    rng.bit_generator.state = np.random.default_rng(number).bit_generator.state


def pick(*choices):
    return choices[int(rng.integers(len(choices)))]


def chance(share):
    return rng.random() < share


def values_of(dtype, shape):
    """Smooth, wild or constant elements."""
    count = int(np.prod(shape, dtype=int))
    kind = pick("smooth", "wild", "constant")
    if dtype.kind == "b":
        flat = rng.random(count) < (1 if kind == "constant" else 0.5)
    elif dtype.kind in "iu":
        info = np.iinfo(dtype)
        if kind == "wild":
            flat = rng.integers(info.min, info.max, count, dtype=dtype.newbyteorder("="), endpoint=True)
        else:
            low = 0 if dtype.kind == "u" else -50
            step = 0 if kind == "constant" else 1
            flat = np.clip(low + step * np.cumsum(rng.integers(0, 4, count)), info.min, info.max)
    else:
        flat = rng.normal(size=count) * pick(1, 1e-3, 1e4) if kind == "wild" else np.arange(count) / 8
        if kind == "constant":
            flat = flat * 0 + 1.5
        if kind == "wild" and chance(0.3):
            special = rng.integers(0, count, 3)
            flat[special] = [np.nan, np.inf, -0.0]
    with np.errstate(all="ignore"):
        return np.asarray(flat).astype(dtype).reshape(shape)


def any_shape():
    rank = pick(1, 1, 2, 2, 3, 4)
    return tuple(int(n) for n in rng.integers(1, [0, 60, 14, 8, 5][rank], rank))


def fill_of(dtype):
    if dtype.kind == "b":
        return bool(chance(0.5))
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return int(pick(0, 1, info.min, info.max, info.max - 1))
    return pick(0.0, -0.0, 1.5, 0.1, np.nan, np.inf, -np.inf, 1e-5)
