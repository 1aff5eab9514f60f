/**
 * Places of arrays that lie in a file.
 *
 * @module
 */

export type FileKind = "npy" | "npz" | "hdf5" | "safetensors" | "parquet";

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
  nc: "hdf5",
  nc4: "hdf5",
  nwb: "hdf5",
  mat: "hdf5",
  safetensors: "safetensors",
  parquet: "parquet",
};

const PATTERN = new RegExp(
  `^(.+?\\.(${Object.keys(KINDS).join("|")}))(?:/(.*?))?/?(\\?[^/]*)?$`,
  "i",
);

/** `a.npz/x` is `x` in the file `a.npz`. `undefined` of any other place, such as one in a zarr store. */
export function filePlace(place: string): FilePlace | undefined {
  const match = PATTERN.exec(place);
  if (!match) return undefined;
  const [, file, extension, inside = "", query = ""] = match;
  return { kind: KINDS[extension!.toLowerCase()]!, file: file! + query, inside };
}
