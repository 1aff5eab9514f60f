/**
 * The bins of a recording: along a track where there is one, and else those of its positions.
 *
 * @module
 */

import type { Grid, GridChoices, GridEdges, TrackGraph } from "./grid.ts";
import { gridFromEdges, gridFromPosition } from "./grid.ts";
import type { Recording } from "./recording.ts";
import { trackGrid } from "./track_grid.ts";

interface GridOptions extends Omit<GridChoices, "binSize"> {
  binSize?: number;
  grid?: GridEdges | Grid;
  trackGraph?: TrackGraph;
}

/** Choices that are not for bins which are told otherwise. */
const OF_BOXES = ["positionRange", "fillHoles", "dilate"] as const;

/**
 * @throws {TypeError} If nothing says what bins there are.
 * @throws {RangeError} If a track is given for positions along one dimension, bins for positions of another number of
 * dimensions, or choices are not for them.
 */
export function gridOf(
  { position, dimensions }: Pick<Recording, "position" | "dimensions">,
  { trackGraph, grid, binSize, ...choices }: GridOptions,
): Grid {
  const ofBoxes = OF_BOXES.find((name) => choices[name]);
  if (grid) {
    const stray = trackGraph ? "trackGraph" : binSize === undefined ? ofBoxes : "binSize";
    if (stray) {
      throw new RangeError(
        `Cannot lay a grid: ${stray} is given, and so is grid, wanted one of them`,
      );
    }
    return givenGrid(grid, dimensions);
  }
  if (binSize === undefined) {
    throw new TypeError("Cannot lay a grid: binSize is missing, wanted it, or a grid");
  }
  if (!trackGraph) return gridFromPosition(position.values, dimensions, { ...choices, binSize });
  if (dimensions !== 2) {
    throw new RangeError(
      "Cannot use the track graph: the position has one dimension, wanted x and y, which are brought onto the track",
    );
  }
  if (ofBoxes) {
    throw new RangeError(
      `Cannot use the track graph: ${ofBoxes} is for bins of a box, wanted one of them`,
    );
  }
  return trackGrid(trackGraph, binSize);
}

function givenGrid(told: GridEdges | Grid, dimensions: number): Grid {
  // that of another decoder is made of what lies there
  const grid = "track" in told && told.track ? told : gridFromEdges(told);
  const wanted = grid.track ? 2 : grid.dimensions;
  if (wanted === dimensions) return grid;
  throw new RangeError(
    `Cannot lay a grid: bins are along ${grid.dimensions} dimensions${
      grid.track ? " of a track, which takes 2 of the position" : ""
    }, and the position has ${dimensions}, wanted as many`,
  );
}
