/**
 * `sluice status`: what the markers say of a plan in parts, whatever the engine.
 *
 * @module
 */

import { formatTable, printableJson } from "../math/format.ts";
import { adaptersOf } from "../parts/attempt.ts";
import type { Marker } from "../parts/markers.ts";
import { findNextStage, missingParts, readMarker, stagesSoFar } from "../parts/markers.ts";
import type { NamedStage } from "../parts/part_plan.ts";
import { openParts, readPartPlan } from "../parts/part_plan.ts";
import type { CommandContext } from "./usage.ts";
import { CommandLine, common, UsageError } from "./usage.ts";

export const statusHelp = `Usage: sluice status PLACE [--json]

Says which parts of what was submitted are done, by their markers. Changes nothing, and needs no GPU.

Exit codes: 0 all done, 1 something is missing.
`;

/** Parts that are named. */
const SHOWN = 8;

export async function status({ args }: CommandContext): Promise<number> {
  const line = new CommandLine(args, {}, { positionals: 1 });
  const [place] = line.positionals;
  if (place === undefined) {
    throw new UsageError("Cannot tell the status: wanted the place of parts");
  }
  const store = await openParts(place, "read");
  try {
    const stored = await readPartPlan(store);
    const plan = stored.parts;
    const next = await findNextStage(store, plan);
    const stages: { stage: string; parts: number; missing: number[] }[] = [];
    const markers: Marker[] = [];
    // of a loop the last turn tells all
    const latest = new Map<string, NamedStage>();
    for (const stage of await stagesSoFar(store, plan)) {
      latest.set(stage.kind, stage);
      if (!next.done && stage.name === next.stage) break;
    }
    for (const { name, parts } of latest.values()) {
      const missing = await missingParts(store, { name, parts });
      stages.push({ stage: name, parts, missing });
      for (let part = 0; part < parts; part++) {
        const marker = missing.includes(part)
          ? undefined
          : await readMarker(store, stored, name, part);
        if (marker) markers.push(marker);
      }
    }
    const adapters = adaptersOf(markers.filter(({ adapter }) => adapter !== ""));
    if (line.read(common).json) {
      console.log(
        printableJson({ place, done: next.done, stages, adapters, version: plan.sluice }),
      );
      return next.done ? 0 : 1;
    }
    const rows = stages.map(({ stage, parts, missing }) => {
      const some = missing.slice(0, SHOWN).join(", ") + (missing.length > SHOWN ? ", ..." : "");
      return [stage, `${parts - missing.length} of ${parts}`, some];
    });
    const lines = [
      formatTable([["", "done", "missing"], ...rows]),
      ...adapters.map((adapter) => `ran on ${adapter}`),
      next.done ? "all parts are done" : "submit again to go on with what is missing",
    ];
    console.log(lines.join("\n"));
    return next.done ? 0 : 1;
  } finally {
    await store.close();
  }
}
