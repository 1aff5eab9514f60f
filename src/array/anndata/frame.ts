/**
 * Tables of AnnData: what is said of every cell (`obs`) or gene (`var`).
 *
 * @module
 */

import { toNumbers } from "../../chunked_array.ts";
import { ChunkError } from "../../errors.ts";
import { wantedNames } from "../../math/format.ts";
import { floatText } from "./python_text.ts";
import type { Tree, TreeNode } from "./tree.ts";

/** Names by code; -1 is a value that is missing. A category may belong to no row. */
export interface CategoryColumn {
  kind: "categories";
  categories: readonly string[];
  /** [rows]. */
  codes: Int32Array;
}

export interface NumberColumn {
  kind: "numbers";
  /** [rows]; what is missing is NaN. */
  values: Float64Array;
  isWhole: boolean;
}

export type Column = CategoryColumn | NumberColumn;

/** Truth values as pandas writes them. */
const TRUTHS = ["False", "True"] as const;

/** A table whose columns are read when they are asked for. Nothing of it is kept. */
export class DataFrame {
  readonly path: string;
  readonly rows: number;
  /** In the order of the table. */
  readonly columns: readonly string[];
  readonly #tree: Tree;
  readonly #index: string;

  private constructor(
    tree: Tree,
    path: string,
    { rows, columns, index }: { rows: number; columns: readonly string[]; index: string },
  ) {
    this.#tree = tree;
    this.path = path;
    this.rows = rows;
    this.columns = columns;
    this.#index = index;
  }

  /** @throws {ChunkError} If it is no table as AnnData writes it since version 0.7. */
  static async open(tree: Tree, path: string): Promise<DataFrame> {
    const full = `${tree.place}/${path}`;
    const refuse = (reason: string) => new ChunkError(`Cannot open "${full}": ${reason}`, full);
    const node = await tree.node(path);
    if (!node) throw refuse("there is no such table, wanted one as AnnData writes it");
    const { "encoding-type": encoding, "column-order": order, _index: index } = node.attributes;
    if (!node.isGroup || encoding !== "dataframe") {
      throw refuse(
        `it is ${described(node)}, wanted a table as AnnData 0.7 and later write it ` +
          "(read and write it with a new anndata)",
      );
    }
    const columns = Array.from(Object(order ?? []) as ArrayLike<unknown>, String);
    if (typeof index !== "string") throw refuse("it does not say what names its rows");
    const twice = columns.find((name, i) => columns.indexOf(name) !== i);
    if (twice !== undefined) throw refuse(`it has two columns "${twice}"`);
    const names = await tree.node(`${path}/${index}`);
    if (names?.shape.length !== 1) throw refuse(`the names of its rows, "${index}", are not there`);
    return new DataFrame(tree, path, { rows: names.shape[0]!, columns, index });
  }

  /** Names of the rows: of cells or genes. Numbers are written as Python does. */
  async names(): Promise<string[]> {
    const path = `${this.path}/${this.#index}`;
    const node = await this.#tree.node(path);
    if (node?.isText) return this.#checked(path, await this.#tree.texts(path));
    const { values, texts } = await this.#numbers(path);
    return this.#checked(path, texts(values));
  }

