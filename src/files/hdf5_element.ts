/**
 * What the elements of an HDF5 dataset are read as, where they are understood.
 *
 * @module
 */

import type { NumericType } from "../zarr/data_types.ts";
import type { H5Dataset } from "./h5wasm.ts";
import { CLASSES } from "./h5wasm.ts";
import type { H5Header } from "./hdf5_header.ts";

// what h5wasm undoes: deflate, shuffle, Fletcher's checksum, n-bit and scale-offset
const KNOWN_FILTERS = [1, 2, 3, 5, 6];
// by the registry of filters; names in a file are anybody's
const FILTER_NAMES: Record<number, string> = {
  4: "szip",
  307: "bzip2",
  32000: "lzf",
  32001: "blosc",
  32004: "lz4",
  32008: "bitshuffle",
  32013: "zfp",
  32015: "zstd",
  32026: "blosc2",
};

/** What an element is, by the dtype it is read as. @throws {RangeError} If that is not understood. */
export function elementOf(dataset: H5Dataset, { format, external }: H5Header): NumericType {
  const { metadata, filters } = dataset;
  if (external) throw new RangeError("its values lie in other files (external storage)");
  if (metadata.virtual_sources) {
    throw new RangeError("it is put together from other datasets (virtual storage)");
  }
  const stray = filters.find(({ id }) => !KNOWN_FILTERS.includes(id));
  if (stray) {
    const name = FILTER_NAMES[stray.id] ?? "an unknown filter";
    throw new RangeError(
      `its chunks are compressed by ${name} (filter ${stray.id}), wanted gzip or none ` +
        "(h5repack -f GZIP=4)",
    );
  }
  const { kind = "other", bytes = 0, unusual, bigEndian = false } = format ?? {};
  const size = 8 * bytes;
  if (kind === "other" || CLASSES[metadata.type] || bytes !== metadata.size) {
    throw new RangeError(
      `it holds ${CLASSES[metadata.type] ?? "elements of an unknown kind"}, wanted numbers`,
    );
  }
  refuseMatlab(dataset);
  if (unusual) throw new RangeError(`it holds ${unusual}, wanted a usual number format`);
  if (kind === "integer" ? ![8, 16, 32, 64].includes(size) : ![16, 32, 64].includes(size)) {
    throw new RangeError(`it holds numbers of ${size} bits, wanted at most 64`);
  }
  // h5wasm turns numbers round, but no names of them
  if (metadata.enum_type && bigEndian && bytes > 1) {
    throw new RangeError("it holds names of big-endian numbers, wanted little-endian ones");
  }
  if (kind === "float") return `float${size}` as NumericType;
  const { FALSE: no, TRUE: yes, ...more } = metadata.enum_type?.members ?? {};
  const isBool = size === 8 && no === 0 && yes === 1 && Object.keys(more).length === 0;
  // as xarray marks what HDF5 has no type for
  const isMarked = size === 8 && metadata.signed && dataset.attrs.dtype?.value === "bool";
  return isBool || isMarked ? "bool" : `${metadata.signed ? "" : "u"}int${size}` as NumericType;
}

/** MATLAB writes texts as numbers, and of what is empty the shape in place of elements. */
function refuseMatlab({ attrs }: H5Dataset): void {
  if (attrs.MATLAB_class?.value === "char") throw new RangeError("it holds texts, wanted numbers");
  if (attrs.MATLAB_empty === undefined || Number(attrs.MATLAB_empty.value) === 0) return;
  throw new RangeError("it is empty, as MATLAB marks it");
}
