/** What can be run here: fields of a form, and the plan that they make. */

import type { ChunkedArray, Gpu, Plan, PlotOptions } from "sluice";
import { decoder, KMeans, PCA, readAll, readNwb } from "sluice";
import { openInput } from "./files.ts";
import type { Settings } from "./settings.ts";

/** What a result tells of itself. */
type Result = {
  peakBytes: { gpu: number; host: number };
  close(): Promise<void>;
};

export interface Prepared {
  plan(gpu: Gpu, out: string, overwrite: boolean): Plan<Result>;
  /** What is drawn beside the result. */
  plot: PlotOptions;
  /** What was taken from where, and what is odd about it. */
  notes: string[];
  close(): Promise<void>;
}

type Recording = Pick<Parameters<typeof decoder.sortedSpikes>[0], "position" | "spikes"> & {
  unit: string | undefined;
  notes: string[];
};

/** Opens what settings name, and nothing more. */
export async function prepare(settings: Settings): Promise<Prepared> {
  if (settings.analysis === "decode") return await prepareDecode(settings);
  const rows = await openRole(settings, "rows");
  const number = (name: string) => Number(settings.options[name]);
  return {
    plan: (gpu, out, overwrite) =>
      settings.analysis === "kmeans"
        ? new KMeans({ k: number("k"), seed: number("seed") }).fit(gpu, rows, { out, overwrite })
        : new PCA({ components: number("components") })
          .fit(gpu, rows, { out, overwrite, scores: true }),
    plot: { input: rows },
    notes: [],
    close: () => rows.close(),
  };
}

async function prepareDecode(settings: Settings): Promise<Prepared> {
  const { position, spikes, unit, notes } = await readRecording(settings);
  const { states, rate } = settings.options;
  const number = (name: string) => Number(settings.options[name]);
  const movement = { movementVar: number("movementVar") };
  const model = decoder.sortedSpikes({
    ...{ position, spikes, binSize: number("binSize"), positionStd: number("positionStd") },
    states: states === "continuous" ? decoder.continuous(movement) : decoder.contFrag(movement),
  });
  const plotted = "times" in spikes
    ? { spikes: spikes as { times: Float64Array; units: Uint32Array } }
    : {};
  return {
    plan: (gpu, out, overwrite) =>
      model.smooth(gpu, { time: { rate: Number(rate) }, out, overwrite }),
    plot: { position, ...plotted, ...unit !== undefined && { unit } },
    notes: [...notes, ...model.warnings],
    close: () => Promise.resolve(),
  };
}

/** Bins of a fortieth of the room, and spreads that go with them. */
export async function suggestSizes(settings: Settings): Promise<Record<string, number>> {
  const { position } = await readRecording(settings);
  const values = Array.from(position.values).filter((value) => Number.isFinite(value));
  const range = values.reduce((most, value) => Math.max(most, value), -Infinity) -
    values.reduce((least, value) => Math.min(least, value), Infinity);
  if (!(range > 0)) return {};
  const size = Number((range / 40).toPrecision(1));
  return {
    binSize: size,
    positionStd: Number((1.2 * size).toPrecision(2)),
    movementVar: Number((size * size / 2).toPrecision(2)),
  };
}

async function readRecording(settings: Settings): Promise<Recording> {
  const { source, roles } = settings;
  if (source.kind === "simulation") {
    const session = decoder.simulateSession({ seed: 7, seconds: source.seconds!, units: 60 });
    return { ...session, unit: "cm", notes: [] };
  }
  if (source.nwb !== undefined) {
    const { spikes, position, unit, notes } = await readNwb(
      source.nwb,
      roles.position === undefined ? {} : { position: roles.position },
    );
    return { spikes, position, unit, notes };
  }
  const read = async (role: "positionTimes" | "position" | "spikeTimes" | "spikeUnits") => {
    const array = await openRole(settings, role);
    try {
      const values = await readAll(array);
      if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
        return { values: Float64Array.from(values, Number), shape: array.shape };
      }
      return { values: values as Exclude<typeof values, BigInt64Array>, shape: array.shape };
    } finally {
      await array.close();
    }
  };
  const [times, position, spikeTimes, spikeUnits] = [
    await read("positionTimes"),
    await read("position"),
    await read("spikeTimes"),
    await read("spikeUnits"),
  ];
  return {
    position: { times: times.values, ...position },
    spikes: { times: spikeTimes.values, units: spikeUnits.values },
    unit: undefined,
    notes: [],
  };
}

const NAMES = {
  positionTimes: "times of positions",
  position: "positions",
  spikeTimes: "times of spikes",
  spikeUnits: "units of spikes",
  rows: "rows",
};

async function openRole(
  { roles }: Settings,
  role: keyof typeof NAMES,
): Promise<ChunkedArray> {
  const place = roles[role];
  if (place) return await openInput(place);
  throw new RangeError(`Cannot plan: no array is chosen for ${NAMES[role]}, wanted one`);
}
