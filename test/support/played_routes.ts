/** The same server for pages: under `/played/<how it behaves>/<anything>/`, which counts what it is asked. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";
import type { Play } from "./played_server.ts";
import { serving } from "./played_server.ts";

const value = Uint8Array.from({ length: 100 }, (_, i) => i);
const good = serving({ "/x": value, "/there": value });
const zipped = gzipSync(value);
const denied = '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>';

const isFirst = (play: Play, times = 1): Play => {
  const asked = new Map<string, number>();
  return (request, response) => {
    const before = asked.get(request.headers["x-route"] as string) ?? 0;
    asked.set(request.headers["x-route"] as string, before + 1);
    (before < times ? play : good)(request, response);
  };
};

/** How it behaves, by the words of an address. */
const PLAYS: Record<string, Play> = {
  good,
  "no-head": (request, response) =>
    request.method === "HEAD" ? response.writeHead(405).end() : good(request, response),
  "no-ranges": (request, response) => {
    delete request.headers.range;
    good(request, response);
  },
  "s3": (request, response) =>
    request.url === "/x" ? good(request, response) : response.writeHead(403).end(denied),
  busy: isFirst((_, response) => response.writeHead(503).end(), 2),
  dropping: isFirst((request, response) => {
    response.writeHead(200, { "content-length": 100 });
    response.write(value.subarray(0, 40), () => request.socket.destroy());
  }),
  silent: () => {},
  "another-range": (_, response) =>
    response.writeHead(206, { "content-range": "bytes 0-2/100" }).end(value.subarray(4, 7)),
  "no-content-range": (_, response) => response.writeHead(206).end(value.subarray(4, 7)),
  "short-range": (_, response) =>
    response.writeHead(206, { "content-range": "bytes 4-6/100" }).end(value.subarray(4, 6)),
  compressed: (_, response) =>
    response.writeHead(200, { "content-encoding": "gzip", "content-length": zipped.length })
      .end(zipped),
  "compressed-range": (_, response) =>
    response.writeHead(206, {
      "content-range": `bytes 4-6/${zipped.length}`,
      "content-encoding": "gzip",
    }).end(zipped.subarray(4, 7)),
  near: (request, response) =>
    request.url === "/x"
      ? response.writeHead(302, { location: "there" }).end()
      : good(request, response),
  // the same server by another name: another host for who reads the address
  far: (request, response) =>
    request.url === "/x"
      ? response.writeHead(302, { location: request.headers["x-far"] as string }).end()
      : good(request, response),
};

/** What was asked so far, by route. */
interface Heard {
  asked: string[];
  abandoned: number;
}

/** A plugin for the server of the tests' pages. */
export function playedRoutes(): Plugin {
  const heard = new Map<string, Heard>();
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const [, kind, id, ...rest] = request.url!.split("/");
    const route = `${kind}/${id}`;
    const own = heard.get(route) ?? { asked: [], abandoned: 0 };
    heard.set(route, own);
    if (rest[0] === "heard") {
      return void response.writeHead(200, { "content-type": "application/json" })
        .end(JSON.stringify(own));
    }
    const { host = "" } = request.headers;
    const name = host.startsWith("localhost") ? "127.0.0.1" : "localhost";
    request.headers["x-route"] = route;
    request.headers["x-far"] = `http://${host.replace(/^[^:]+/, name)}/played/${route}/there`;
    request.url = `/${rest.join("/")}`;
    own.asked.push([request.method, request.url, request.headers.range].filter(Boolean).join(" "));
    response.on("close", () => own.abandoned += response.writableFinished ? 0 : 1);
    response.setHeader("access-control-allow-origin", "*");
    response.setHeader("cross-origin-resource-policy", "cross-origin");
    (PLAYS[kind!] ?? good)(request, response);
  };
  return {
    name: "played-routes",
    configureServer: ({ middlewares }) => void middlewares.use("/played", answer),
  };
}
