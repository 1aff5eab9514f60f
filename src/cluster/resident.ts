/**
 * Points that are brought to the device once and stay there.
 *
 * @module
 */

import { GpuError } from "../errors.ts";
import type { Points } from "../feed/points.ts";
import { PANEL_ROWS } from "../math/panels.ts";
import type { Pass, SharedBuffer } from "../stream/pass.ts";
import { panelBytes, readBytes, readTile, uploadedPoints } from "./assignment.ts";

/** Where they stay. */
export function residentBuffer(points: Points): SharedBuffer {
  return {
    name: "resident",
    bytes: panelBytes(points, points.rows),
    kind: "storage",
    scratch: true,
  };
}

/** Brings them there. */
export function loadPass(points: Points, tileRows: number): Pass {
  // they come as they would without staying
  const coming = { points, codes: 0, resident: false };
  return {
    name: "load",
    direction: "forward",
    cost: 1,
    fillsDevice: true,
    slotBuffers: uploadedPoints(coming, tileRows),
    steps: [{
      copy: { from: "points", to: "resident" },
      ranges: ({ start, end }) => [{
        fromOffset: 0,
        // tiles begin with a panel
        toOffset: panelBytes(points, start),
        bytes: panelBytes(points, end - start),
      }],
    }],
    hostBytes: { read: readBytes(coming, tileRows) },
    read: (tile, { signal }) => {
      if (tile.start % PANEL_ROWS !== 0) {
        // only when the driver refused a tile and it was halved too often
        throw new GpuError(
          `Cannot keep the points on the device: a tile begins at row ${tile.start}, wanted a ` +
            `multiple of ${PANEL_ROWS}; allow a smaller budget`,
        );
      }
      return readTile(coming, tile, signal);
    },
    write: () => {},
  };
}
