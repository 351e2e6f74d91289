import { existsSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { contentHash } from "#test/kubernetes/content-hash.ts";
import { cacheDir } from "#test/kubernetes/paths.ts";
import { runCommand } from "#test/kubernetes/process/command.ts";
import { withLock } from "#test/kubernetes/process/lock.ts";

const faultsDir = dirname(fileURLToPath(import.meta.url));
const buildTimeoutMs = 300_000;

/**
 * Path of a Go program of these tests, built from its folder (in `parent`) when the cache has none
 * of the same sources. Its go.sum pins every module.
 */
export async function goProgram(
  name: "judge" | "faulty-fs" | "oracle",
  parent: string = faultsDir,
): Promise<string> {
  const folder = join(parent, name);
  const sources = await contentHash([process.arch], parent, [name]);
  const path = cacheDir("tools", `${name}-${sources.slice(0, 16)}`, name);
  if (existsSync(path)) return path;
  await withLock(`build ${path}`, buildTimeoutMs, async () => {
    if (existsSync(path)) return;
    await mkdir(dirname(path), { recursive: true });
    // A build that is cut short must not look like a finished one.
    const unfinished = `${path}.${process.pid}`;
    const flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-o", unfinished];
    await runCommand("nice", ["-n", "10", "go", "build", ...flags, "."], {
      cwd: folder,
      env: { GOTOOLCHAIN: "local", CGO_ENABLED: "0", GOFLAGS: "" },
      timeoutMs: buildTimeoutMs,
    });
    await rename(unfinished, path);
  });
  return path;
}
