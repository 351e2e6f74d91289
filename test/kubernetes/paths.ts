import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder with this file: test/kubernetes. */
export const kubernetesDir: string = dirname(fileURLToPath(import.meta.url));

/** The root of the checkout. */
export const repositoryDir: string = dirname(dirname(kubernetesDir));

/** Where built binaries and images are kept between runs, under the user's cache directory. */
export function cacheDir(...parts: readonly string[]): string {
  const base = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  return join(base, "tigerchat", ...parts);
}
