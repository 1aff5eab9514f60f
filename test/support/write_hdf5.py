"""Writes seeded datasets of HDF5 and variables of NetCDF-4, with what they hold, for a reader to be compared with.

    python3 write_hdf5.py FOLDER SEED COUNT

Files hold 40 datasets each, by h5py or by netCDF4. For each dataset i there is i.bin: its elements in C order and
little endian, as the library that wrote them reads them back. The list is printed as JSON: the place of the
dataset, name of the type, shape, what it is made of, and whether a reader that knows the usual filters should read it.
"""

import json, os, sys
import h5py, netCDF4, numpy as np
from foreign_values import NAMES, any_shape, chance, fill_of, pick, rng, seed, values_of

FOLDER, SEED, COUNT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
A_FILE = 40
seed(SEED)


def any_chunks(shape):
    return tuple(int(rng.integers(1, n + 1)) for n in shape)


def filters_of(dtype):
    """Options of a chunked dataset, and whether they are usual."""
    options, known = {}, True
    if chance(0.6):
        options.update(compression="gzip", compression_opts=int(rng.integers(0, 10)))
    elif chance(0.15):
        options.update(compression="lzf")
        known = False
    if chance(0.4):
        options["shuffle"] = True
    if chance(0.2):
        options["fletcher32"] = True
    # h5py refuses both
    if dtype.kind in "iu" and "fletcher32" not in options and chance(0.15):
        options["scaleoffset"] = 0
    return options, known


def odd_dataset(group, name):
    """What no reader of numbers is to know."""
    what = pick("text", "bytes", "complex", "compound", "reference", "ragged", "scalar", "virtual", "opaque", "external")
    if what == "text":
        group.create_dataset(name, data=["a", "b"], dtype=h5py.string_dtype())
    elif what == "bytes":
        group.create_dataset(name, data=np.array([b"abc", b"d"]))
    elif what == "complex":
        group.create_dataset(name, data=np.ones((3, 2), "c16"))
    elif what == "compound":
        group.create_dataset(name, data=np.zeros(3, [("a", "<i4"), ("b", "<f8")]))
    elif what == "reference":
        group.create_dataset(name, data=[group.ref, group.ref], dtype=h5py.ref_dtype)
    elif what == "ragged":
        group.create_dataset(name, (3,), dtype=h5py.vlen_dtype("i4"))[0] = [1, 2]
    elif what == "scalar":
        group.create_dataset(name, data=2.5)
    elif what == "opaque":
        group.create_dataset(name, data=np.zeros(3, "V5"))
    elif what == "virtual":
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
        group.create_virtual_dataset(name, layout)
    else:
        space = h5py.h5s.create_simple((4,))
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_external(b"outside.raw", 0, 16)
        h5py.h5d.create(group.id, name.encode(), h5py.h5t.NATIVE_FLOAT, space, created)
    return None, what, None, False


