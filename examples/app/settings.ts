/** What a page and its worker tell each other, and what a page keeps. */

import type { ListedArray, PlanTable } from "sluice";

export type AnalysisName = "decode" | "kmeans" | "pca";

/** What an array is taken for. */
export type Role = "positionTimes" | "position" | "spikeTimes" | "spikeUnits" | "rows";

export interface Source {
  kind: "simulation" | "files";
  /** Of a simulation. */
  seconds?: number;
  /** Of files: what they hold, and the NWB file among them. */
  arrays?: ListedArray[];
  nwb?: string;
}

/** All that a run is made of: the same settings go on where a run was interrupted. */
export interface Settings {
  source: Source;
  analysis: AnalysisName;
  /** Places of arrays. */
  roles: Partial<Record<Role, string>>;
  options: Record<string, number | string>;
}

export interface Storage {
  /** Where results lie: in private files of this site, or in memory alone. */
  kind: "opfs" | "memory";
  availableBytes: number;
}

export interface Planned {
  table: PlanTable;
  /** Bytes that are promised and allowed, by place. */
  memory: { name: string; bytes: number; allowed: number; words: string }[];
}

export interface Finished {
  facts: string;
  html: string;
}

/** What a worker does, by name. */
export interface Commands {
  open(): Promise<{ adapter: string; storage: Storage }>;
  /** Takes files in and lists what they hold. */
  take(files: { path: string; file: File }[]): Promise<Source>;
  /** Sizes that suit a recording. */
  suggest(settings: Settings): Promise<Record<string, number>>;
  plan(settings: Settings): Promise<Planned>;
  run(settings: Settings, goOn: boolean): Promise<Finished>;
  /** Ends the run; with `discard` nothing stays of it. */
  stop(settings: Settings, discard: boolean): Promise<void>;
  /** Of a result that is stored. */
  look(settings: Settings): Promise<Finished>;
  download(settings: Settings, kind: "zip" | "netcdf"): Promise<Blob>;
  clear(): Promise<void>;
}

export interface Shown {
  fraction: number;
  words: string;
}
