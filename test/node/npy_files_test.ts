import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openArray, readAll } from "../../src/array/array.ts";
import { encodeNpy } from "../../src/array/npy.ts";
import { ChunkError } from "../../src/errors.ts";
import { openStore } from "../../src/store/open_store.ts";
import { writeArray, writeGroup } from "../../src/zarr/group_writer.ts";
import { serving } from "../support/played_server.ts";

const folder = await mkdtemp(join(tmpdir(), "sluice-"));
const values = Float32Array.from({ length: 3000 }, (_, i) => i);

/** Serves the folder. Ranges are honoured, except below /whole; /broken fails. */
const server = createServer(async (request, response) => {
  const url = new URL(request.url!, "http://localhost");
  const path = url.pathname.replace("/whole", "");
  const bytes = await (await openStore(`file:${folder}`)).get(decodeURIComponent(path));
  // no second request would help
  if (url.pathname.startsWith("/broken")) return response.writeHead(501).end();
  if (url.pathname.startsWith("/whole")) delete request.headers.range;
  serving(bytes ? { [decodeURIComponent(url.pathname)]: bytes } : {})(request, response);
});
let address: string;

beforeAll(async () => {
  await writeFile(join(folder, "x y.npy"), encodeNpy(values, [1000, 3]));
  await new Promise<void>((resolve) => server.listen(0, resolve));
  address = `http://localhost:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

describe("openArray()", () => {
  it("reads .npy files by path, by file: and by http:", async () => {
    const places = [
      join(folder, "x y.npy"),
      `file:${folder}/x y.npy`,
      `file://${folder}/x%20y.npy`,
      `${address}/x%20y.npy?token=1`,
      `${address}/whole/x%20y.npy`,
    ];
    for (const place of places) {
      const array = await openArray(place);
      expect(array.shape).toEqual([1000, 3]);
      expect(await array.read(998, 1000)).toEqual(values.slice(2994));
      expect(await readAll(array)).toEqual(values);
      await array.close();
    }
  });

  it("reads zarr arrays behind http:", async () => {
    const store = await openStore(`file:${folder}/out.zarr`);
    const spec = {
      name: "x",
      shape: [1000, 3],
      chunkShape: [300, 3],
      dtype: "float32" as const,
      dims: ["row", "column"],
    };
    await writeGroup(store, { attributes: {}, arrays: [spec] });
    await writeArray(store, spec, values);
    const array = await openArray(`${address}/out.zarr/x`);
    expect(await array.read(250, 950)).toEqual(values.slice(750, 2850));
  });

  it("says what a server answered, and that nothing is there", async () => {
    const missing = openArray(`${address}/none.npy`);
    await expect(missing).rejects.toThrow(
      `Cannot open "${address}/none.npy": there is no such file`,
    );
    const broken = openArray(`${address}/broken/x.npy`);
    await expect(broken).rejects.toThrow(/the server answered 501/);
    await expect(broken).rejects.toThrow(ChunkError);
    await expect(openArray("http://localhost:1/x.npy")).rejects.toThrow(/did not answer/);
  });
});

describe("an http: store", () => {
  it("reads ranges as other stores do", async () => {
    for (const path of ["", "/whole"]) {
      const store = await openStore(address + path);
      const whole = (await store.get("/x y.npy"))!;
      expect(await store.getRange("/x y.npy", { suffixLength: 4 })).toEqual(whole.slice(-4));
      expect(await store.getRange("/x y.npy", { offset: 5, length: 2 })).toEqual(whole.slice(5, 7));
      expect(await store.getRange("/x y.npy", { offset: 1e6, length: 2 })).toEqual(
        new Uint8Array(0),
      );
      expect(await store.getRange("/none", { suffixLength: 4 })).toBeUndefined();
    }
  });
});
