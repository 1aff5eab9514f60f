/**
 * Requests to a bucket of S3, or of a server that speaks its language. Whole bodies are hashed, so that the
 * server notices what a network did to them.
 *
 * @module
 */

import { StoreError } from "../errors.ts";
import { sha256 } from "../math/digest.ts";
import type { Answer, Patience, Request, Sign } from "./http_request.ts";
import { ask, PATIENCE, readBody, refusal } from "./http_request.ts";
import { hasFileSystem } from "./place.ts";

/** Where buckets are, and who asks. */
export interface S3Settings {
  /** Of a server that is not Amazon's: `http://localhost:9000`. */
  endpoint?: string | undefined;
  region: string;
  /** Requests are not signed when not given: public buckets can be read so. */
  keys?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined;
}

type Variables = Record<string, string | undefined>;

const VARIABLES = [
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "AWS_PROFILE",
  "AWS_REGION",
  "AWS_DEFAULT_REGION",
  "AWS_ENDPOINT_URL_S3",
  "AWS_ENDPOINT_URL",
] as const;

/**
 * What the usual variables of the environment say; in browsers there are none, and requests are not signed.
 *
 * @throws {TypeError} If Deno may not read them, or they name a key and no secret.
 */
export function settingsFromEnvironment(): S3Settings {
  return hasFileSystem() ? s3Settings(readVariables()) : s3Settings({});
}

function readVariables(): Variables {
  const { Deno: deno, process } = globalThis as {
    Deno?: {
      permissions: { querySync(what: { name: "env"; variable: string }): { state: string } };
    };
    process?: { env: Variables };
  };
  // Deno would ask its user where it has no permission
  const hidden = VARIABLES.filter((variable) =>
    deno && deno.permissions.querySync({ name: "env", variable }).state !== "granted"
  );
  if (hidden.length > 0) {
    throw new TypeError(
      `Cannot open a bucket: Deno may not read who asks, wanted the permission --allow-env=${hidden}`,
    );
  }
  return Object.fromEntries(VARIABLES.map((name) => [name, process!.env[name] || undefined]));
}

/** @throws {TypeError} If there is a key without a secret, or a profile instead of both. */
export function s3Settings(variables: Variables): S3Settings {
  const accessKeyId = variables.AWS_ACCESS_KEY_ID;
  const secretAccessKey = variables.AWS_SECRET_ACCESS_KEY;
  const refuse = (is: string) => {
    throw new TypeError(
      `Cannot open a bucket: ${is}, wanted AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither for public ones`,
    );
  };
  if (accessKeyId && !secretAccessKey) refuse("AWS_SECRET_ACCESS_KEY is missing");
  if (!accessKeyId && secretAccessKey) refuse("AWS_ACCESS_KEY_ID is missing");
  if (!accessKeyId && variables.AWS_PROFILE) {
    refuse(`AWS_PROFILE is "${variables.AWS_PROFILE}", and files with profiles are not read`);
  }
  const endpoint = variables.AWS_ENDPOINT_URL_S3 ?? variables.AWS_ENDPOINT_URL;
  if (endpoint !== undefined && !/^https?:\/\/[^/]/.test(endpoint)) {
    throw new TypeError(
      `Cannot open a bucket: its endpoint is "${endpoint}", wanted an address as https://host`,
    );
  }
  const sessionToken = variables.AWS_SESSION_TOKEN;
  return {
    endpoint,
    region: variables.AWS_REGION ?? variables.AWS_DEFAULT_REGION ?? "us-east-1",
    ...(accessKeyId && secretAccessKey && {
      keys: { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) },
    }),
  };
}

/** What the server keeps of an object beside its bytes. */
export interface Tag {
  /** As the server writes it, quotes included. */
  etag: string;
}

export interface S3Object extends Tag {
  bytes: Uint8Array;
  /** Seconds since it was written, by the server's own clock. */
  ageSeconds: number;
}

/** On what a write depends: that there is no such object, or that it is still the one with a tag. */
export type Condition = "absent" | Tag;

/** What a request is made of, beside its method and object. */
interface Ask {
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: Uint8Array;
  action: string;
}

/** The largest answer that is no object: a page of a listing has 1,000 keys. */
const MOST_WORDS = 16 * 2 ** 20;
/** The slowest that a body may leave us, bytes a millisecond. */
const SLOWEST = 100;
/** Status of a condition that does not hold. */
const PRECONDITION_FAILED = 412;

