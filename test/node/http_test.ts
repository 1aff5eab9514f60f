/** Reading from servers, good and bad ones. */

import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeNpy } from "../../src/array/npy.ts";
import { openArray } from "../../src/array/array.ts";
import { ChunkError } from "../../src/errors.ts";
import type { HttpOptions } from "../../src/store/http.ts";
import { HttpStore } from "../../src/store/http.ts";
import { parseRetryAfter, PATIENCE } from "../../src/store/http_request.ts";
import { openStore } from "../../src/store/open_store.ts";
import { writeArray, writeGroup } from "../../src/zarr/group_writer.ts";
import type { PlayedServer } from "../support/played_server.ts";
import { serving, startServer } from "../support/played_server.ts";

let server: PlayedServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

const value = Uint8Array.from({ length: 100 }, (_, i) => i);
const files = { "/x": value, "/empty": new Uint8Array(0) };
const hasty = { ...PATIENCE, backOffMs: 1, mostWaitMs: 1500, silenceMs: 5000 };

const open = (options: HttpOptions = {}, patience = hasty) =>
  new HttpStore(server.origin, options, patience);

/** What reading three bytes from 4 on fails with, once the server plays so. */
async function refusalOf(
  read: Promise<unknown> = open().getRange("/x", { offset: 4, length: 3 }),
): Promise<string> {
  const error = await read.then(() => undefined, (error) => error);
  expect(error).toBeInstanceOf(ChunkError);
  return error.message.replace(server.origin, "http://host");
}

describe("a value of a server", () => {
  it("is read whole, by ranges and by its end, and its size is asked without HEAD", async () => {
    server.play(serving(files));
    const store = open();
    expect(await store.get("/x")).toEqual(value);
    expect(await store.size("/x")).toBe(100);
    expect(await store.size("/empty")).toBe(0);
    expect(await store.getRange("/x", { offset: 4, length: 3 })).toEqual(value.subarray(4, 7));
    expect(await store.getRange("/x", { offset: 98, length: 9 })).toEqual(value.subarray(98));
    expect(await store.getRange("/x", { offset: 100, length: 9 })).toEqual(new Uint8Array(0));
    expect(await store.getRange("/x", { suffixLength: 2 })).toEqual(value.subarray(98));
    expect(await store.getRange("/x", { suffixLength: 200 })).toEqual(value);
    expect(await store.getRange("/empty", { suffixLength: 2 })).toEqual(new Uint8Array(0));
    expect(server.asked.filter((line) => !line.startsWith("GET"))).toEqual([]);
  });

  it("is missing where the answer is 404 or 410", async () => {
    const store = open();
    for (const status of [404, 410]) {
      server.play((_, response) => response.writeHead(status).end("no"));
      expect(await store.get("/y")).toBeUndefined();
      expect(await store.size("/y")).toBeUndefined();
      expect(await store.getRange("/y", { suffixLength: 2 })).toBeUndefined();
    }
  });

  it("is read by a range from its start where the server counts none from the end", async () => {
    server.play((request, response) =>
      /=-/.test(request.headers.range ?? "")
        ? response.writeHead(416).end()
        : serving(files)(request, response)
    );
    expect(await open().getRange("/x", { suffixLength: 2 })).toEqual(value.subarray(98));
  });

  it("has the size that a range to the end has, where ranges do not tell it", async () => {
    server.play((request, response) => {
      const all = request.headers.range === "bytes=0-";
      const body = all ? value : value.subarray(0, 1);
      response.writeHead(206, {
        "content-range": `bytes 0-${body.length - 1}/*`,
        "content-length": body.length,
      }).end(body);
    });
    expect(await open().size("/x")).toBe(100);
  });
});

