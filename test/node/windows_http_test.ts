/** Windows of frames that a server has. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openArray } from "../../src/array/array.ts";
import { encodeNpy } from "../../src/array/npy.ts";
import { windows } from "../../src/windows/windows.ts";
import type { PlayedServer } from "../support/played_server.ts";
import { serving, startServer } from "../support/played_server.ts";
import { keepHost, someFrames } from "../support/window_frames.ts";

let server: PlayedServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

describe("windows of a server's frames", () => {
  it("come whole, though it drops connections now and then", async () => {
    const values = someFrames(300, 4);
    const good = serving({ "/frames.npy": encodeNpy(values, [300, 4]) });
    server.play(good);
    const frames = await openArray(`${server.origin}/frames.npy`);
    const view = windows(frames, { size: 5, segments: [0, 120], pad: { after: 4 } });
    const options = { size: 64, framesIn: "disk", budget: 60_000 } as const;
    const wanted = await keepHost(view.batches(options));
    const asked = server.asked.length;
    let requests = 0;
    let dropped = 0;
    server.play((request, response) => {
      if (![1, 4].includes(requests++)) return good(request, response);
      dropped++;
      request.socket.destroy();
    });
    expect(await keepHost(view.batches(options))).toEqual(wanted);
    expect(dropped).toBe(2);
    expect(asked).toBeGreaterThan(5);
    await frames.close();
  });
});
