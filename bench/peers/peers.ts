/**
 * The same work by jax-js and tfjs, on the same adapter in the same process, and by Python's libraries:
 *
 *   npm --prefix bench/peers install && npm run bench -- peers
 *
 * Times are from call to the answer on the host, for data that are on the device, in turns, median of 5
 * after a warm-up. An answer that differs from ours is an error, not a time.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import type { Gpu } from "../../src/gpu/device.ts";
import { formatTable } from "../../src/math/format.ts";
import type { CeilingMeter } from "../ceilings.ts";
import { median } from "../harness.ts";
import type { ResultRow } from "../results.ts";
import type { Answer, PeerCase } from "./case.ts";
import { peerCases } from "./cases.ts";
import { broadcastCase } from "./clusters.ts";

const REPEATS = 5;
// Debian's: it has the libraries where another one on the path may not
const PYTHON = ["/usr/bin/python3", "python3"];

/** One library: a call gives the answer. */
interface Contender {
  name: string;
  run(): Promise<Answer>;
}

/** A peer's time over ours, and what both took. */
export interface PeerRow extends ResultRow {
  library: string;
  medianMs: number;
  /** Seconds of processor time: what other programs do to a machine shows in it less. */
  cpuMs: number;
  gflops: number;
  ofFma: number;
  /** How many times as long as sluice it takes. */
  ratio: number;
  cpuRatio: number;
}

// what a shader or Python takes is processor time of this process, or none of it
const cpuNow = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** jax-js and tfjs, opened once in a process; what is not installed is left out, and why. */
export async function openPeers(): Promise<{ jax: unknown; tf: unknown; missing: string[] }> {
  if (!("Deno" in globalThis)) {
    // openGpu() has found the driver; the peers look for `navigator.gpu`
    const dawn = await import("webgpu");
    Object.assign(globalThis, dawn.globals);
    Object.defineProperty(globalThis, "navigator", {
      value: { gpu: dawn.create([]), userAgent: "node", hardwareConcurrency: 2 },
      configurable: true,
    });
  }
  const missing: string[] = [];
  const load = async (name: string) => {
    const require = createRequire(path.join(process.cwd(), "bench/peers/package.json"));
    return await import(/* @vite-ignore */ pathToFileURL(require.resolve(name)).href);
  };
  const attempt = async (name: string, open: () => Promise<unknown>) => {
    try {
      return await open();
    } catch (error) {
      missing.push(`${name}: ${(error as Error).message.split("\n")[0]}`);
      return undefined;
    }
  };
  const jax = await attempt("jax-js", async () => {
    const jaxjs = await load("@jax-js/jax");
    await jaxjs.init("webgpu");
    jaxjs.defaultDevice("webgpu");
    return jaxjs;
  });
  const tf = await attempt("tfjs", async () => {
    const core = await load("@tensorflow/tfjs-core");
    await load("@tensorflow/tfjs-backend-webgpu");
    if (!await core.setBackend("webgpu")) throw new Error("no webgpu backend");
    await core.ready();
    return core;
  });
  return { jax, tf, missing };
}

/** Times all cases. Peers that fail at a case are left out of it, and said to be. */
export async function runPeers(gpu: Gpu, meter: CeilingMeter, scale = 1): Promise<PeerRow[]> {
  const { jax, tf, missing } = await openPeers();
  for (const reason of missing) console.log(`left out: ${reason}`);
  const rows: PeerRow[] = [];
  const cases = peerCases(scale);
  for (const test of [...cases, broadcastCase()]) {
    const contenders: Contender[] = [{ name: "sluice", run: await test.ours(gpu) }];
    const add = async (name: string, make: () => Promise<() => Promise<Answer>>) => {
      try {
        contenders.push({ name, run: await make() });
      } catch (error) {
        console.log(`left out of ${test.name}: ${name}: ${(error as Error).message}`);
      }
    };
    for (const [name, make] of Object.entries(test.jax)) {
      if (jax) await add(`jax-js${name && ` ${name}`}`, () => Promise.resolve(make(jax)));
    }
    if (tf && test.tfjs) await add("tfjs", () => Promise.resolve(test.tfjs!(tf)));
    rows.push(...await sideBySide(test, contenders, meter));
  }
  rows.push(...pythonPeers(cases, rows));
  return rows;
}

