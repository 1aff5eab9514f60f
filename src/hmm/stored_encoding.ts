/**
 * Encodings at a place: what spikes tell of positions, kept apart from the recording that it was learnt from.
 *
 * @module
 */

import { ChunkError, OutputConflictError } from "../errors.ts";
import { digestOf } from "../math/digest.ts";
import { openStore } from "../store/open_store.ts";
import { variable } from "../stream/output.ts";
import { openStored, storedAttributes, storeResult } from "../stream/places.ts";
import type { NumericArray } from "../types.ts";
import type { EncodedParts } from "./encoded_parts.ts";
import { together } from "./encoded_parts.ts";
import type { EncodingFacts, EncodingOfKind, Fields, GridFacts } from "./encoding_fields.ts";
import { encodingFields, factsOf, gridFields, readFields, readGrid } from "./encoding_fields.ts";
import type { Environment, Grid } from "./grid.ts";
import { gridFacts, gridOfEnvironment } from "./grid.ts";

/** What a stored encoding is. */
export const ENCODING_FORMAT = { kind: "encoding", formatVersion: 1 } as const;

/** An encoding with what it speaks of: bins, and units or electrodes by their names. */
export type EncodedWorld =
  & { grid: Grid; unitIds: readonly number[] }
  & (EncodingOfKind | { model: "environments"; encoding: EncodedParts });

/** What a store says of an encoding, or of those of several environments. */
type StoredParameters =
  & { units: number }
  & (
    | { model: EncodingOfKind["model"]; grid: GridFacts } & EncodingFacts
    | {
      model: "environments";
      grid: { environments: (GridFacts & { name: string })[] };
      spikes: EncodingOfKind["model"];
      parts: (EncodingFacts & { environment: string; group?: string })[];
    }
  );

/**
 * Stores an encoding; one that is there already is left as it is.
 *
 * @throws {OutputConflictError} If the place holds something else, or another encoding that is not to be replaced.
 */
export async function storeEncoding(
  place: string,
  world: EncodedWorld,
  { overwrite }: { overwrite: boolean },
): Promise<void> {
  const fields = fieldsOf(world);
  const parameters = {
    model: world.model,
    grid: gridFacts(world.grid),
    units: world.unitIds.length,
    ...(world.model === "environments"
      ? {
        spikes: world.encoding.model,
        parts: ofEachPart(world.encoding, (own, { environment, group }) => ({
          ...{ environment, ...(group !== undefined && { group }), ...factsOf(own) },
        })),
      }
      : factsOf(world)),
  };
  const hash = await digestOf([
    JSON.stringify(parameters),
    ...Object.entries(fields).flatMap(([name, { values }]) => [name, values]),
  ]);
  if (await isStored(place, hash, overwrite)) return;
  await storeResult(
    {
      ...ENCODING_FORMAT,
      ...{ place, adapter: "none", streamed: [] },
      whole: Object.entries(fields).map(([name, { dims, shape, values }]) =>
        variable(name, dtypeOf(values), shape, dims)
      ),
      attributes: { parameters, rate_units: "Hz", time_units: "seconds" },
    },
    hash,
    {
      values: Object.fromEntries(
        Object.entries(fields).map(([name, { values }]) => [name, values]),
      ),
    },
  );
}

/** A value for each part, made of its encoding by kind. */
function ofEachPart<Value>(
  encoding: EncodedParts,
  valueOf: (own: EncodingOfKind, part: EncodedParts["parts"][number], index: number) => Value,
): Value[] {
  return encoding.parts.map((part, index) =>
    valueOf({ model: encoding.model, encoding: part.encoding } as EncodingOfKind, part, index)
  );
}

function fieldsOf({ grid, unitIds, ...own }: EncodedWorld): Fields {
  const ids = Float64Array.from(unitIds);
  const units: Fields = { unit_ids: { dims: ["units"], shape: [ids.length], values: ids } };
  if (own.model !== "environments") {
    return { ...gridFields(grid), ...units, ...encodingFields(own, unitIds.length) };
  }
  return Object.assign(
    units,
    ...grid.environments!.map((one, i) => gridFields(one.grid, `environment_${i}_`)),
    ...ofEachPart(
      own.encoding,
      (encoded, _, i) => encodingFields(encoded, unitIds.length, `part_${i}_`),
    ),
  );
}

/**
 * Reads an encoding.
 *
 * @throws {ChunkError} If there is none, or a newer version wrote it.
 */
export async function readEncoding(place: string): Promise<EncodedWorld> {
  const { attributes, read } = await openStored(place, ENCODING_FORMAT);
  const parameters = attributes.parameters as StoredParameters;
  const unitIds = [...await read("unit_ids") as Float64Array];
  const { units } = parameters;
  switch (parameters.model) {
    case "sortedSpikes":
    case "clusterless": {
      const grid = await readGrid(read, parameters.grid);
      const { model } = parameters;
      const { dimensions } = grid;
      return { grid, unitIds, ...await readFields(read, model, { ...parameters, dimensions }) };
    }
    case "environments": {
      const { spikes: model, grid: { environments: told } } = parameters;
      const environments = await Promise.all(told.map(async ({ name, ...facts }, i) => {
        const grid = await readGrid(read, facts, `environment_${i}_`);
        return { name, grid } satisfies Environment;
      }));
      const grid = { ...environments[0]!.grid, environments };
      const parts = await Promise.all(
        parameters.parts.map(async ({ environment, group, ...facts }, i) => {
          const { dimensions } = gridOfEnvironment(grid, environment);
          const of = { ...facts, units, dimensions };
          const { encoding } = await readFields(read, model, of, `part_${i}_`);
          return { environment, ...(group !== undefined && { group }), encoding };
        }),
      );
      return {
        ...{ grid, unitIds, model: "environments" },
        encoding: together({ model, parts } as Parameters<typeof together>[0]),
      };
    }
    default:
      throw new ChunkError(
        `Cannot open ${place}: it is an encoding by "${
          (parameters as { model: string }).model
        }", wanted sortedSpikes, clusterless or environments`,
        place,
      );
  }
}

const DTYPES = [
  [Float64Array, "float64"],
  [Float32Array, "float32"],
  [Uint32Array, "uint32"],
  [Uint8Array, "uint8"],
] as const;

function dtypeOf(values: NumericArray) {
  return DTYPES.find(([kind]) => values instanceof kind)![1];
}

/** Whether this very encoding is there. */
async function isStored(place: string, hash: string, overwrite: boolean): Promise<boolean> {
  const attributes = await storedAttributes(place);
  const isOurs = attributes?.format === `sluice.${ENCODING_FORMAT.kind}`;
  if (isOurs && attributes.plan_hash === hash) return true;
  if (isOurs && overwrite) return false;
  const store = await openStore(place, { mode: "write" });
  const isEmpty = await store.list("/").then(({ length }) => length === 0).finally(() =>
    store.close()
  );
  if (isEmpty) return false;
  throw new OutputConflictError(
    `Cannot write to ${place}: it holds ${
      isOurs ? "another encoding, allow overwriting" : "something else"
    } or name another place`,
    place,
  );
}
