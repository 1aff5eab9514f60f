/**
 * `sluice export`.
 *
 * @module
 */

import type { ExportOptions, ExportResult } from "../io/netcdf_export.ts";
import { exportNetcdf, exportOptions } from "../io/netcdf_export.ts";
import { formatBytes, formatSeconds } from "../math/format.ts";
import type { CommandContext } from "./usage.ts";
import { percentOf, ProgressPrinter } from "./progress.ts";
import { peakResidentBytes } from "./resident.ts";
import { CommandLine, common, helpOf, UsageError } from "./usage.ts";

export const exportSections = { Options: exportOptions.options };

export const exportHelp = `Usage: sluice export PLACE FILE [options]

Writes a stored result, or any zarr group with named dims, into a NetCDF-4 file that xarray opens with
the same dims, coordinates and attributes, probabilities as f32. Rows are copied a few at a time. Needs
the package h5wasm: npm i h5wasm.

${helpOf(exportSections)}`;

export async function exportStore({ args, signal }: CommandContext): Promise<void> {
  const line = new CommandLine(args, exportSections, { positionals: 2 });
  const [place, file] = line.positionals;
  if (place === undefined || file === undefined) {
    throw new UsageError("Cannot export: wanted the place of a store and the place of a file");
  }
  const { json, quiet = false } = line.read(common);
  const printer = new ProgressPrinter(quiet);
  const settings: ExportOptions = {
    ...line.read(exportOptions.options),
    signal,
    onProgress: ({ variable, variableIndex, variableCount, ...progress }) => {
      const { fraction, bytesWritten, elapsedSeconds } = progress;
      const percent = String(percentOf(fraction)).padStart(3);
      printer.print([
        `${variable} (${variableIndex + 1}/${variableCount}) ${percent} %`,
        `${formatBytes(bytesWritten)} in ${formatSeconds(elapsedSeconds)}`,
      ], { fraction });
    },
  };
  try {
    const result = await exportNetcdf(place, file, settings);
    printer.end();
    // of the whole process, as the system saw it
    const residentBytes = peakResidentBytes();
    console.log(
      json ? JSON.stringify({ ...result, peakResidentBytes: residentBytes }) : describe(result),
    );
  } finally {
    printer.end();
  }
}

function describe({ place, variables, fileBytes, seconds }: ExportResult): string {
  return `${place}: ${variables} variables, ${formatBytes(fileBytes)}; ${formatSeconds(seconds)}`;
}
