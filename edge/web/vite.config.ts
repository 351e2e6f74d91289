import preact from "@preact/preset-vite";
import { defineConfig } from "vite";

/** Builds the page into `dist/web`, or the folder that `--outDir` names. */
export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  plugins: [preact()],
  build: { outDir: "../../dist/web", emptyOutDir: true, target: "es2022", sourcemap: false },
});
