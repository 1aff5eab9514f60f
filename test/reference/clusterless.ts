/**
 * Likelihood of spikes with features under a marked Poisson process whose intensity is a kernel density, from its
 * definition: plain loops in f64, nothing scaled or tabulated. Positions are sampled evenly, and all are encoded.
 */

export interface MarkedSpikes {
  times: ArrayLike<number>;
  electrodes: ArrayLike<number>;
  /** [spikes][features] */
  features: readonly (readonly number[])[];
}

export interface MarkedProblem {
  /** [samples] seconds, at even distances. */
  times: ArrayLike<number>;
  /** [samples][dimensions] */
  positions: readonly (readonly number[])[];
  spikes: MarkedSpikes;
  /** [bins][dimensions] */
  centers: readonly (readonly number[])[];
  positionStd: number;
  waveformStd: number;
}

/** Least intensity, Hz. */
const FLOOR = 5e-13;

const normal = (difference: number, std: number) =>
  Math.exp(-0.5 * (difference / std) ** 2) / (std * Math.sqrt(2 * Math.PI));

function kernel(a: readonly number[], b: readonly number[], std: number): number {
  return a.reduce((product, value, i) => product * normal(value - b[i]!, std), 1);
}

/** Logarithm of a sum of products of kernels, where products are too small for f64. */
function logKernel(a: readonly number[], b: readonly number[], std: number): number {
  return a.reduce(
    (sum, value, i) =>
      sum - 0.5 * ((value - b[i]!) / std) ** 2 - Math.log(std * Math.sqrt(2 * Math.PI)),
    0,
  );
}

function positionAt({ times, positions }: MarkedProblem, time: number): number[] {
  const last = times.length - 1;
  if (time <= times[0]!) return [...positions[0]!];
  if (time >= times[last]!) return [...positions[last]!];
  // samples are even
  let next = Math.ceil((time - times[0]!) / (times[1]! - times[0]!));
  while (times[next - 1]! >= time) next--;
  while (times[next]! < time) next++;
  const share = (time - times[next - 1]!) / (times[next]! - times[next - 1]!);
  return positions[next]!.map((value, d) =>
    positions[next - 1]![d]! + share * (value - positions[next - 1]![d]!)
  );
}

/** Which spikes are encoded: those within half an interval of a sample. */
function encoded(problem: MarkedProblem): number[] {
  const { times, spikes } = problem;
  const half = (times[1]! - times[0]!) / 2;
  return Array.from(spikes.times).flatMap((time, spike) =>
    time >= times[0]! - half && time <= times[times.length - 1]! + half ? [spike] : []
  );
}

/** Spikes a second and bin of an electrode's spikes with such features, natural logarithm [bins]. */
export function logIntensity(
  problem: MarkedProblem,
  electrode: number,
  features: readonly number[],
): number[] {
  const { times, positions, spikes, centers, positionStd, waveformStd } = problem;
  const seconds = times.length * (times[1]! - times[0]!);
  const own = encoded(problem).filter((spike) => spikes.electrodes[spike] === electrode);
  return centers.map((center) => {
    const density = positions.reduce((sum, place) => sum + kernel(center, place, positionStd), 0) /
      positions.length;
    if (density === 0 || own.length === 0) return Math.log(FLOOR);
    const terms = own.map((spike) =>
      logKernel(features, spikes.features[spike]!, waveformStd) +
      logKernel(center, positionAt(problem, spikes.times[spike]!), positionStd)
    );
    const largest = Math.max(...terms);
    const sum = terms.reduce((total, term) => total + Math.exp(term - largest), 0);
    const rate = own.length / seconds;
    const log = Math.log(rate) - Math.log(density) + largest + Math.log(sum) - Math.log(own.length);
    return Math.max(Math.log(FLOOR), log);
  });
}

/** Spikes a second of all electrodes [bins]. */
export function groundIntensity(problem: MarkedProblem): number[] {
  const { times, positions, spikes, centers, positionStd } = problem;
  const seconds = times.length * (times[1]! - times[0]!);
  const all = encoded(problem);
  return centers.map((center) => {
    const density = positions.reduce((sum, place) => sum + kernel(center, place, positionStd), 0) /
      positions.length;
    if (density === 0) return Math.max(FLOOR, 1e-15 * all.length / seconds);
    const atSpikes = all.reduce(
      (sum, spike) => sum + kernel(center, positionAt(problem, spikes.times[spike]!), positionStd),
      0,
    );
    return Math.max(FLOOR, atSpikes / seconds / density);
  });
}

/** [rows, bins] natural logarithms; rows lie between edges, the last one closed. */
export function clusterless(problem: MarkedProblem, edges: ArrayLike<number>): Float64Array {
  const { spikes, centers } = problem;
  const rows = edges.length - 1;
  const ground = groundIntensity(problem);
  const logs = new Float64Array(rows * centers.length);
  for (let row = 0; row < rows; row++) {
    const seconds = edges[row + 1]! - edges[row]!;
    for (let bin = 0; bin < centers.length; bin++) {
      logs[row * centers.length + bin] = -seconds * ground[bin]!;
    }
    Array.from(spikes.times).forEach((time, spike) => {
      const isLast = row === rows - 1 && time === edges[rows];
      if (!(time >= edges[row]! && (time < edges[row + 1]! || isLast))) return;
      const intensity = logIntensity(problem, spikes.electrodes[spike]!, spikes.features[spike]!);
      intensity.forEach((log, bin) => logs[row * centers.length + bin]! += log + Math.log(seconds));
    });
  }
  return logs;
}
