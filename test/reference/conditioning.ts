/** Numbers of conditioning by their definitions: rows held in full, means and differences taken apart. */

export interface Numbers {
  rows: number;
  clusters: number;
  ratio: number;
  entropy: number;
  conditionalEntropy: number;
}

/**
 * @param rows Normalised deltas.
 * @param ids A cluster for each.
 */
export function conditioning(
  rows: readonly (readonly number[])[],
  ids: readonly number[],
): Numbers {
  const groups = new Map<number, number[][]>();
  rows.forEach((row, i) => {
    if (!groups.has(ids[i]!)) groups.set(ids[i]!, []);
    groups.get(ids[i]!)!.push([...row]);
  });
  const mean = (own: readonly (readonly number[])[]) =>
    own[0]!.map((_, d) => own.reduce((sum, row) => sum + row[d]!, 0) / own.length);
  const squares = (own: readonly (readonly number[])[]) => {
    const center = mean(own);
    return center.map((_, d) => own.reduce((sum, row) => sum + (row[d]! - center[d]!) ** 2, 0));
  };
  const total = (numbers: readonly number[]) => numbers.reduce((sum, x) => sum + x, 0);
  const entropy = (own: readonly (readonly number[])[]) =>
    total(squares(own).map((sum) => Math.log(Math.max(sum / own.length, 1e-10)) / 2));
  const lists = [...groups.values()];
  const several = lists.filter((own) => own.length >= 2);
  return {
    rows: rows.length,
    clusters: lists.length,
    ratio: total(lists.map((own) => total(squares(own)))) / total(squares(rows)),
    entropy: entropy(rows),
    conditionalEntropy: total(several.map((own) => own.length * entropy(own))) /
      total(several.map((own) => own.length)),
  };
}

/** Population mean and deviation of each column. */
export function columnMoments(
  rows: readonly (readonly number[])[],
): { mean: number[]; std: number[] } {
  const mean = rows[0]!.map((_, d) => rows.reduce((sum, row) => sum + row[d]!, 0) / rows.length);
  const std = mean.map((center, d) =>
    Math.sqrt(rows.reduce((sum, row) => sum + (row[d]! - center) ** 2, 0) / rows.length)
  );
  return { mean, std };
}
