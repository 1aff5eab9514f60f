/**
 * Places of arrays that lie in a file.
 *
 * @module
 */

export type FileKind =
  | "npy"
  | "npz"
  | "hdf5"
  | "safetensors"
  | "parquet"
  | "csv"
  | "tsv"
  | "raw"
  | "zarr";

/** A place that leads into a file. */
export interface FilePlace {
  kind: FileKind;
  /** The file itself. */
  file: string;
  /** What is meant in it; empty where nobody says. */
  inside: string;
}

const KINDS: Record<string, FileKind> = {
  npy: "npy",
  npz: "npz",
  h5: "hdf5",
  hdf5: "hdf5",
  hdf: "hdf5",
  he5: "hdf5",
  h5ad: "hdf5",
  nc: "hdf5",
  nc4: "hdf5",
  nwb: "hdf5",
  mat: "hdf5",
  safetensors: "safetensors",
  parquet: "parquet",
  csv: "csv",
  tsv: "tsv",
  dat: "raw",
  bin: "raw",
  raw: "raw",
  "zarr.zip": "zarr",
};

const EXTENSIONS = Object.keys(KINDS).map((name) => name.replace(".", "\\.")).join("|");
const PATTERN = new RegExp(`^(.+?\\.(${EXTENSIONS}))(?:/(.*?))?/*$`, "is");

/** `a.npz/x` is `x` in the file `a.npz`. `undefined` of any other place, such as one in a zarr store. */
export function filePlace(place: string): FilePlace | undefined {
  // what follows a question mark belongs to an address, and is part of any other name
  const [, path, query] = /^(https?:[^?#]*)(\?[^#]*)?/i.exec(place) ?? [undefined, place, ""];
  const match = PATTERN.exec(path!);
  if (!match) return undefined;
  const [, file, extension, inside = ""] = match;
  return {
    kind: KINDS[extension!.toLowerCase()]!,
    file: file! + (query ?? ""),
    inside: /^(https?:|file:\/\/)/i.test(place) ? decodeURIComponent(inside) : inside,
  };
}