  /**
   * Reads a column. Strings and truth values come as categories.
   *
   * @throws {RangeError} If there is no such column; names those there are.
   * @throws {ChunkError} If it is damaged, or of a kind that is not understood.
   */
  async column(name: string): Promise<Column> {
    if (!this.columns.includes(name)) {
      const wanted = this.columns.length === 0 ? "it has none" : wantedNames(name, this.columns);
      throw new RangeError(
        `Cannot read column "${name}" of ${this.#tree.place}/${this.path}: there is none, ${wanted}`,
      );
    }
    const path = `${this.path}/${name}`;
    const node = await this.#tree.node(path);
    if (!node) throw this.#refuse(path, "it is missing");
    const encoding = node.attributes["encoding-type"];
    const legacy = `${this.path}/__categories/${name}`;
    if (!node.isGroup && !node.isText && await this.#tree.node(legacy)) {
      return await this.#categories(path, path, legacy);
    }
    if (node.isText && (encoding === "string-array" || encoding === undefined)) {
      return this.#textColumn(path, await this.#tree.texts(path));
    }
    switch (encoding) {
      case "categorical":
        return await this.#categories(path, `${path}/codes`, `${path}/categories`);
      case "array":
      case undefined: {
        if (node.isGroup || node.isText) break;
        const { values, kind } = await this.#numbers(path);
        this.#checked(path, values);
        if (kind === "bool") return truthColumn(values);
        return { kind: "numbers", values, isWhole: kind === "whole" };
      }
      case "nullable-integer":
      case "nullable-boolean": {
        const { values } = await this.#numbers(`${path}/values`);
        const { values: missing } = await this.#numbers(`${path}/mask`);
        this.#checked(`${path}/values`, values);
        this.#checked(`${path}/mask`, missing);
        const known = values.map((value, i) => missing[i] === 0 ? value : NaN);
        if (encoding === "nullable-boolean") return truthColumn(known);
        return { kind: "numbers", values: known, isWhole: true };
      }
    }
    throw this.#refuse(
      path,
      `it is ${described(node)}, wanted categories, strings, numbers or truth values`,
    );
  }

  async #categories(path: string, codes: string, names: string): Promise<CategoryColumn> {
    const { values, kind } = await this.#numbers(codes);
    this.#checked(path, values);
    if (kind !== "whole") throw this.#refuse(codes, "its codes are no whole numbers");
    const node = await this.#tree.node(names);
    if (!node) throw this.#refuse(names, "the names of its categories are missing");
    const told = node.isText ? undefined : await this.#numbers(names);
    const categories = told ? told.texts(told.values) : await this.#tree.texts(names);
    const places = new Map(categories.map((name, i) => [name, i]));
    const twice = categories.find((name, i) => places.get(name) !== i);
    if (twice !== undefined) throw this.#refuse(path, `it has two categories "${twice}"`);
    const own = new Int32Array(values.length);
    values.forEach((code, row) => {
      if (code < -1 || code >= categories.length) {
        throw this.#refuse(
          path,
          `row ${row} has code ${code}, and there are ${categories.length} categories`,
        );
      }
      own[row] = code;
    });
    return { kind: "categories", categories, codes: own };
  }

  #textColumn(path: string, texts: readonly string[]): CategoryColumn {
    this.#checked(path, texts);
    const codes = new Map<string, number>();
    const own = Int32Array.from(texts, (text) => {
      const code = codes.get(text) ?? codes.size;
      codes.set(text, code);
      return code;
    });
    return { kind: "categories", categories: [...codes.keys()], codes: own };
  }

  async #numbers(path: string): Promise<{
    values: Float64Array;
    kind: "whole" | "float" | "bool";
    texts(values: Float64Array): string[];
  }> {
    const array = await this.#tree.numbers(path);
    const { shape, dtype } = array;
    if (shape.length !== 1) throw this.#refuse(path, `it has ${shape.length} axes, wanted 1`);
    const stored = toNumbers(await array.read(0, shape[0]!));
    const values = Float64Array.from(stored);
    const kind = dtype === "bool" ? "bool" : dtype.startsWith("float") ? "float" : "whole";
    const stray = kind === "whole" ? values.findIndex((v) => !Number.isSafeInteger(v)) : -1;
    if (stray >= 0) {
      throw this.#refuse(path, `row ${stray} is beyond 2^53, which f64 does not hold`);
    }
    const bits = dtype === "float64" ? 64 : dtype === "float32" ? 32 : 16;
    const text = (value: number) =>
      kind === "bool"
        ? TRUTHS[value ? 1 : 0]
        : kind === "whole"
        ? String(value)
        : floatText(value, bits);
    return { values, kind, texts: (some) => Array.from(some, text) };
  }

  #checked<Values extends ArrayLike<unknown>>(path: string, values: Values): Values {
    if (values.length === this.rows) return values;
    throw this.#refuse(path, `it has ${values.length} rows, its table ${this.rows}`);
  }

  #refuse(path: string, reason: string): ChunkError {
    const full = `${this.#tree.place}/${path}`;
    return new ChunkError(`Cannot read "${full}": ${reason}`, full);
  }
}

function truthColumn(values: Float64Array): CategoryColumn {
  const codes = Int32Array.from(values, (value) => Number.isNaN(value) ? -1 : value === 0 ? 0 : 1);
  return { kind: "categories", categories: TRUTHS, codes };
}

/** What a node is, for messages. */
export function described({ isGroup, isText, shape, attributes }: TreeNode): string {
  const encoding = attributes["encoding-type"];
  if (typeof encoding === "string" && encoding !== "") return `of encoding "${encoding}"`;
  if (isGroup) return "a group without an encoding";
  return `an array of shape [${shape.join(", ")}] of ${isText ? "strings" : "other elements"}`;
}
