/**
 * Linear layers of values that are mostly 0. See `shaders/net_sparse_linear.wgsl` and those beside it.
 *
 * @module
 */

import netListColumnsCode from "../../shaders/net_list_columns.wgsl?raw" with { type: "text" };
import netListRowsCode from "../../shaders/net_list_rows.wgsl?raw" with { type: "text" };
import netSparseLinearCode from "../../shaders/net_sparse_linear.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const netListRows: KernelSpec = {
  name: "net_list_rows",
  code: netListRowsCode,
  bindings: {
    params: "uniform",
    x: "read",
    columns: "read_write",
    values: "read_write",
    counts: "read_write",
  },
};

export const netListColumns: KernelSpec = {
  name: "net_list_columns",
  code: netListColumnsCode,
  bindings: {
    params: "uniform",
    x: "read",
    rows: "read_write",
    values: "read_write",
    counts: "read_write",
  },
};

export const netSparseLinear: KernelSpec = {
  name: "net_sparse_linear",
  code: netSparseLinearCode,
  bindings: {
    params: "uniform",
    indices: "read",
    values: "read",
    counts: "read",
    matrix: "read",
    parameters: "read",
    made: "read_write",
  },
};
