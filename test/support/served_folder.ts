/** A folder as a static server gives it: Node only. */

import { preview } from "vite";

/** Serves a folder until it is disposed of. */
export async function servedFolder(root: string) {
  const server = await preview({
    ...{ configFile: false, root, logLevel: "silent" },
    build: { outDir: "." },
    preview: { port: 0 },
  });
  return {
    url: server.resolvedUrls!.local[0]!,
    [Symbol.asyncDispose]: () => server.close(),
  };
}