describe("403", () => {
  const denied = `<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>`;
  const deny = (body: string) => server.play((_, response) => response.writeHead(403).end(body));

  it("of a chunk is an error that says what it may mean, whatever the server", async () => {
    for (const body of ["no", denied]) {
      deny(body);
      const message = await refusalOf(open().get("/x/c/0"));
      expect(message).toMatch(/answered 403 Forbidden, which may mean .*forbiddenIsMissing/);
      expect(server.asked).toHaveLength(1);
    }
  });

  it("of a file that describes an array says that there is none, where S3 says so", async () => {
    deny(denied);
    for (
      const name of ["zarr.json", "checksums.txt", ".zarray", ".zattrs", ".zgroup", ".zmetadata"]
    ) {
      expect(await open().get(`/x/${name}`)).toBeUndefined();
    }
    deny(denied.replace("</Code>", "</Code><Message>Request has expired</Message>"));
    expect(await refusalOf(open().get("/x/zarr.json"))).toMatch(/403/);
    deny("no");
    expect(await refusalOf(open().get("/x/zarr.json"))).toMatch(/403/);
  });

  it("is missing for who says so", async () => {
    deny("no");
    expect(await open({ forbiddenIsMissing: true }).get("/x/c/0")).toBeUndefined();
  });

  it("of a chunk of zarr never becomes fill values", async () => {
    const memory = await openStore("memory:http_test");
    const spec = {
      name: "x",
      shape: [8],
      chunkShape: [4],
      dtype: "float32",
      dims: ["t"],
    } as const;
    await writeGroup(memory, { attributes: {}, arrays: [spec] });
    await writeArray(memory, spec, Float32Array.from({ length: 8 }, (_, i) => i));
    const stored: Record<string, Uint8Array> = {};
    for (const key of await memory.list("/")) stored[`/s${key}`] = (await memory.get(key))!;
    await memory.deleteAll();
    server.play((request, response) =>
      request.url!.startsWith("/s/x/c/1")
        ? response.writeHead(403).end(denied)
        : serving(stored)(request, response)
    );
    const place = `${server.origin}/s/x?token=abc`;
    const array = await openArray(place);
    expect(await array.read(0, 4)).toEqual(Float32Array.of(0, 1, 2, 3));
    const message = await refusalOf(array.read(4, 8));
    expect(message).toMatch(/403/);
    expect(message).not.toMatch(/abc/);
    const sparse = await openArray(place, { forbiddenIsMissing: true });
    expect(await sparse.read(4, 8)).toEqual(new Float32Array(4).fill(NaN));
  });
});

describe("a server that has trouble", () => {
  /** Plays trouble so many times, then serves. */
  const after = (times: number, trouble: Parameters<PlayedServer["play"]>[0]) => {
    let left = times;
    server.play((request, response) =>
      left-- > 0 ? trouble(request, response) : serving(files)(request, response)
    );
  };

  for (const status of [429, 500, 502, 503, 504]) {
    it(`with ${status} is asked again`, async () => {
      after(2, (_, response) => response.writeHead(status).end("busy"));
      expect(await open().get("/x")).toEqual(value);
      expect(server.asked).toHaveLength(3);
    });
  }

  it("that drops the connection, before or within a body, is asked again", async () => {
    after(1, (request) => request.socket.destroy());
    expect(await open().getRange("/x", { offset: 4, length: 3 })).toEqual(value.subarray(4, 7));
    after(2, (request, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write(value.subarray(0, 40), () => request.socket.destroy());
    });
    expect(await open().get("/x")).toEqual(value);
    expect(server.asked).toHaveLength(3);
  });

  it("is asked five times at most, and then named with what it said", async () => {
    after(99, (_, response) => response.writeHead(503).end());
    expect(await refusalOf()).toBe(
      'Cannot read "http://host/x": the server answered 503 Service Unavailable, 5 times',
    );
    expect(server.asked).toHaveLength(5);
    after(99, (request) => request.socket.destroy());
    expect(await refusalOf()).toMatch(/the server did not answer, or not to the end.*, 5 times$/);
  });

  it("that falls silent is left, and asked again", async () => {
    const brief = { ...hasty, silenceMs: 400, attempts: 2 };
    after(1, (_, response) => void response.writeHead(200, { "content-length": 100 }).write("x"));
    expect(await open({}, brief).get("/x")).toEqual(value);
    after(99, () => {});
    expect(await refusalOf(open({}, brief).get("/x"))).toMatch(/silent for 0.4 s, 2 times$/);
  });

  it("is waited for as long as it says, up to a bound", async () => {
    after(1, (_, response) => response.writeHead(429, { "retry-after": "1" }).end());
    const began = performance.now();
    expect(await open().get("/x")).toEqual(value);
    expect(performance.now() - began).toBeGreaterThan(950);
    after(1, (_, response) => response.writeHead(429, { "retry-after": "3600" }).end());
    expect(await refusalOf()).toMatch(/429 Too Many Requests, and asks to wait for 3600 s$/);
    const now = Date.UTC(2026, 0, 1);
    expect(parseRetryAfter("Thu, 01 Jan 2026 00:00:07 GMT", now)).toBe(7000);
    expect(parseRetryAfter("Wed, 31 Dec 2025 00:00:00 GMT", now)).toBe(0);
    expect(parseRetryAfter("soon", now)).toBeUndefined();
    expect(parseRetryAfter(null, now)).toBeUndefined();
  });

  it("is not asked again for what no second request mends", async () => {
    for (const status of [400, 401, 403, 405, 501]) {
      server.play((_, response) => response.writeHead(status).end());
      expect(await refusalOf()).toMatch(new RegExp(`answered ${status}`));
      expect(server.asked).toHaveLength(1);
    }
  });
});

