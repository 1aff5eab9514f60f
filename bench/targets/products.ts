/** Rows 3 and 4 of the targets: products, beside other libraries. */

import { fromTypedArray } from "../../src/array/array.ts";
import { KMeans } from "../../src/cluster/kmeans.ts";
import { PCA } from "../../src/decompose/pca.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { formatBytes } from "../../src/math/format.ts";
import type { CeilingMeter } from "../ceilings.ts";
import { problemScale, timeCase } from "../harness.ts";
import { kernelBenches } from "../kernels.ts";
import type { PeerRow } from "../peers/peers.ts";
import type { ResultRow } from "../results.ts";
import type { Target } from "./target.ts";

/** Least ratio to the better peer, and least share of the adapter's multiply-adds. */
function reach({ adapter }: Gpu): { times: number; share: number } {
  if (!adapter.software) return { times: 3, share: 0.4 };
  return { times: 2, share: /llvmpipe|lavapipe/i.test(adapter.name) ? 0.2 : 0.3 };
}

/** The peers of a case that run on the same adapter: of those, the best. */
function bestPeer(peers: readonly PeerRow[], name: string): PeerRow | undefined {
  return peers
    .filter(({ bench, library }) => bench === `peers ${name}` && /jax-js|tfjs/.test(library))
    .sort((a, b) => a.ratio - b.ratio)[0];
}

export async function productTarget(
  gpu: Gpu,
  meter: CeilingMeter,
  results: ResultRow[],
  peers: readonly PeerRow[],
  { row, what, kernels }: { row: number; what: string; kernels: string[] },
): Promise<Target> {
  const { times, share } = reach(gpu);
  let [ofFma, ofFloor] = [Infinity, Infinity];
  for (const { name, cases } of kernelBenches.filter(({ name }) => kernels.includes(name))) {
    const timing = await timeCase(gpu, name, cases(problemScale(gpu))[0]!, meter);
    results.push(timing);
    [ofFma, ofFloor] = [Math.min(ofFma, timing.ofFma), Math.min(ofFloor, timing.ofFloor)];
  }
  const peer = bestPeer(peers, what);
  return {
    row,
    what: `${what}, beside the better of jax-js and tfjs; share of the multiply-adds`,
    target: `>= ${times}x, >= ${share}`,
    measured: `${against(peer)}, ${ofFma.toFixed(2)} (${ofFloor.toFixed(2)} of its floor)`,
    passed: peer && peer.ratio >= times && Math.max(ofFma, ofFloor) >= share,
  };
}

const against = (peer: PeerRow | undefined) =>
  peer
    ? `${peer.ratio.toFixed(2)}x ${peer.library} (${peer.cpuRatio.toFixed(2)}x by processor time)`
    : "peers not installed";

export function peerTarget(gpu: Gpu, peers: readonly PeerRow[], row: number, what: string): Target {
  const { times, share } = reach(gpu);
  const peer = bestPeer(peers, what);
  const own = peers.find(({ bench, library }) => bench === `peers ${what}` && library === "sluice");
  return {
    row,
    what: `${what}, call to answer, beside the better of jax-js and tfjs`,
    target: `>= ${times}x, >= ${share}`,
    measured: `${against(peer)}, ${own?.ofFma.toFixed(2)}`,
    passed: peer && own && peer.ratio >= times && own.ofFma >= share,
  };
}

export function broadcastTarget(peers: readonly PeerRow[]): Target {
  const worst = peers
    .filter(({ bench, library }) =>
      bench === "peers assign by broadcasting" && library !== "sluice"
    );
  return {
    row: 3,
    what: "assign, beside broadcasting all differences",
    target: ">= 20x",
    measured: worst.map(({ library, ratio }) => `${ratio.toFixed(1)}x ${library}`).join(", ") ||
      "peers not installed",
    passed: worst.length > 0 ? worst.some(({ ratio }) => ratio >= 20) : undefined,
  };
}

export function flatTarget(peers: readonly PeerRow[]): Target {
  const peer = bestPeer(peers, "flat contexts");
  return {
    row: 4,
    what: "covariance of flat contexts (lag products), call to answer, beside the better of both",
    target: ">= 5x",
    measured: against(peer),
    passed: peer && peer.ratio >= 5,
  };
}

/** Host and GPU bytes that k-means promises for one more row of 64 features. */
function bytesPerRow(gpu: Gpu, init: Float32Array | undefined) {
  const projected = (rows: number) =>
    new KMeans({ k: 64, seed: 1, ...(init && { init }) })
      .fit(gpu, fromTypedArray(new Float32Array(rows * 64), [rows, 64])).projected;
  const rows = 65536;
  const [once, twice] = [projected(rows), projected(2 * rows)];
  return { host: (twice.host - once.host) / rows, gpu: (twice.gpu - once.gpu) / rows };
}

export function memoryPerRow(gpu: Gpu): Target {
  const assigned = bytesPerRow(gpu, new Float32Array(64 * 64));
  const seeded = bytesPerRow(gpu, undefined);
  return {
    row: 3,
    what: "k-means: extra memory a row, for ids and distances; seeding's beside",
    target: "<= 8 B",
    measured:
      `${assigned.host.toFixed(1)} B on the host (with seeding ${seeded.host.toFixed(1)}), ` +
      `${assigned.gpu.toFixed(1)} B on the GPU, of rows of 256 B that stay there`,
    passed: assigned.host <= 8 && assigned.gpu <= 256 + 8,
  };
}

export function flatMemory(gpu: Gpu): Target {
  const projected = (rows: number) =>
    new PCA({ components: 8 })
      .fit(gpu, fromTypedArray(new Float32Array(rows * 64), [rows, 64])).projected;
  const [once, tenfold] = [projected(20_000), projected(200_000)];
  return {
    row: 4,
    what: "PCA: promised memory, 20,000 and 200,000 rows",
    target: "flat",
    measured: `GPU ${formatBytes(once.gpu)} and ${formatBytes(tenfold.gpu)}, host ` +
      `${formatBytes(once.host)} and ${formatBytes(tenfold.host)}`,
    passed: once.gpu === tenfold.gpu && once.host === tenfold.host,
  };
}
