/**
 * The likeliest path of a hidden Markov model, in full memory. Logarithms are whole numbers of 2^-32 nat, held in
 * f64: their sums are exact, so that paths which are as likely are seen to be.
 */

const UNITS = 2 ** 32;

const rounded = (log: number) => Math.round(log * UNITS);

/** A model and what was seen, natural logarithms in C order, -Infinity for what is impossible. */
export interface PathProblem {
  /** [bins] */
  logInitial: Float64Array;
  /** [bins, bins], row i is log p(next bin | bin i). */
  logTransition: Float64Array;
  /** [rows, bins] */
  logLikelihoods: Float64Array;
}

export interface LikeliestPath {
  /** [rows]; of paths that are as likely the first, bin by bin. */
  path: Int32Array;
  /** Natural logarithm. */
  logProbability: number;
}

/** Largest of each row taken out, and rounded; a row that is impossible says nothing. */
function seenOf({ logLikelihoods, logInitial }: PathProblem) {
  const bins = logInitial.length;
  let constant = 0;
  const seen = Array.from({ length: logLikelihoods.length / bins }, (_, row) => {
    const own = [...logLikelihoods.subarray(row * bins, (row + 1) * bins)];
    const largest = Math.max(...own);
    constant += largest;
    return own.map((log) => largest === -Infinity ? 0 : rounded(log - largest));
  });
  return { seen, constant };
}

/** Best ways on from every bin of every row, then read from the first row on. */
export function viterbi(problem: PathProblem): LikeliestPath {
  const bins = problem.logInitial.length;
  const initial = problem.logInitial.map(rounded);
  const transition = problem.logTransition.map(rounded);
  const { seen, constant } = seenOf(problem);
  const next: Int32Array[] = [];
  let ahead = seen.at(-1)!;
  for (let row = seen.length - 2; row >= 0; row--) {
    const best = new Int32Array(bins);
    ahead = seen[row]!.map((own, from) => {
      let most = -Infinity;
      for (let to = 0; to < bins; to++) {
        const score = transition[from * bins + to]! + ahead[to]!;
        if (score > most) [most, best[from]] = [score, to];
      }
      return own + most;
    });
    next[row] = best;
  }
  const starts = ahead.map((score, bin) => score + initial[bin]!);
  const most = Math.max(...starts);
  const path = Int32Array.of(starts.indexOf(most), ...new Int32Array(seen.length - 1));
  for (let row = 1; row < seen.length; row++) path[row] = next[row - 1]![path[row - 1]!]!;
  return { path, logProbability: most / UNITS + constant };
}

/** The first of the likeliest of all paths, by looking at every one. */
export function likeliestByEnumeration(problem: PathProblem): LikeliestPath {
  const bins = problem.logInitial.length;
  const { seen, constant } = seenOf(problem);
  const rows = seen.length;
  let most = -Infinity;
  let path = new Int32Array(rows);
  for (let code = 0; code < bins ** rows; code++) {
    const own = Int32Array.from(
      { length: rows },
      (_, row) => Math.floor(code / bins ** (rows - 1 - row)) % bins,
    );
    let score = rounded(problem.logInitial[own[0]!]!);
    own.forEach((bin, row) => {
      score += seen[row]![bin]!;
      if (row > 0) score += rounded(problem.logTransition[own[row - 1]! * bins + bin]!);
    });
    if (score > most) [most, path] = [score, own];
  }
  return { path, logProbability: most / UNITS + constant };
}
