/**
 * Layers of many nets that take elements one by one, forward and backward. See `shaders/net_gate.wgsl` and the others.
 *
 * @module
 */

import netAddCode from "../../shaders/net_add.wgsl?raw" with { type: "text" };
import netAddColumnsCode from "../../shaders/net_add_columns.wgsl?raw" with { type: "text" };
import netAddColumnsGradientCode from "../../shaders/net_add_columns_gradient.wgsl?raw" with {
  type: "text",
};
import netCopyRowsCode from "../../shaders/net_copy_rows.wgsl?raw" with { type: "text" };
import netGateCode from "../../shaders/net_gate.wgsl?raw" with { type: "text" };
import netGateGradientCode from "../../shaders/net_gate_gradient.wgsl?raw" with { type: "text" };
import netStoreCode from "../../shaders/net_store.wgsl?raw" with { type: "text" };
import activations from "../../shaders/shared/activations.wgsl?raw" with { type: "text" };
import workgroupSums from "../../shaders/shared/workgroup_sums.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

export const netGate: KernelSpec = {
  name: "net_gate",
  code: [netGateCode, activations].join("\n"),
  bindings: {
    params: "uniform",
    values: "read",
    gates: "read",
    y: "read_write",
  },
};

export const netGateGradient: KernelSpec = {
  name: "net_gate_gradient",
  code: [netGateGradientCode, activations].join("\n"),
  bindings: {
    params: "uniform",
    values: "read",
    gates: "read",
    y_gradient: "read",
    values_gradient: "read_write",
    gates_gradient: "read_write",
  },
};

export const netAdd: KernelSpec = {
  name: "net_add",
  code: netAddCode,
  bindings: {
    params: "uniform",
    a: "read",
    b: "read",
    y: "read_write",
  },
};

export const netCopyRows: KernelSpec = {
  name: "net_copy_rows",
  code: netCopyRowsCode,
  bindings: { params: "uniform", source: "read", copied: "read_write" },
};

export const netAddColumns: KernelSpec = {
  name: "net_add_columns",
  code: netAddColumnsCode,
  bindings: {
    params: "uniform",
    x: "read",
    parameters: "read",
    y: "read_write",
  },
};

export const netAddColumnsGradient: KernelSpec = {
  name: "net_add_columns_gradient",
  code: [netAddColumnsGradientCode, workgroupSums].join("\n"),
  bindings: {
    params: "uniform",
    y_gradient: "read",
    x_gradient: "read_write",
    gradient: "read_write",
  },
};

export const netStore: KernelSpec = {
  name: "net_store",
  code: netStoreCode,
  bindings: {
    params: "uniform",
    x: "read",
    stored: "read_write",
  },
};