describe("a server without ranges", () => {
  const whole = (files: Record<string, Uint8Array>) =>
    server.play((request, response) => {
      delete request.headers.range;
      serving(files)(request, response);
    });

  it("is asked once for a file, however many ranges are read", async () => {
    whole(files);
    const store = open();
    expect(await store.size("/x")).toBe(100);
    const ranges = Array.from({ length: 20 }, (_, offset) => ({ offset, length: 5 }));
    const parts = await Promise.all(ranges.map((range) => store.getRange("/x", range)));
    parts.forEach((part, i) => expect(part).toEqual(value.subarray(i, i + 5)));
    expect(await store.getRange("/x", { suffixLength: 2 })).toEqual(value.subarray(98));
    expect(await store.get("/x")).toEqual(value);
    expect(server.asked).toHaveLength(1);
    expect(await store.getRange("/none", { suffixLength: 2 })).toBeUndefined();
    // what is handed out is the caller's
    parts[0]!.fill(9);
    expect(await store.getRange("/x", ranges[0]!)).toEqual(value.subarray(0, 5));
  });

  it("is refused for a large file, before it is read", async () => {
    server.play((_, response) => {
      response.writeHead(200, { "content-length": 10 * 2 ** 30 });
      response.write("x");
    });
    const store = open();
    expect(await store.size("/x")).toBe(10 * 2 ** 30);
    const message = await refusalOf(store.getRange("/x", { offset: 4, length: 3 }));
    expect(message).toMatch(/it has 10.0 GiB, wanted at most 64.0 MiB of a server that answers no/);
    expect(server.asked).toHaveLength(2);
  });
});

describe("an answer that is not what was asked for is refused:", () => {
  const answer = (status: number, headers: Record<string, string | number>, body: Uint8Array) =>
    server.play((_, response) => response.writeHead(status, headers).end(body));

  it("another range", async () => {
    for (const range of ["0-2/100", "4-5/100", "4-7/100", "5-7/100", "4-6/5"]) {
      answer(206, { "content-range": `bytes ${range}` }, value.subarray(4, 7));
      expect(await refusalOf()).toMatch(/the server sent bytes \d+ to \d+, wanted 4 to \d+/);
    }
  });

  it("a range without Content-Range, or in other words", async () => {
    for (const headers of [{}, { "content-range": "rows 4-6/100" }]) {
      answer(206, headers as Record<string, string>, value.subarray(4, 7));
      expect(await refusalOf()).toMatch(/does not say which range it sent/);
    }
  });

  it("a range that is shorter or longer than it says", async () => {
    const headers = { "content-range": "bytes 4-6/100" };
    answer(206, headers, value.subarray(4, 6));
    expect(await refusalOf()).toMatch(/the server sent 2 bytes, wanted 3, 5 times/);
    answer(206, headers, value.subarray(4, 8));
    expect(await refusalOf()).toMatch(/sent more than 3 bytes for a range/);
  });

  it("a range of something compressed", async () => {
    const zipped = gzipSync(value);
    answer(
      206,
      { "content-range": `bytes 4-6/${zipped.length}`, "content-encoding": "gzip" },
      zipped.subarray(4, 7),
    );
    expect(await refusalOf()).toMatch(/sent a range of its value in gzip, wanted its bytes/);
  });

  it("bytes inside the value that it will not give", async () => {
    server.play((request, response) =>
      request.headers.range === "bytes=0-0"
        ? serving(files)(request, response)
        : response.writeHead(416).end()
    );
    expect(await refusalOf()).toMatch(/has 100 bytes and refuses bytes=4-6/);
  });

  it("a value that changed while it was read", async () => {
    server.play(serving(files, { etag: '"one"' }));
    const store = open();
    await store.size("/x");
    server.play(serving({ "/x": value.subarray(0, 50) }));
    const range = { offset: 4, length: 3 };
    expect(await refusalOf(store.getRange("/x", range))).toMatch(/it had 100 bytes, now 50/);
    server.play(serving(files, { etag: '"two"' }));
    expect(await refusalOf(store.getRange("/x", range))).toMatch(/its ETag is another one/);
  });

  it("a header of gigabytes, before it is read", async () => {
    const head = new Uint8Array(4096).fill(32);
    head.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 2, 0, 0xf0, 0xff, 0xff, 0xff]);
    server.play((request, response) => {
      const [, from, to] = /(\d+)-(\d+)/.exec(request.headers.range!)!;
      response.writeHead(206, { "content-range": `bytes ${from}-${to}/8589934592` });
      response.end(head.subarray(Number(from), Number(to) + 1));
    });
    const message = await refusalOf(openArray(`${server.origin}/a.npy`));
    expect(message).toMatch(/its header has 4294967292 bytes, wanted at most 1048576/);
    expect(server.asked).toEqual(["GET /a.npy bytes=0-0", "GET /a.npy bytes=0-4095"]);
  });

  it("more than a reader says a value can have", async () => {
    let sent = 0;
    server.play((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(new Uint8Array(2 ** 16))) sent += 2 ** 16;
      };
      response.on("drain", more);
      more();
    });
    const message = await refusalOf(open().get("/x", { mostBytes: 2 ** 20 }));
    expect(message).toMatch(/it has more, wanted at most 1.00 MiB/);
    expect(sent).toBeLessThan(64 * 2 ** 20);
  });
});

