import path from "node:path";
import { defineConfig } from "vite";
import { OWN_NAMES, shortShaders, withoutNative } from "../../tools/web.ts";

const root = path.dirname(path.dirname(import.meta.dirname));

export default defineConfig({
  root: import.meta.dirname,
  // any folder of any static host
  base: "./",
  resolve: { alias: OWN_NAMES },
  plugins: [withoutNative, shortShaders],
  worker: { format: "es", plugins: () => [withoutNative, shortShaders] },
  optimizeDeps: { exclude: ["webgpu"] },
  server: { fs: { allow: [root] } },
  build: {
    outDir: path.join(root, "dist-app"),
    emptyOutDir: true,
    target: "es2023",
    chunkSizeWarningLimit: 6000,
  },
});
