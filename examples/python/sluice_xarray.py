"""Opens what Sluice stored in xarray: probabilities in their own scale, on every bin of the box.

    import sluice_xarray
    decode = sluice_xarray.open_result("decode.zarr")
    decode.acausal_posterior.isel(time=slice(0, 500)).plot()

Wants xarray, zarr and dask. Results of zarr version 3 want zarr-python 3; write `--zarr-format 2` for older ones.
"""

import json

import numpy as np
import xarray as xr

# what is true or false, and what is more than numbers and texts: attributes of NetCDF are neither
JSON_NAMES, FLAG_NAMES = "json_attributes", "flag_attributes"


def attributes(dataset):
    """Attributes as they were before they were stored: lists and tables in them, True and False."""
    stored = dict(dataset.attrs)
    for name in stored.pop(JSON_NAMES, "").split():
        stored[name] = json.loads(stored[name])
    for name in stored.pop(FLAG_NAMES, "").split():
        stored[name] = bool(stored[name])
    return stored


def unscaled(dataset):
    """The same with all probabilities as f32: what was stored in 16 bits is undone."""
    scaled = {}
    for name, variable in dataset.data_vars.items():
        if f"{name}_scale" in dataset:
            # roots, as shares of the largest of their row
            own = variable.astype("f4") ** 2 * dataset[f"{name}_scale"].astype("f4")
        elif variable.dtype == "f2":
            own = variable.astype("f4")
        else:
            continue
        scaled[name] = own.assign_attrs({key: value for key, value in variable.attrs.items() if key != "packing"})
    return dataset.assign(scaled).drop_vars(f"{name}_scale" for name in scaled if f"{name}_scale" in dataset)


def expanded(dataset):
    """The same on every bin of the box: NaN outside the track. Nothing is read before it is asked for."""
    if "interior_index" not in dataset:
        return dataset
    bins = dataset.sizes["full_state_bins"]
    index = dataset.interior_index.load()
    long = {}
    for name, variable in dataset.variables.items():
        if name.startswith("full_") or variable.dims == ("full_state_bins",):
            long[name.removeprefix("full_")] = dataset[name].rename(full_state_bins="state_bins")
    short = {name: own for name, own in dataset.data_vars.items() if name not in long}
    wide = {
        name: own.reset_coords(drop=True).assign_coords(state_bins=index.values).reindex(state_bins=np.arange(bins))
        if "state_bins" in own.dims
        else own.reset_coords(drop=True)
        for name, own in short.items()
    }
    for name, own in wide.items():
        own.attrs.update(short[name].attrs)
    others = {
        name: own.reset_coords(drop=True)
        for name, own in dataset.coords.items()
        if not {"state_bins", "full_state_bins"} & set(own.dims)
    }
    coords = {name: own.reset_coords(drop=True).variable for name, own in long.items()}
    result = xr.Dataset(wide, attrs=dataset.attrs).drop_vars("state_bins", errors="ignore")
    return result.assign_coords({**others, **coords})


def open_result(place, expand=True):
    """Opens a result: probabilities as f32, and on every bin of the box unless `expand` is False."""
    dataset = unscaled(xr.open_zarr(place))
    return expanded(dataset) if expand else dataset
