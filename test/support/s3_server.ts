/**
 * A server that speaks as much of S3 as stores need, in Node and in Deno: objects in memory, signatures checked by
 * an own implementation of AWS Signature Version 4.
 */

import { createHash, createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Buffer } from "node:buffer";
import type { S3Settings } from "../../src/store/s3_client.ts";

const KEYS = { accessKeyId: "AKID", secretAccessKey: "SECRET" };
const REGION = "nowhere-1";

export interface S3Fault {
  /** Status and code that the request is answered with. */
  answer?: [status: number, code: string];
  /** Whether the request is carried out, and the answer is lost. */
  lost?: boolean;
}

export interface S3Server {
  /** How a bucket there is opened. */
  settings: S3Settings;
  /** Objects by `bucket/key`. */
  objects: Map<string, Buffer>;
  /** Every request so far, as `PUT bucket/key`. */
  asked: string[];
  /** Whether conditions are heeded. */
  heedsConditions: boolean;
  /** Whether tags are compared without their quotes, as Ceph does. */
  dropsQuotes: boolean;
  /** Moves the clock of the server on. */
  pass(ms: number): void;
  /** Is asked about every request. */
  fault: (request: string, method: string) => S3Fault | undefined;
  close(): Promise<void>;
}

interface Stored {
  bytes: Buffer;
  at: number;
}

export async function startS3Server(): Promise<S3Server> {
  const stored = new Map<string, Stored>();
  const uploads = new Map<string, Map<number, Buffer>>();
  let passed = 0;
  const now = () => Date.now() + passed;
  const state = {
    asked: [] as string[],
    heedsConditions: true,
    dropsQuotes: false,
    fault: (): S3Fault | undefined => undefined,
  };

  const matched = (bytes: Buffer) =>
    state.dropsQuotes ? tagOf(bytes).replaceAll('"', "") : tagOf(bytes);

  function answer(request: IncomingMessage, body: Buffer): Reply {
    const url = new URL(request.url!, "http://server");
    const [, bucket = "", ...rest] = url.pathname.split("/");
    const key = rest.map(decodeURIComponent).join("/");
    const name = `${bucket}/${key}`;
    const query = url.searchParams;
    const { method, headers } = request;
    const wrong = checkSignature(request, url, body);
    if (wrong) return refuse(403, wrong);
    if (bucket !== "bucket") return refuse(404, "NoSuchBucket");
    if (method === "GET" && query.get("list-type") === "2") return list(query);
    if (method === "POST" && query.has("uploads")) {
      const id = `upload-${uploads.size}`;
      uploads.set(id, new Map());
      return xml(
        `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
      );
    }
    const upload = query.has("uploadId") ? uploads.get(query.get("uploadId")!) : undefined;
    if (query.has("uploadId") && !upload) return refuse(404, "NoSuchUpload");
    const source = headers["x-amz-copy-source"] as string | undefined;
    const from = source &&
      stored.get(source.replace(/^\//, "").split("/").map(decodeURIComponent).join("/"));
    if (source && !from) return refuse(404, "NoSuchKey");
    if (method === "PUT" && upload) {
      const bytes = from ? from.bytes : body;
      upload.set(Number(query.get("partNumber")), bytes);
      const etag = tagOf(bytes);
      return from
        ? xml(`<CopyPartResult><ETag>${etag.replaceAll('"', "&quot;")}</ETag></CopyPartResult>`)
        : { status: 200, headers: { etag }, body: "" };
    }
    if (method === "POST" && upload) return complete(name, upload, body.toString());
    if (method === "DELETE" && upload) {
      uploads.delete(query.get("uploadId")!);
      return { status: 204, headers: {}, body: "" };
    }
    const found = stored.get(name);
    switch (method) {
      case "GET":
        return found ? read(found, headers.range) : refuse(404, "NoSuchKey");
      case "DELETE":
        stored.delete(name);
        return { status: 204, headers: {}, body: "" };
      case "PUT": {
        if (state.heedsConditions) {
          if (headers["if-none-match"] === "*" && found) return refuse(412, "PreconditionFailed");
          const wanted = headers["if-match"];
          if (wanted && !found) return refuse(404, "NoSuchKey");
          if (wanted && wanted !== matched(found!.bytes)) return refuse(412, "PreconditionFailed");
        }
        const bytes = from ? from.bytes : body;
        stored.set(name, { bytes, at: now() });
        return from
          ? xml(`<CopyObjectResult><ETag>${tagOf(bytes)}</ETag></CopyObjectResult>`)
          : { status: 200, headers: { etag: tagOf(bytes) }, body: "" };
      }
    }
    return refuse(405, "MethodNotAllowed");
  }

  function read({ bytes, at }: Stored, range: string | undefined): Reply {
    const headers = { etag: tagOf(bytes), "last-modified": new Date(at).toUTCString() };
    const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(range ?? "") ?? [];
    if (from === undefined) return { status: 200, headers, body: bytes };
    const start = from === "" ? Math.max(0, bytes.length - Number(to)) : Number(from);
    const end = from === "" || to === "" ? bytes.length : Math.min(bytes.length, Number(to) + 1);
    if (start >= end) return refuse(416, "InvalidRange");
    return {
      status: 206,
      headers: { ...headers, "content-range": `bytes ${start}-${end - 1}/${bytes.length}` },
      body: bytes.subarray(start, end),
    };
  }

  /** Pages of three keys. */
  function list(query: URLSearchParams): Reply {
    const prefix = `bucket/${query.get("prefix")}`;
    const after = query.get("continuation-token") ?? "";
    const names = [...stored.keys()].filter((name) => name.startsWith(prefix) && name > after)
      .sort((a, b) => a < b ? -1 : 1);
    const page = names.slice(0, 3);
    const isMore = names.length > page.length;
    const contents = page.map((name) => {
      const key = encodeURIComponent(name.slice("bucket/".length)).replaceAll("%20", "+");
      return `<Contents><Key>${key}</Key><Size>${stored.get(name)!.bytes.length}</Size></Contents>`;
    });
    const next = page.at(-1)?.replaceAll("&", "&amp;");
    return xml(
      `<ListBucketResult><IsTruncated>${isMore}</IsTruncated>${contents.join("\n")}` +
        `${
          isMore ? `<NextContinuationToken>${next}</NextContinuationToken>` : ""
        }</ListBucketResult>`,
    );
  }

  function complete(name: string, upload: Map<number, Buffer>, words: string): Reply {
    const tags = [...words.matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>(.*?)<\/ETag>/g)];
    const parts: Buffer[] = [];
    for (const [i, [, number, etag]] of tags.entries()) {
      const part = upload.get(Number(number));
      const isSmall = part && i < tags.length - 1 && part.length < 5 * 2 ** 20;
      // errors of this request come with the status of a success
      if (!part || etag !== tagOf(part) || Number(number) !== i + 1) {
        return refuse(200, "InvalidPart");
      }
      if (isSmall) return refuse(200, "EntityTooSmall");
      parts.push(part);
    }
    stored.set(name, { bytes: Buffer.concat(parts), at: now() });
    return xml("<CompleteMultipartUploadResult></CompleteMultipartUploadResult>");
  }

  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const name = decodeURIComponent(request.url!.slice(1).replace(/\?.*$/, ""));
      state.asked.push(`${request.method} ${name}`);
      const fault = (state as unknown as S3Server).fault(name, request.method!);
      const reply = fault?.answer && !fault.lost
        ? refuse(...fault.answer)
        : answer(request, Buffer.concat(pieces));
      if (fault?.lost) return void response.destroy();
      const headers = { ...reply.headers, date: new Date(now()).toUTCString() };
      response.writeHead(reply.status, headers).end(reply.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  Object.defineProperty(state, "objects", {
    get: () => new Map([...stored].map(([name, { bytes }]) => [name, bytes])),
  });
  return Object.assign(state, {
    settings: { endpoint: `http://127.0.0.1:${port}`, region: REGION, keys: KEYS },
    pass: (ms: number) => void (passed += ms),
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  }) as unknown as S3Server;
}

interface Reply {
  status: number;
  headers: Record<string, string>;
  body: string | Buffer;
}

function xml(body: string): Reply {
  return { status: 200, headers: { "content-type": "application/xml" }, body };
}

function refuse(status: number, code: string): Reply {
  const words = `<Error><Code>${code}</Code><Message>it was so</Message></Error>`;
  return { status, headers: { "content-type": "application/xml" }, body: words };
}

function tagOf(bytes: Buffer): string {
  return `"${createHash("md5").update(bytes).digest("hex")}"`;
}

const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");
const hmac = (key: string | Buffer, data: string) =>
  createHmac("sha256", key).update(data).digest();
/** As RFC 3986 has it. */
const encoded = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (letter) => {
    return `%${letter.charCodeAt(0).toString(16).toUpperCase()}`;
  });

