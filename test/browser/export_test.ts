import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StoreError } from "../../src/errors.ts";
import { exportNetcdf } from "../../src/io/netcdf_export.ts";
import { openStore } from "../../src/store/open_store.ts";
import { NUMERIC_TYPES, writeSmallGroup } from "../support/small_group.ts";
import type { ExportAnswer, ExportRequest } from "./export_worker.ts";

const FOLDER = `opfs:export_test-${crypto.randomUUID()}`;
const IN = `${FOLDER}/in.zarr`;
const ROWS = 40_001;

beforeAll(() => writeSmallGroup(IN, { rows: ROWS, chunkRows: 5000 }));
afterAll(async () => {
  const store = await openStore(FOLDER);
  await store.deleteAll();
  await store.close();
});

async function exportInWorker(request: ExportRequest): Promise<ExportAnswer> {
  const worker = new Worker(new URL("./export_worker.ts", import.meta.url), { type: "module" });
  const answer = await new Promise<ExportAnswer>((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => resolve({ error: message });
    worker.postMessage(request);
  });
  worker.terminate();
  return answer;
}

describe("exportNetcdf() into OPFS", () => {
  for (const deflate of [0, 4]) {
    it(`writes in a worker what is read back there, deflate ${deflate}`, async () => {
      const file = `${FOLDER}/out/deflate-${deflate}.nc`;
      // half floats come back as f32, to the bit
      const names = ["acausal_posterior", "time", ...NUMERIC_TYPES.map((dtype) => `a_${dtype}`)];
      const answer = await exportInWorker({ place: IN, file, options: { deflate }, names });
      expect(answer).toEqual({ fileBytes: expect.any(Number), unequal: [] });
      const store = await openStore(`${FOLDER}/out`);
      expect(await store.size(`/deflate-${deflate}.nc`)).toBe(
        (answer as { fileBytes: number }).fileBytes,
      );
      expect(await store.list("/")).toContain(`/deflate-${deflate}.nc`);
      await store.close();
    });
  }

  it("replaces a file only when that is allowed, and all of it", async () => {
    const file = `${FOLDER}/replaced.nc`;
    const request = { place: IN, file, options: {}, names: [] };
    const first = await exportInWorker(request) as { fileBytes: number };
    expect(await exportInWorker(request)).toEqual({
      error: expect.stringMatching(/^OutputConflictError: .*there is a file already/),
    });
    const second = await exportInWorker({ ...request, options: { overwrite: true, deflate: 1 } });
    expect((second as { fileBytes: number }).fileBytes).toBeLessThan(first.fileBytes);
  });

  it("says that a page cannot, and leaves nothing", async () => {
    const failed = exportNetcdf(IN, `${FOLDER}/page/a.nc`);
    await expect(failed).rejects.toThrow(StoreError);
    await expect(failed).rejects.toThrow(/this is a page, wanted a dedicated worker/);
    const store = await openStore(`${FOLDER}/page`);
    expect(await store.list("/")).toEqual([]);
    await store.close();
  });
});
