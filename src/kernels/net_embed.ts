/**
 * Embeddings by dose, and their gradient. See `shaders/net_embed.wgsl` and `net_embed_gradient.wgsl`.
 *
 * @module
 */

import netEmbedCode from "../../shaders/net_embed.wgsl?raw" with { type: "text" };
import netEmbedGradientCode from "../../shaders/net_embed_gradient.wgsl?raw" with { type: "text" };
import embeddingEntries from "../../shaders/shared/embedding_entries.wgsl?raw" with {
  type: "text",
};
import exponential from "../../shaders/shared/exponential.wgsl?raw" with { type: "text" };
import logarithm from "../../shaders/shared/logarithm.wgsl?raw" with { type: "text" };
import type { KernelSpec } from "../gpu/kernel.ts";

const shared = [embeddingEntries, exponential, logarithm];

export const netEmbed: KernelSpec = {
  name: "net_embed",
  code: [netEmbedCode, ...shared].join("\n"),
  bindings: {
    params: "uniform",
    x: "read",
    parameters: "read",
    entries: "read",
    y: "read_write",
  },
};

export const netEmbedGradient: KernelSpec = {
  name: "net_embed_gradient",
  code: [netEmbedGradientCode, ...shared].join("\n"),
  bindings: {
    params: "uniform",
    y_gradient: "read",
    parameters: "read",
    entries: "read",
    gradient: "read_write",
  },
};