def h5_dataset(group, name):
    if chance(0.06):
        return odd_dataset(group, name)
    kind = pick(*NAMES)
    dtype = np.dtype(pick("<", ">") + kind)
    shape = any_shape()
    if chance(0.04):
        shape = (0,) + shape[1:]
    data = values_of(dtype, shape) if 0 not in shape else np.zeros(shape, dtype)
    stored, known = dtype, True
    if dtype.kind in "iu" and dtype.itemsize <= 4 and chance(0.1):
        data = np.zeros(shape, dtype) + 1
        stored = h5py.enum_dtype({"none": 0, "some": 1, "many": 5}, dtype)
        known = dtype.str[0] != ">" or dtype.itemsize == 1
    layout = pick("contiguous", "compact", "chunked", "chunked", "chunked", "growing") if 0 not in shape else "contiguous"
    options = {}
    if layout in ("chunked", "growing"):
        options, usual = filters_of(stored)
        if stored is not dtype:
            options.pop("scaleoffset", None)
        known = known and usual
        options["chunks"] = any_chunks(shape)
    if layout == "growing":
        options["maxshape"] = tuple(None if chance(0.5) else 2 * n for n in shape)
    whole = chance(0.6)
    if (not whole or chance(0.3)) and stored is dtype:
        options["fillvalue"] = fill_of(dtype)
    if layout == "compact" and data.nbytes < 60000:
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_layout(h5py.h5d.COMPACT)
        made = h5py.h5d.create(group.id, name.encode(), h5py.h5t.py_create(stored, logical=True),
                               h5py.h5s.create_simple(shape), created)
        dataset, options = h5py.Dataset(made), {}
        whole = True
    else:
        dataset = group.create_dataset(name, shape, dtype=stored, **options)
    with np.errstate(all="ignore"):
        if whole:
            dataset[...] = data
        else:
            part = tuple(slice(int(rng.integers(0, max(n, 1))), n) for n in shape)
            dataset[part] = data[part]
    if layout == "growing" and chance(0.5):
        dataset.resize([int(rng.integers(1, (limit or 3 * n) + 1)) for n, limit in zip(shape, dataset.maxshape)])
    return dataset, f"{dtype.str} {layout} {options}", NAMES[kind], known


def nc_variable(group, name):
    kind = pick(*[kind for kind in NAMES if kind not in ("b1", "f2")])
    dtype = np.dtype(kind)
    shape = any_shape()
    dims = []
    for axis, size in enumerate(shape):
        dims.append(f"{name}_{axis}")
        group.createDimension(dims[-1], None if axis == 0 and chance(0.3) else size)
    options = {}
    if chance(0.5):
        options.update(zlib=True, complevel=int(rng.integers(0, 10)), shuffle=bool(chance(0.5)))
    if chance(0.2):
        options["fletcher32"] = True
    if chance(0.5):
        options["chunksizes"] = any_chunks(shape)
    if chance(0.5):
        options["fill_value"] = fill_of(dtype)
    endian = pick("native", "little", "big")
    variable = group.createVariable(name, kind, dims, endian=endian, **options)
    variable.set_auto_maskandscale(False)
    if chance(0.2):
        variable.scale_factor = 0.5
    data = values_of(dtype, shape)
    if chance(0.6):
        variable[...] = data
    else:
        part = tuple(slice(int(rng.integers(0, n)), n) for n in shape)
        variable[part] = data[part]
    return variable, f"netcdf {kind} {endian} {options}", NAMES[kind], True


def write_file(path, first, count):
    by_netcdf = chance(0.3)
    if by_netcdf:
        file = netCDF4.Dataset(path, "w")
    else:
        userblock = pick(0, 0, 512, 2048)
        file = h5py.File(path, "w", libver=pick("earliest", "v108", "latest"), userblock_size=userblock)
    listed = []
    for i in range(first, first + count):
        folder = pick("", "", "a", "a/b", "ü x")
        group = file if folder == "" else file.require_group(folder) if not by_netcdf else file.createGroup(folder)
        name = f"d{i}"
        made = (nc_variable if by_netcdf else h5_dataset)(group, name)
        listed.append((f"{folder}/{name}".lstrip("/"), made))
    entries = []
    for i, (place, (dataset, made, dtype, known)) in enumerate(listed, first):
        entry = {"file": os.path.basename(path), "place": place, "made": made, "known": known}
        if dataset is not None:
            held = np.asarray(dataset[...])
            entry.update(dtype=dtype, shape=list(held.shape))
            held = np.ascontiguousarray(held).astype(held.dtype.newbyteorder("<"))
            with open(f"{FOLDER}/{i}.bin", "wb") as out:
                out.write(held.tobytes())
        entries.append(entry)
    file.close()
    return entries


entries = []
while len(entries) < COUNT:
    entries += write_file(f"{FOLDER}/{len(entries)}.h5", len(entries), min(A_FILE, COUNT - len(entries)))
print(json.dumps(entries))