export class S3Client {
  /** Of the bucket, without a slash at its end. */
  readonly address: string;
  readonly sign: Sign | undefined;
  readonly #patience: Patience;
  readonly #signals: readonly AbortSignal[];

  private constructor(
    address: string,
    sign: Sign | undefined,
    { patience = PATIENCE, signal }: { patience?: Patience; signal?: AbortSignal | undefined },
  ) {
    this.address = address;
    this.sign = sign;
    this.#patience = patience;
    this.#signals = signal ? [signal] : [];
  }

  /** @throws {StoreError} If what signs requests is not installed. */
  static async open(
    bucket: string,
    settings: S3Settings,
    options: { patience?: Patience; signal?: AbortSignal | undefined } = {},
  ): Promise<S3Client> {
    const { endpoint, region } = settings;
    // certificates hold for one name before the host, and names with dots are several
    const address = endpoint !== undefined
      ? `${endpoint.replace(/\/+$/, "")}/${bucket}`
      : bucket.includes(".")
      ? `https://s3.${region}.amazonaws.com/${bucket}`
      : `https://${bucket}.s3.${region}.amazonaws.com`;
    return new S3Client(address, await signer(settings), options);
  }

  /** An object, or bytes of it; `undefined` if there is none. */
  async get(name: string, range?: readonly [number, number]): Promise<S3Object | undefined> {
    const headers = range && { Range: `bytes=${range[0]}-${range[1] - 1}` };
    const request = this.#request("GET", name, { action: "read", ...(headers && { headers }) });
    return await ask(request, async (answer) => {
      const { response } = answer;
      if (response.status === 404) return undefined;
      if (response.status !== (range ? 206 : 200)) throw await this.#refused(request, answer);
      const wanted = range && range[1] - range[0];
      const bytes = await readBody(answer, { wanted, most: Infinity });
      if (!bytes) throw refusal(request, `the server sent more than ${wanted} bytes for a range`);
      const seconds = (name: string) => Date.parse(response.headers.get(name) ?? "") / 1000;
      return {
        bytes,
        etag: response.headers.get("etag") ?? "",
        ageSeconds: seconds("date") - seconds("last-modified"),
      };
    });
  }

  /**
   * Writes an object, at once.
   *
   * @param condition Without one it replaces what is there.
   * @returns `undefined` if the condition did not hold.
   */
  async put(name: string, body: Uint8Array, condition?: Condition): Promise<Tag | undefined> {
    const put = (headers: Record<string, string>) => this.write(name, body, { headers });
    if (condition === undefined) return await put({});
    if (condition === "absent") return await put({ "If-None-Match": "*" });
    // Ceph compares tags with what it wrote without the quotes
    return await put({ "If-Match": condition.etag }) ??
      await put({ "If-Match": condition.etag.replaceAll('"', "") });
  }

  /** @returns `undefined` if a condition in the headers did not hold. */
  async write(
    name: string,
    body: Uint8Array,
    { headers = {}, query = {} }: Pick<Ask, "headers" | "query">,
  ): Promise<Tag | undefined> {
    const request = this.#request("PUT", name, { action: "write", headers, query, body });
    return await ask(request, async (answer) => {
      const { response } = answer;
      // an object that was to be replaced may be gone
      const isGone = response.status === 404 && "If-Match" in headers;
      const isConditional = Object.keys(headers).length > 0;
      if (isConditional && (response.status === PRECONDITION_FAILED || isGone)) {
        await response.body?.cancel();
        return undefined;
      }
      if (response.status !== 200) throw await this.#refused(request, answer);
      await response.body?.cancel();
      return { etag: response.headers.get("etag") ?? "" };
    });
  }

  async delete(name: string): Promise<void> {
    await this.words("DELETE", name, { action: "delete" }, [200, 204, 404]);
  }

  /** Has the server write an object from another one. */
  async copy(from: string, to: string): Promise<void> {
    await this.words("PUT", to, { action: "write", headers: this.source(from) });
  }

