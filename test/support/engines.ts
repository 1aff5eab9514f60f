/** Slurm, Redis, and plans whose parts do hardly anything, for tests of engines: Node and Deno only. */

import type { ChildProcess } from "node:child_process";
import { execFile, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { nextStage } from "../../src/parts/next_stage.ts";
import type { PartPlan } from "../../src/parts/part_plan.ts";
import { decodeSealed } from "../../src/parts/sealed.ts";
import { runtime } from "./runtime.ts";

const run = promisify(execFile);

/** Why tests that start these programs as root cannot. */
export function whyMissing(...programs: string[]): string | undefined {
  if (runtime === "chromium") return "browsers start no programs";
  if (process.getuid?.() !== 0) return `${programs[0]} is started as root alone`;
  try {
    for (const program of programs) execFileSync("which", [program], { stdio: "ignore" });
    return undefined;
  } catch {
    return `${programs.join(", ")} are not installed`;
  }
}

/** The first of so many ports in a row on which nobody listens. */
export async function freePorts(count: number): Promise<number> {
  const listen = (port: number) =>
    new Promise<boolean>((resolve) => {
      const server = createServer().on("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
  for (;;) {
    const first = 20_000 + Math.floor(Math.random() * 10_000);
    const free = await Promise.all(Array.from({ length: count }, (_, i) => listen(first + i)));
    if (free.every((own) => own)) return first;
  }
}

/** A Slurm of two nodes, which what is started here knows. */
export class TestSlurm {
  readonly #folder: string;
  /** Of the daemons of the nodes. */
  readonly #nodes: number[];

  private constructor(folder: string) {
    this.#folder = folder;
    const pids = readFileSync(join(folder, "pids"), "utf8").trim().split("\n");
    this.#nodes = pids.slice(2).map(Number);
  }

  static async start(folder: string): Promise<TestSlurm> {
    await run("test/support/slurm_up.sh", [folder, String(await freePorts(3))]);
    process.env.SLURM_CONF = join(folder, "slurm.conf");
    return new TestSlurm(folder);
  }

  /** Jobs that wait or run. */
  async jobs(): Promise<string[]> {
    const { stdout } = await run("squeue", ["--noheader", "--format=%A"]);
    return stdout.split("\n").filter((line) => line !== "");
  }

  /** Loses a node. What it ran lives on, as on one that only lost its network. */
  loseNode(node: 0 | 1): void {
    process.kill(this.#nodes[node]!, "SIGKILL");
  }

  /** Starts a node that was lost again. */
  async bringBack(node: 0 | 1): Promise<void> {
    const daemon = spawn("slurmd", ["-D", "-N", `n${node}`], { stdio: "ignore" });
    this.#nodes[node] = daemon.pid!;
    appendFileSync(join(this.#folder, "pids"), `${daemon.pid}\n`);
    const idle = ["--noheader", "--nodes", `n${node}`, "--format=%t"];
    while (!/^idle$/m.test((await run("sinfo", idle)).stdout)) await wait(200);
  }

  async stop(): Promise<void> {
    await run("test/support/slurm_down.sh", [this.#folder]);
    delete process.env.SLURM_CONF;
  }
}

/** A Redis that keeps what it was told on disk. */
export class TestRedis {
  readonly #folder: string;
  readonly #port: number;
  #process!: ChildProcess;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#port = port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#port}`;
  }

  static async start(folder: string): Promise<TestRedis> {
    mkdirSync(folder, { recursive: true });
    const redis = new TestRedis(folder, await freePorts(1));
    await redis.start();
    return redis;
  }

  async start(): Promise<void> {
    const port = String(this.#port);
    const args = ["--port", port, "--bind", "127.0.0.1", "--dir", this.#folder, "--save", ""];
    this.#process = spawn("redis-server", [...args, "--appendonly", "yes"], { stdio: "ignore" });
    while (!(await this.says("PING").catch(() => "")).includes("PONG")) await wait(50);
  }

  async says(...words: string[]): Promise<string> {
    return (await run("redis-cli", ["-p", String(this.#port), ...words])).stdout;
  }

  async kill(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("close", resolve));
    process.kill(this.#process.pid!, "SIGKILL");
    await ended;
  }
}

/** Runs `engine_child.ts` to its end. */
export function runChild(cwd: string, args: readonly string[]) {
  const [program, ...first] = programOf();
  return run(program!, [...first, ...args], { cwd });
}

/** What of this package is started, and its file. */
const MAINS = { cli: "src/cli/main.ts", engine_child: "test/support/engine_child.ts" };

/** Workers of both runtimes at a queue. */
export class TestWorkers {
  readonly #folder: string;
  readonly #args: readonly string[];
  readonly #running = new Map<"node" | "deno", ChildProcess>();
  #said = "";

  readonly #what: keyof typeof MAINS;

  /** @param what The command line, or the one in small. */
  constructor(folder: string, args: readonly string[], what: keyof typeof MAINS = "engine_child") {
    this.#folder = folder;
    this.#args = args;
    this.#what = what;
  }

  /** Starts those that do not run, and waits until they do. */
  async want(...runtimes: ("node" | "deno")[]): Promise<void> {
    await Promise.all(
      runtimes.filter((which) => !this.#running.has(which)).map((which) => {
        const [program, ...first] = programOf(which, this.#what);
        const child = spawn(program!, [...first, "worker", ...this.#args], {
          ...{ cwd: this.#folder, stdio: ["ignore", "pipe", "pipe"] },
        });
        this.#running.set(which, child);
        child.once("close", () => this.#running.delete(which));
        return new Promise<void>((resolve) => {
          for (const stream of [child.stdout!, child.stderr!]) {
            stream.on("data", (data) => {
              this.#said += data;
              if (String(data).includes("waiting for parts")) resolve();
            });
          }
          child.once("close", () => resolve());
        });
      }),
    );
  }

  /** All that they printed. */
  said(): string {
    return this.#said;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running.values()].map((child) => {
      const closed = new Promise((resolve) => child.once("close", resolve));
      process.kill(child.pid!, "SIGKILL");
      return closed;
    }));
  }
}

function programOf(
  which: "node" | "deno" = runtime as "node" | "deno",
  what: keyof typeof MAINS = "engine_child",
): string[] {
  if (which === "node") {
    const node = runtime === "node"
      ? process.execPath
      : execFileSync("which", ["node"], { encoding: "utf8" }).trim();
    return [node, join(process.cwd(), "tools/run.mjs"), what];
  }
  const deno = runtime === "deno" ? process.execPath : denoProgram();
  return [deno, "run", "--allow-all", join(process.cwd(), MAINS[what])];
}

/** Deno itself, without what finds it: whoever is killed is to be the one that works. */
function denoProgram(): string {
  const finder = createRequire(join(process.cwd(), "package.json")).resolve("deno/bin.cjs");
  const ask = [finder, "eval", "console.log(Deno.execPath())"];
  return execFileSync(process.execPath, ask, { encoding: "utf8" }).trim();
}

/** Stages of every kind: side by side, one alone, and a loop that ends sooner than it may. */
const STAGES: PartPlan["stages"] = [
  ...[{ name: "lanes", parts: 8 }, { name: "repair", parts: 1 }, { name: "back", parts: 8 }],
  { loop: "it", most: 9, stages: [{ name: "it/sums", parts: 4 }, { name: "it/merge", parts: 1 }] },
  { name: "ids", parts: 5 },
];
export const PARTS = 8 + 1 + 8 + 3 * (4 + 1) + 5;

/** A place with a plan of which nothing is done. */
export function plannedPlace(folder: string): string {
  const place = join(folder, "out.zarr");
  rmSync(`${place}.journal`, { recursive: true, force: true });
  mkdirSync(`${place}.journal`, { recursive: true });
  const parts: PartPlan = {
    version: 1,
    sluice: "0",
    commands: [],
    folder,
    count: 8,
    stages: STAGES,
  };
  writeFileSync(`${place}.journal/plan.json`, JSON.stringify({ version: 3, hash: "none", parts }));
  return place;
}

/** What was done at a place: a digest of what all markers say was written, and how often parts began. */
export function resultAt(
  place: string,
): { hash: string; markers: number; begun: number; late: number } {
  const done = `${place}.journal/done`;
  const files = !existsSync(done) ? [] : readdirSync(done, { recursive: true, encoding: "utf8" })
    .filter((name) => /\d{6}$/.test(name)).sort();
  const hash = createHash("sha256");
  for (const name of files) {
    const { result, written } = decodeSealed<Record<string, string>>(
      readFileSync(join(done, name)),
      name,
    );
    // what the marker names is what was written
    const value = readFileSync(`${place}.journal${result}`, "utf8");
    if (value !== written) throw new Error(`${name} says ${written}, there is ${value}`);
    hash.update(`${name} ${value}\n`);
  }
  const turns = turnsAt(place);
  return {
    hash: hash.digest("hex"),
    markers: files.length,
    begun: turns.filter(([, what]) => what === "begins").length,
    late: turns.filter(([, what]) => what === "came").length,
  };
}

/** Lines of what parts wrote down: who, what, and which part. */
export function turnsAt(place: string): string[][] {
  const file = `${place}.journal/turns/log`;
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8").trim().split("\n").map((line) => line.split(" "));
}

/** Processes that are at a part now. */
export function atWork(place: string): number[] {
  const last = new Map<number, string>();
  for (const [pid, what] of turnsAt(place)) last.set(Number(pid), what!);
  return [...last].filter(([pid, what]) => what === "begins" && existsSync(`/proc/${pid}`))
    .map(([pid]) => pid);
}

/** Looks after a place, until all of it is done. */
export async function untilDone(place: string, look: () => Promise<void> | void = () => {}) {
  while (!(await nextStage(place)).done) {
    await look();
    await wait(50);
  }
}
