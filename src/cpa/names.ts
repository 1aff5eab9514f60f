/**
 * Names by which things are found: those that stand for a missing value, that look alike, or that several genes have.
 *
 * @module
 */

/** Whether a name is what Python prints of a value that is missing, or nothing. */
export function isMissingName(name: string): boolean {
  return /^(nan|none|<na>)?$/i.test(name);
}

/**
 * Of names that differ in case, in blanks, in how a letter is encoded or a number is written, the first two. They are several
 * things, or one that was written in several ways: who wrote them knows.
 */
export function lookAlikes(names: readonly string[]): readonly [string, string] | undefined {
  const known = new Map<string, string>();
  for (const name of names) {
    const plain = name.normalize("NFKC").toLowerCase().replaceAll(/\s+/g, " ").trim();
    const key = /^[+-]?\d+(\.\d*)?$/.test(plain) ? String(Number(plain)) : plain;
    const other = known.get(key);
    if (other !== undefined) return [other, name];
    known.set(key, name);
  }
  return undefined;
}

/** Where genes are, by name. Names need not be unique in AnnData: what asks for a gene that several are called has to say so. */
export function placesByName(names: readonly string[]): Map<string, number[]> {
  const places = new Map<string, number[]>();
  names.forEach((name, gene) => {
    const own = places.get(name);
    if (own) own.push(gene);
    else places.set(name, [gene]);
  });
  return places;
}

/** `"MATR3" is the name of 2 genes of var (17, 904)`. */
export function severalGenes(name: string, places: readonly number[]): string {
  return `"${name}" is the name of ${places.length} genes of var (${places.slice(0, 4).join(", ")}${
    places.length > 4 ? ", ..." : ""
  })`;
}