async function sideBySide(
  test: PeerCase,
  all: readonly Contender[],
  meter: CeilingMeter,
): Promise<PeerRow[]> {
  const wanted = test.wanted = await all[0]!.run();
  const contenders: Contender[] = [];
  for (const contender of all) {
    try {
      const off = test.difference(await contender.run(), wanted);
      if (off > test.tolerance) {
        throw new Error(`it is off by ${off}, at most ${test.tolerance} was expected`);
      }
      contenders.push(contender);
    } catch (error) {
      console.log(`left out of ${test.name}: ${contender.name}: ${(error as Error).message}`);
    }
  }
  const times = contenders.map(() => ({ wall: [] as number[], cpu: [] as number[] }));
  const fma: number[] = [];
  for (let round = 0; round < REPEATS; round++) {
    fma.push((await meter.measure()).gflops);
    for (const [i, contender] of contenders.entries()) {
      const [wall, cpu] = [performance.now(), cpuNow()];
      await contender.run();
      times[i]!.wall.push(performance.now() - wall);
      times[i]!.cpu.push(cpuNow() - cpu);
    }
  }
  const walls = times.map(({ wall }) => median(wall));
  const cpus = times.map(({ cpu }) => median(cpu));
  const table = [["", "median ms", "GFLOP/s", "of FMA", "times sluice", "by processor time"]];
  const rows = contenders.map(({ name }, i): PeerRow => {
    const gflops = test.flops / walls[i]! / 1e6;
    const row: PeerRow = {
      bench: `peers ${test.name}`,
      case: `${test.shape}, ${name}`,
      library: name,
      medianMs: walls[i]!,
      cpuMs: cpus[i]!,
      gflops,
      ofFma: gflops / median(fma),
      ratio: walls[i]! / walls[0]!,
      cpuRatio: cpus[i]! / cpus[0]!,
    };
    table.push([
      name,
      row.medianMs.toFixed(1),
      gflops.toFixed(2),
      row.ofFma.toFixed(2),
      row.ratio.toFixed(2),
      row.cpuRatio.toFixed(2),
    ]);
    return row;
  });
  console.log(`${test.name}: ${test.shape}\n${formatTable(table)}\n`);
  return rows;
}

/** What numpy, scikit-learn, torch, JAX and CuPy take, where there are any. */
function pythonPeers(cases: readonly PeerCase[], ours: readonly PeerRow[]): PeerRow[] {
  const folder = mkdtempSync(path.join(tmpdir(), "sluice-peers-"));
  const has = (name: string, module: string) => {
    try {
      execFileSync(name, ["-c", `import numpy, ${module}`], { stdio: "pipe" });
      return true;
    } catch {
      return false;
    }
  };
  // the one with most to offer
  const python = ["torch", "jax", "cupy", "sklearn", "numpy"]
    .map((module) => PYTHON.find((name) => has(name, module)))
    .find((name) => name !== undefined);
  if (!python) {
    console.log("left out: Python's libraries: there is no python3 with numpy");
    return [];
  }
  try {
    for (const { name, arrays } of cases) {
      for (const [array, values] of Object.entries(arrays)) {
        writeFileSync(
          path.join(folder, `${name}.${array}`),
          new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
        );
      }
    }
    const sizes = Object.fromEntries(cases.map(({ name, sizes }) => [name, sizes]));
    writeFileSync(path.join(folder, "sizes.json"), JSON.stringify(sizes));
    const found = JSON.parse(
      execFileSync(python, [path.join("bench/peers/peers.py"), folder], { encoding: "utf8" }),
    ) as { library: string; case: string; ms?: number; answer?: string; error?: string }[];
    const rows: PeerRow[] = [];
    const table = [["", "library", "median ms", "times sluice"]];
    for (const { library, case: name, ms, answer, error } of found) {
      const test = cases.find((own) => own.name === name)!;
      const own = ours.find(({ bench, library }) =>
        bench === `peers ${name}` && library === "sluice"
      )!;
      if (error !== undefined) {
        console.log(`left out of ${name}: ${library}: ${error}`);
        continue;
      }
      const bytes = readFileSync(answer!);
      const values = new Float32Array(
        bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
      );
      const off = test.difference(values, test.wanted!);
      if (off > test.tolerance) {
        console.log(`left out of ${name}: ${library}: it is off by ${off}`);
        continue;
      }
      const gflops = test.flops / ms! / 1e6;
      table.push([name, library, ms!.toFixed(2), (ms! / own.medianMs).toFixed(2)]);
      rows.push({
        bench: `peers ${name}`,
        case: `${test.shape}, ${library}`,
        library,
        medianMs: ms!,
        cpuMs: NaN,
        gflops,
        ofFma: NaN,
        ratio: ms! / own.medianMs,
        cpuRatio: NaN,
      });
    }
    console.log(`Python's libraries\n${formatTable(table)}\n`);
    return rows;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
