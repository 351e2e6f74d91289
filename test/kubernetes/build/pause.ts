import { existsSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheDir, kubernetesDir } from "../paths.ts";
import { runCommand } from "../process/command.ts";

/** Raise when pause.c changes: it keys the cache. */
const pauseVersion = 1;

/** Compiles the static program of the pause image, once. Returns its path. */
export async function ensurePause(): Promise<string> {
  const path = cacheDir("tools", `pause-${pauseVersion}`, "pause");
  if (existsSync(path)) return path;
  await mkdir(dirname(path), { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  const source = join(kubernetesDir, "build", "pause.c");
  await runCommand("gcc", ["-Os", "-static", "-s", "-Wall", "-o", unfinished, source]);
  await rename(unfinished, path);
  return path;
}