it("what a server compresses on its way is read as it was", async () => {
  const encodings: unknown[] = [];
  server.play((request, response) => {
    // a runtime may add its own where a range is asked for
    if (request.headers.range) encodings.push(request.headers["accept-encoding"]);
    const zipped = gzipSync(value);
    response.writeHead(200, { "content-encoding": "gzip", "content-length": zipped.length });
    response.end(zipped);
  });
  const store = open();
  expect(await store.get("/x")).toEqual(value);
  expect(await store.size("/x")).toBe(100);
  expect(await store.getRange("/x", { offset: 4, length: 3 })).toEqual(value.subarray(4, 7));
  for (const encoding of encodings) expect(encoding).toMatch(/^identity(, identity)?$/);
});

describe("an abort", () => {
  const reason = new Error("enough");

  for (const kind of ["the call's", "the store's"]) {
    it(`by ${kind} signal ends what is waited for, and the request`, async () => {
      const cancel = new AbortController();
      const { signal } = cancel;
      for (const silent of [true, false]) {
        server.play((_, response) => {
          if (!silent) response.writeHead(200, { "content-length": 100 }).write("x");
        });
        const own = new AbortController();
        const store = kind === "the store's" ? open({ signal: own.signal }) : open();
        const read = store.get("/x", kind === "the store's" ? {} : { signal: own.signal });
        while (server.asked.length === 0) await new Promise((resolve) => setTimeout(resolve));
        own.abort(reason);
        await expect(read).rejects.toBe(reason);
        while (server.abandoned === 0) await new Promise((resolve) => setTimeout(resolve));
      }
      cancel.abort(reason);
      server.play(serving(files));
      await expect(open({ signal }).get("/x")).rejects.toBe(reason);
      expect(server.asked).toEqual([]);
    });
  }

  it("ends the wait before another request", async () => {
    const cancel = new AbortController();
    server.play((_, response) => response.writeHead(503).end());
    const slow = { ...hasty, backOffMs: 1e6, mostWaitMs: Infinity };
    const read = open({ signal: cancel.signal }, slow).get("/x");
    while (server.asked.length === 0) await new Promise((resolve) => setTimeout(resolve));
    cancel.abort(reason);
    await expect(read).rejects.toBe(reason);
    expect(server.asked).toHaveLength(1);
  });

  it("of one reader leaves another one its value", async () => {
    let held: (() => void) | undefined;
    server.play((request, response) => {
      delete request.headers.range;
      const go = () => serving(files)(request, response);
      if (server.asked.length === 1) held = go;
      else go();
    });
    const store = open();
    const cancel = new AbortController();
    const first = store.size("/x", { signal: cancel.signal });
    const second = store.getRange("/x", { offset: 4, length: 3 });
    while (!held) await new Promise((resolve) => setTimeout(resolve));
    cancel.abort(reason);
    await expect(first).rejects.toBe(reason);
    expect(await second).toEqual(value.subarray(4, 7));
  });

  it("reaches the server from the rows of an array", async () => {
    const npy = encodeNpy(Float32Array.from({ length: 64 }, (_, i) => i));
    server.play(serving({ "/a.npy": npy }));
    const array = await openArray(`${server.origin}/a.npy`);
    server.play(() => {});
    const cancel = new AbortController();
    const read = array.read(0, 64, { signal: cancel.signal });
    while (server.asked.length === 0) await new Promise((resolve) => setTimeout(resolve));
    cancel.abort(reason);
    await expect(read).rejects.toBe(reason);
  });
});

