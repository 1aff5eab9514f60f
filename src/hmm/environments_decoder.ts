/**
 * The decoder of several environments, or of several groups of samples.
 *
 * @module
 */

import type { EncodedPart, EncodedParts } from "./encoded_parts.ts";
import type { SaveEncodingOptions } from "./encoding_options.ts";
import { saveEncodingOptions } from "./encoding_options.ts";
import type { Grid } from "./grid.ts";
import { gridOfEnvironment } from "./grid.ts";
import type { EncodedRows, RowsToDecode } from "./observation/encoded_rows.ts";
import { markedRows, sortedRows } from "./observation/encoded_rows.ts";
import type { DecodedRecording } from "./recorded_rows.ts";
import type { ModelChoices } from "./recording_decoder.ts";
import { RecordingDecoder } from "./recording_decoder.ts";
import type { StateModel } from "./states.ts";

/** A decoder of spikes in several environments, ready to plan. Made by `environments()`. */
export class EnvironmentsDecoder extends RecordingDecoder<EncodedParts> {
  readonly #partOf: readonly number[];
  /** [spikes, features] f64 in order of time, where spikes have some. */
  readonly #features: Float64Array | undefined;

  /** @throws {RangeError} If a state expects what was not encoded, or none has bins. */
  constructor(
    recording: DecodedRecording,
    grid: Grid,
    encoding: EncodedParts,
    model: ModelChoices,
    features: Float64Array | undefined,
  ) {
    super(recording, grid, encoding, model);
    checkStates(this.states);
    this.#partOf = partsOf(encoding.parts, this.states);
    this.#features = features;
  }

  /**
   * Stores what was learnt of every environment and group, from which `openEncoding()` makes decoders of other spikes.
   *
   * @throws {OutputConflictError} If the place holds something else.
   */
  async saveEncoding(place: string, given: SaveEncodingOptions = {}): Promise<void> {
    const { grid, encoding, unitIds } = this;
    const options = saveEncodingOptions.check(given);
    // pages that only decode do not load it
    const { storeEncoding } = await import("./stored_encoding.ts");
    await storeEncoding(place, { model: "environments", grid, encoding, unitIds }, options);
  }

  protected override partOf(): readonly number[] {
    return this.#partOf;
  }

  protected rowsOf(rows: RowsToDecode): EncodedRows {
    const { encoding, recording: { spikes } } = this;
    const onGrid = <Own>({ environment, encoding }: EncodedPart<Own>) => ({
      grid: gridOfEnvironment(this.grid, environment),
      encoding,
    });
    return encoding.model === "sortedSpikes"
      ? sortedRows(encoding.parts.map(onGrid), spikes, rows)
      : markedRows(encoding.parts.map(onGrid), { ...spikes, features: this.#features! }, rows);
  }
}

/** @throws {RangeError} If states are in no environment, or none has bins of one. */
export function checkStates({ names, environments, oneBin }: StateModel): void {
  if (!environments) {
    throw new RangeError(
      "Cannot make a decoder: states do not say in which environment they are, wanted environments of them",
    );
  }
  if (names.every((_, state) => oneBin?.[state])) {
    throw new RangeError(
      "Cannot make a decoder: all states have one bin, wanted one over the bins of an environment",
    );
  }
}

/** [states] which part each expects; -1 for one in which cells are silent. */
function partsOf(
  parts: readonly EncodedPart[],
  { names, environments, encodingGroups, noSpike }: StateModel,
): number[] {
  const called = (environment: string, group: string | undefined) =>
    `environment "${environment}"${group === undefined ? "" : ` by group "${group}"`}`;
  return names.map((name, state) => {
    if (noSpike?.[state]) return -1;
    const [environment, group] = [environments![state]!, encodingGroups?.[state]];
    const part = parts.findIndex((own) => own.environment === environment && own.group === group);
    if (part >= 0) return part;
    throw new RangeError(
      `Cannot make a decoder: state "${name}" expects ${
        called(environment, group)
      }, which was not encoded, wanted ` +
        `one of ${parts.map((own) => called(own.environment, own.group)).join(", ")}`,
    );
  });
}