/** What is wrong with a request's signature; nothing if it is right, or there is none. */
function checkSignature(request: IncomingMessage, url: URL, body: Buffer): string | undefined {
  const { method, headers } = request;
  const given = headers.authorization;
  // of whom is not asked here
  if (given === undefined) return "AccessDenied";
  const [, id, day, region, names, signature] =
    /^AWS4-HMAC-SHA256 Credential=(.+?)\/(\d+)\/(.+?)\/s3\/aws4_request, SignedHeaders=(.+?), Signature=(.+)$/
      .exec(given)!;
  if (id !== KEYS.accessKeyId) return "InvalidAccessKeyId";
  if (headers["x-amz-content-sha256"] !== sha256(body)) return "XAmzContentSHA256Mismatch";
  const path = url.pathname.split("/").map((part) => encoded(decodeURIComponent(part))).join("/");
  const query = [...url.searchParams].map(([key, value]) => `${encoded(key)}=${encoded(value)}`)
    .sort().join("&");
  const lines = names!.split(";").map((name) => `${name}:${String(headers[name]).trim()}\n`);
  const canonical = [method, path, query, lines.join(""), names, sha256(body)].join("\n");
  const text = ["AWS4-HMAC-SHA256", headers["x-amz-date"], `${day}/${region}/s3/aws4_request`]
    .join("\n") + `\n${sha256(canonical)}`;
  const key = [region!, "s3", "aws4_request"].reduce(
    (key, part) => hmac(key, part),
    hmac(`AWS4${KEYS.secretAccessKey}`, day!),
  );
  return hmac(key, text).toString("hex") === signature ? undefined : "SignatureDoesNotMatch";
}