describe("a server that sends us elsewhere", () => {
  const sendTo = (location: string) =>
    server.play((request, response) =>
      request.url === "/there"
        ? serving({ "/there": value })(request, response)
        : response.writeHead(302, { location }).end()
    );

  it("is followed on its own host", async () => {
    sendTo("/there");
    expect(await open().getRange("/x", { offset: 4, length: 3 })).toEqual(value.subarray(4, 7));
    expect(server.asked).toEqual(["GET /x bytes=4-6", "GET /there bytes=4-6"]);
  });

  it("is not followed to other hosts, ports and schemes", async () => {
    for (
      const [location, wanted] of [
        ["http://localhost:1/y?sig=secret", /sends us to localhost:1, wanted .* allowHosts names/],
        ["http://127.0.0.1:1/y", /sends us to 127.0.0.1:1, wanted/],
        ["file:///etc/passwd", /sends us to an address in file:, wanted http: or https:/],
        ["data:,x", /in data:/],
        ["http://[", /what is no address/],
      ] as const
    ) {
      sendTo(location);
      const message = await refusalOf();
      expect(message).toMatch(wanted);
      expect(message).not.toMatch(/secret/);
      expect(server.asked).toHaveLength(1);
    }
  });

  it("is followed to a host that was allowed, without name and password", async () => {
    const other = await startServer();
    try {
      let seen: unknown = "nothing";
      other.play((request, response) => {
        seen = request.headers.authorization;
        serving(files)(request, response);
      });
      let told: unknown;
      server.play((request, response) => {
        told = request.headers.authorization;
        response.writeHead(307, { location: `${other.origin}/x` }).end();
      });
      const host = new URL(other.origin).host;
      const address = server.origin.replace("//", "//user:pass%C3%A9@");
      const store = new HttpStore(address, { allowHosts: [host] }, hasty);
      expect(await store.get("/x")).toEqual(value);
      expect(told).toBe(`Basic ${btoa("user:passÃ©")}`);
      expect(seen).toBeUndefined();
    } finally {
      await other.close();
    }
  });

  it("round and round is left", async () => {
    sendTo("/x");
    expect(await refusalOf()).toMatch(/sends us on for more than 5 times/);
  });
});

describe("what is secret in an address", () => {
  const address = () => `${server.origin.replace("//", "//name:password@")}/data?sig=signature`;
  const secret = /name:|password|signature/;

  it("goes to the server, and into no message and no place", async () => {
    const store = await openStore(address());
    expect(store.place).toBe(`${server.origin}/data`);
    const heard = new Set<unknown>();
    server.play((request, response) => {
      heard.add(request.headers.authorization);
      response.writeHead(401).end();
    });
    for (const read of [() => store.get("/x"), () => openArray(address())]) {
      const error = await read().then(() => undefined, (error) => error);
      expect(error).toBeInstanceOf(ChunkError);
      expect(JSON.stringify([error.message, { ...error }, String(error.cause)])).not.toMatch(
        secret,
      );
    }
    expect(server.asked).toEqual([
      "GET /data/x?sig=signature",
      // an array may lie in a result that lists its files
      "GET /checksums.txt?sig=signature",
      "GET /data/zarr.json?sig=signature",
    ]);
    expect([...heard]).toEqual([`Basic ${btoa("name:password")}`]);
    await expect(store.set("/x", value)).rejects.toThrow(`Cannot write "${server.origin}/data/x"`);
  });

  it("stays out of what runtimes say of a server that is not there", async () => {
    const store = new HttpStore("http://name:password@127.0.0.1:1/d?sig=signature", {}, hasty);
    const error = await store.get("/x").then(() => undefined, (error) => error);
    expect(error.message).toMatch(/did not answer/);
    expect(JSON.stringify([error.message, String(error.cause)])).not.toMatch(secret);
  });
});
