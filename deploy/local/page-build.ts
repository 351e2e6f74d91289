import { createHash } from "node:crypto";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeAtomically } from "./data-directory.ts";

/**
 * Builds the web page unless the one in `dist/web` was made of the same sources. Returns its
 * folder. The build takes about a second; a second start skips it.
 */
export async function buildPage(root: string): Promise<string> {
  const folder = join(root, "dist", "web");
  const stamp = join(root, "dist", "web.sha256");
  const digest = digestOf(root);
  if (existsSync(join(folder, "index.html")) && existsSync(stamp)) {
    if (readFileSync(stamp, "utf8") === digest) return folder;
  }
  const { build } = await import("vite");
  await build({ configFile: join(root, "edge/web/vite.config.ts"), logLevel: "error" });
  writeAtomically(stamp, digest);
  return folder;
}

function digestOf(root: string): string {
  const hash = createHash("sha256");
  const sources = globSync("edge/{web,sdk/js}/**/*.{ts,tsx,css,html,svg,json}", { cwd: root });
  for (const path of [...sources.sort(), "package-lock.json"]) {
    hash
      .update(path)
      .update("\0")
      .update(readFileSync(join(root, path)));
  }
  return hash.digest("hex");
}
