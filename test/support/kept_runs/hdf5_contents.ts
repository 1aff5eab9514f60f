/** What HDF5 finds in a file: Node only. */

import * as h5wasm from "h5wasm/node";

/** Of a run, and addresses in the file. */
const LEFT_OUT = /^(plan_hash|sluice_version|adapter|DIMENSION_LIST|REFERENCE_LIST)$/;

/** Attributes of the file, and of every variable its type, shape, chunks, attributes and values. */
export async function contentsOf(path: string): Promise<Record<string, unknown>> {
  await h5wasm.ready;
  const file = new h5wasm.File(path, "r");
  const attributesOf = (object: { attrs: Record<string, { value: unknown }> }) =>
    Object.fromEntries(
      Object.entries(object.attrs)
        .filter(([name]) => !LEFT_OUT.test(name))
        .map(([name, { value }]) => [name, value]),
    );
  try {
    const contents: Record<string, unknown> = { attributes: attributesOf(file) };
    for (const name of file.keys()) {
      const dataset = file.get(name) as InstanceType<typeof h5wasm.Dataset>;
      const { dtype, shape, metadata: { chunks }, value } = dataset;
      contents[name] = { dtype, shape, chunks, value, attributes: attributesOf(dataset) };
    }
    return contents;
  } finally {
    file.close();
  }
}
