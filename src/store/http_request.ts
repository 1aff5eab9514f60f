/**
 * Requests to servers: what is dropped or refused for a while is asked again, who sends us elsewhere is followed
 * on the same host alone, and whoever falls silent is left.
 *
 * @module
 */

import { ChunkError, StoreError } from "../errors.ts";
import { withoutSecrets } from "../secrets.ts";
import { hasFileSystem } from "./place.ts";

/** How often and how long a server is asked. */
export interface Patience {
  /** Requests for one answer, the first among them. */
  attempts: number;
  /** Before the second request, in milliseconds; twice as long before each one after it. */
  backOffMs: number;
  /** The longest that a server may ask us to wait. */
  mostWaitMs: number;
  /** The longest without a byte. */
  silenceMs: number;
}

export const PATIENCE: Patience = {
  attempts: 5,
  backOffMs: 250,
  mostWaitMs: 60_000,
  silenceMs: 60_000,
};

export interface Request {
  /** Without a user's name and password. */
  url: URL;
  headers: Record<string, string>;
  /** Hosts besides its own that the server may send us to. */
  allowHosts: readonly string[];
  signals: readonly AbortSignal[];
  patience: Patience;
  /** `GET` when not given. */
  method?: string;
  body?: Uint8Array;
  /** What is done, as errors say it; `read` when not given. */
  action?: string;
  /** Headers of one attempt, for servers that want them signed: a signature counts for minutes alone. */
  sign?: Sign | undefined;
}

/** Signs a request: gives its headers, and those that say who asks. */
export type Sign = (
  request: Pick<Request, "url" | "headers" | "method" | "body">,
) => Promise<Record<string, string>>;

/** An answer, until its body is read. */
export interface Answer {
  response: Response;
  /** Is to be called whenever bytes come. */
  heard(): void;
}

// too early, too many, at the same time as another, and what servers and those before them say while they have
// trouble
const ASK_AGAIN = new Set([408, 409, 425, 429, 500, 502, 503, 504]);
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const MOST_REDIRECTS = 5;

/** The server has trouble: worth another request. */
class Trouble extends Error {
  readonly waitMs: number | undefined;

  constructor(message: string, waitMs?: number) {
    super(message);
    this.waitMs = waitMs;
  }
}

/**
 * Asks, again where that may help, until an answer has been taken.
 *
 * @param take Reads the body, or cancels it. What it throws is trouble unless it is a {@link refusal}.
 * @throws {ChunkError} If there is no answer in the end, or it sends us where we may not go.
 * @throws {StoreError} The same, where something else than reading was asked for.
 * @throws The reason of a signal, once it is aborted.
 */
export async function ask<Value>(
  request: Request,
  take: (answer: Answer) => Promise<Value>,
): Promise<Value> {
  const { patience: { attempts, backOffMs, mostWaitMs }, signals } = request;
  for (let attempt = 1;; attempt++) {
    try {
      return await askOnce(request, take);
    } catch (error) {
      for (const signal of signals) signal.throwIfAborted();
      if (error instanceof ChunkError || error instanceof StoreError) throw error;
      const { waitMs = backOffMs * 2 ** (attempt - 1) * (0.75 + Math.random() / 2) } =
        error as Partial<Trouble>;
      const reason = describe(error, request.url);
      if (!mayHelp(error) || attempt === attempts) {
        throw refusal(request, `${reason}${attempt > 1 ? `, ${attempt} times` : ""}`, error);
      }
      if (waitMs > mostWaitMs) {
        const seconds = Math.ceil(waitMs / 1000);
        throw refusal(request, `${reason}, and asks to wait for ${seconds} s`, error);
      }
      await pause(waitMs, signals);
    }
  }
}

async function askOnce<Value>(
  request: Request,
  take: (answer: Answer) => Promise<Value>,
): Promise<Value> {
  const { signals, patience: { silenceMs } } = request;
  const stop = new AbortController();
  const silent = () => stop.abort(new Trouble(`the server was silent for ${silenceMs / 1000} s`));
  let timer = setTimeout(silent, silenceMs);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(silent, silenceMs);
  };
  const onAbort = () => stop.abort();
  for (const signal of signals) signal.addEventListener("abort", onAbort);
  try {
    for (const signal of signals) signal.throwIfAborted();
    const response = await follow(request, stop.signal);
    heard();
    const { status, statusText, headers } = response;
    if (ASK_AGAIN.has(status)) {
      await response.body?.cancel();
      const words = `the server answered ${status} ${statusText}`.trim();
      throw new Trouble(words, parseRetryAfter(headers.get("retry-after")));
    }
    return await take({ response, heard });
  } catch (error) {
    throw stop.signal.reason instanceof Trouble ? stop.signal.reason : error;
  } finally {
    clearTimeout(timer);
    for (const signal of signals) signal.removeEventListener("abort", onAbort);
    // whatever was not read is not wanted
    stop.abort();
  }
}