  /** Objects whose names begin with a prefix, and their bytes; sorted. */
  async list(prefix: string): Promise<{ name: string; size: number }[]> {
    const found: { name: string; size: number }[] = [];
    for (let token: string | undefined = "";;) {
      const query: Record<string, string> = {
        "list-type": "2",
        "encoding-type": "url",
        prefix,
        ...(token && { "continuation-token": token }),
      };
      const text = await this.words("GET", "", { action: "list", query });
      for (const [, contents] of text.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
        const name = decodeURIComponent(element(contents!, "Key")!.replaceAll("+", " "));
        found.push({ name, size: Number(element(contents!, "Size")) });
      }
      token = element(text, "NextContinuationToken");
      if (element(text, "IsTruncated") !== "true") break;
      if (!token) throw this.broken("list", prefix, "a listing that goes on nowhere");
    }
    return found.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  }

  /** Headers that name an object as the one to copy. */
  source(name: string): Record<string, string> {
    const path = `${new URL(this.address).pathname}/${encodeName(name)}`.replace(/^\/+/, "");
    // of a bucket that is the name of its host
    const bucket = /^https:\/\/([^./]+)\.s3\..*\.amazonaws\.com$/.exec(this.address)?.[1];
    return { "x-amz-copy-source": bucket ? `/${bucket}/${path}` : `/${path}` };
  }

  /** What the server answers in words; an error may come with the status of a success. */
  async words(
    method: string,
    name: string,
    asked: Ask,
    statuses: readonly number[] = [200],
  ): Promise<string> {
    const request = this.#request(method, name, asked);
    return await ask(request, async (answer) => {
      if (!statuses.includes(answer.response.status)) throw await this.#refused(request, answer);
      const text = await textOf(answer);
      if (/<Error>/.test(text)) throw refusal(request, `the server answered ${codeOf(text)}`);
      return text;
    });
  }

  #request(method: string, name: string, { query = {}, headers = {}, body, action }: Ask): Request {
    const url = new URL(`${this.address}/${encodeName(name)}`);
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
    const { silenceMs } = this.#patience;
    const length = body?.byteLength ?? 0;
    return {
      ...{ url, method, headers, action, allowHosts: [], signals: this.#signals },
      patience: { ...this.#patience, silenceMs: silenceMs + length / SLOWEST },
      sign: this.sign,
      ...(body && { body }),
    };
  }

  async #refused(request: Request, answer: Answer): Promise<Error> {
    const { status, statusText } = answer.response;
    const code = codeOf(await textOf(answer));
    const words = `${status} ${statusText}`.trim() + (code ? ` (${code})` : "");
    const who = status === 403 && !this.sign
      ? "; the request was not signed, as AWS_ACCESS_KEY_ID is not set"
      : "";
    return refusal(request, `the server answered ${words}${who}`);
  }

  /** What a server that answers so is told. */
  broken(action: string, name: string, what: string): StoreError {
    const path = `${this.address}/${name}`;
    return new StoreError(`Cannot ${action} "${path}": the server answered with ${what}`, path);
  }
}

/** Names in addresses; the slashes in them stay. */
function encodeName(name: string): string {
  return name.split("/").map(encodeURIComponent).join("/");
}

async function textOf(answer: Answer): Promise<string> {
  return new TextDecoder().decode(await readBody(answer, { most: MOST_WORDS }));
}

/** The text of the first element of a name. */
export function element(text: string, name: string): string | undefined {
  const found = new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1];
  return found?.replaceAll("&amp;", "&");
}

/** What a server says went wrong: `NoSuchBucket: The specified bucket does not exist`. */
function codeOf(text: string): string {
  return [element(text, "Code"), element(text, "Message")].filter(Boolean).join(": ");
}

async function signer({ keys, region }: S3Settings): Promise<Sign | undefined> {
  if (!keys) return undefined;
  const { AwsV4Signer } = await import("aws4fetch").catch((error) => {
    throw new StoreError(
      "Cannot open a bucket: aws4fetch is not installed, run: npm install aws4fetch",
      "aws4fetch",
      error,
    );
  });
  const cache = new Map<string, ArrayBuffer>();
  return async ({ url, headers, method = "GET", body = new Uint8Array(0) }) => {
    // browsers and proxies send their own
    const { "Accept-Encoding": accepted, ...signable } = headers;
    const signed = await new AwsV4Signer({
      ...{ ...keys, url: url.href, method, region, cache, service: "s3" },
      headers: {
        ...signable,
        "X-Amz-Content-Sha256": await sha256(body as Uint8Array<ArrayBuffer>),
      },
    }).sign();
    return {
      ...Object.fromEntries(signed.headers),
      ...(accepted !== undefined && { "Accept-Encoding": accepted }),
    };
  };
}
