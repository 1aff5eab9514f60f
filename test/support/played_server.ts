/** A server that behaves as it is told, in Node and in Deno. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export type Play = (request: IncomingMessage, response: ServerResponse) => void;

export interface PlayedServer {
  /** `http://127.0.0.1:12345`. */
  origin: string;
  /** Every request so far, as `GET /x bytes=0-0`. */
  asked: string[];
  /** How it answers from now on. */
  play(play: Play): void;
  /** Requests whose connection was closed before they were answered. */
  readonly abandoned: number;
  close(): Promise<void>;
}

export async function startServer(): Promise<PlayedServer> {
  let play: Play = (_, response) => response.writeHead(404).end();
  let abandoned = 0;
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push([request.method, request.url, request.headers.range].filter(Boolean).join(" "));
    response.on("close", () => abandoned += response.writableFinished ? 0 : 1);
    play(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    asked,
    play(next) {
      play = next;
      asked.length = 0;
      abandoned = 0;
    },
    get abandoned() {
      return abandoned;
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Answers as a good server does: ranges, sizes, 404. */
export function serving(files: Record<string, Uint8Array>, headers: Record<string, string> = {}) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    const bytes = files[decodeURIComponent(request.url!.split("?")[0]!)];
    if (!bytes) return void response.writeHead(404).end("nothing");
    const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    if (from === undefined) {
      response.writeHead(200, { "content-length": bytes.length, ...headers }).end(bytes);
      return;
    }
    const size = bytes.length;
    const start = from === "" ? Math.max(0, size - Number(to)) : Number(from);
    const end = from === "" || to === "" ? size : Math.min(size, Number(to) + 1);
    if (start >= size) {
      return void response.writeHead(416, { "content-range": `bytes */${size}` }).end();
    }
    response.writeHead(206, {
      "content-range": `bytes ${start}-${end - 1}/${size}`,
      "content-length": end - start,
      ...headers,
    }).end(bytes.subarray(start, end));
  };
}