/** Asks, and goes where the server sends us if we may go there. */
async function follow(request: Request, signal: AbortSignal): Promise<Response> {
  const { url, method = "GET", body } = request;
  const headers = await request.sign?.(request) ?? request.headers;
  // browsers do not tell where they are sent, only where they came to
  const isManual = hasFileSystem();
  let target = url;
  for (let redirects = 0;; redirects++) {
    const { Authorization: _, ...others } = headers;
    const response = await fetch(target, {
      method,
      ...(body && { body: body as BufferSource }),
      headers: target.origin === url.origin ? headers : others,
      redirect: isManual ? "manual" : "follow",
      signal,
    });
    const location = isManual && REDIRECTS.has(response.status)
      ? response.headers.get("location")
      : null;
    if (location === null) {
      if (!isManual) checkTarget(request, new URL(response.url));
      return response;
    }
    await response.body?.cancel();
    if (request.sign) {
      throw refusal(request, `the server sends us to ${location}, wanted an answer`);
    }
    if (redirects === MOST_REDIRECTS) {
      throw refusal(request, `the server sends us on for more than ${MOST_REDIRECTS} times`);
    }
    if (!URL.canParse(location, target)) {
      throw refusal(request, "the server sends us to what is no address");
    }
    target = new URL(location, target);
    checkTarget(request, target);
  }
}

/** @throws {ChunkError} If the server may not send us there. */
function checkTarget(request: Request, target: URL): void {
  const { url, allowHosts } = request;
  if (target.protocol !== "https:" && target.protocol !== url.protocol) {
    throw refusal(
      request,
      `the server sends us to an address in ${target.protocol}, wanted ` +
        (url.protocol === "https:" ? "https:" : "http: or https:"),
    );
  }
  const isSame = target.host === url.host ||
    (target.hostname === url.hostname && target.port === "" && url.port === "");
  if (isSame || allowHosts.includes(target.host) || allowHosts.includes(target.hostname)) return;
  throw refusal(
    request,
    `the server sends us to ${target.host}, wanted ${url.host} or a host that allowHosts names`,
  );
}

/** An error that names what was asked for. */
export function refusal(
  { url, action = "read" }: Pick<Request, "url" | "action">,
  reason: string,
  cause?: unknown,
): ChunkError | StoreError {
  const path = withoutSecrets(url.href);
  // runtimes put whole addresses into their messages
  const own = cause && new Error(withoutSecrets(String((cause as Error).message ?? cause)));
  const Refusal = action === "read" ? ChunkError : StoreError;
  return new Refusal(`Cannot ${action} "${path}": ${reason}`, path, own);
}

/** Whether another request may bring an answer. */
function mayHelp(error: unknown): boolean {
  const { message, cause } = error as { message?: string; cause?: { message?: string } };
  // ports that are kept for other services: Node says it so, and Deno
  if (/bad port|are blocked/.test(`${message} ${cause?.message}`)) return false;
  return codeOf(error) !== "ENOTFOUND" && (error as Error).name !== "NotCapable";
}

function codeOf(error: unknown): string | undefined {
  const { code, cause } = error as { code?: unknown; cause?: { code?: unknown } };
  return [cause?.code, code].find((code) => typeof code === "string") as string | undefined;
}

/** Why there was no answer, in words for people. */
function describe(error: unknown, { host }: URL): string {
  if (error instanceof Trouble) return error.message;
  if ((error as Error).name === "NotCapable") {
    return `Deno may not reach ${host}, wanted the permission --allow-net=${host}`;
  }
  const code = codeOf(error);
  if (code === "ENOTFOUND") return `there is no host ${host}`;
  return hasFileSystem()
    ? `the server did not answer, or not to the end${code ? ` (${code})` : ""}`
    : "the server did not answer, or does not allow this page to read it";
}

/** Milliseconds that a server asks us to wait: it tells seconds, or a date. */
export function parseRetryAfter(text: string | null, now: number = Date.now()): number | undefined {
  if (text === null) return undefined;
  const ms = /^\s*\d+\s*$/.test(text) ? 1000 * Number(text) : Date.parse(text) - now;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

async function pause(ms: number, signals: readonly AbortSignal[]): Promise<void> {
  let onAbort!: () => void;
  let timer!: ReturnType<typeof setTimeout>;
  try {
    await new Promise<void>((resolve) => {
      onAbort = resolve;
      for (const signal of signals) signal.addEventListener("abort", onAbort);
      timer = setTimeout(resolve, ms);
    });
  } finally {
    clearTimeout(timer);
    for (const signal of signals) signal.removeEventListener("abort", onAbort);
  }
  for (const signal of signals) signal.throwIfAborted();
}

/**
 * Reads a body.
 *
 * @param wanted How many bytes it must have; any number when not given.
 * @param most How many bytes it may have.
 * @returns `undefined` if it has more than it may.
 */
export async function readBody(
  { response, heard }: Answer,
  { wanted, most }: { wanted?: number | undefined; most: number },
): Promise<Uint8Array | undefined> {
  const limit = wanted ?? most;
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  const reader = response.body?.getReader();
  for (;;) {
    const { done, value } = await reader?.read() ?? { done: true, value: undefined };
    if (done) break;
    heard();
    bytes += value!.byteLength;
    if (bytes > limit) {
      await reader!.cancel();
      return undefined;
    }
    pieces.push(value!);
  }
  if (wanted !== undefined && bytes < wanted) {
    throw new Trouble(`the server sent ${bytes} bytes, wanted ${wanted}`);
  }
  const [first] = pieces;
  // what the network gave may be a view of a larger buffer
  if (pieces.length === 1 && first!.byteLength === first!.buffer.byteLength) return first;
  const body = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    body.set(piece, at);
    at += piece.byteLength;
  }
  return body;
}
