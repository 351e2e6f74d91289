import { existsSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheDir, kubernetesDir } from "../paths.ts";
import { runCommand, tryCommand } from "../process/command.ts";
import { withLock } from "../process/lock.ts";
import type { ProgramName, Toolset } from "./versions.ts";
import { toolsets } from "./versions.ts";

/** Paths of built programs. A name that was not asked for may lead to no file. */
export type Binaries = Readonly<Record<ProgramName, string>>;

/** Says one line of progress to a person. */
export type Report = (line: string) => void;

const goVersionMin = { major: 1, minor: 26 } as const;
/** The longest single build on two busy cores; the first one downloads its modules too. */
const buildTimeoutMs = 25 * 60_000;
const lockTimeoutMs = 60 * 60_000;

/**
 * Returns the wanted programs, building those that the cache lacks; milliseconds when it has them
 * all.
 */
export async function ensureBinaries(
  wanted: readonly ProgramName[],
  report: Report,
): Promise<Binaries> {
  const paths = binaryPaths();
  const missing = (): ProgramName[] => wanted.filter((name) => !existsSync(paths[name]));
  if (missing().length === 0) return paths;
  await withLock(`build ${cacheDir()}`, lockTimeoutMs, async () => {
    if (missing().length === 0) return;
    await requireGo();
    for (const toolset of toolsets) await buildMissing(toolset, missing(), report);
  });
  return paths;
}

/** Where each program lies in the cache, whether it is built or not. */
export function binaryPaths(): Binaries {
  const paths: Record<string, string> = {};
  for (const toolset of toolsets) {
    for (const name of Object.keys(toolset.programs)) paths[name] = programPath(toolset, name);
  }
  return paths as Binaries;
}

/** Reads `go version`'s answer; undefined when it is none. */
export function parseGoVersion(text: string): { major: number; minor: number } | undefined {
  const found = /\bgo(\d+)\.(\d+)/.exec(text);
  if (found === null) return undefined;
  return { major: Number(found[1]), minor: Number(found[2]) };
}

/** The arguments of `go build` for one program. */
export function buildArguments(toolset: Toolset, packagePath: string, out: string): string[] {
  const stamps = toolset.stamps.map((stamp) => `-X ${stamp}`);
  const linker = ["-s", "-w", ...stamps].join(" ");
  return [
    "build",
    "-mod=readonly",
    "-trimpath",
    "-buildvcs=false",
    "-ldflags",
    linker,
    "-o",
    out,
    packagePath,
  ];
}

function programPath(toolset: Toolset, name: string): string {
  return cacheDir("tools", `${toolset.module}-${toolset.version}`, name);
}

async function buildMissing(
  toolset: Toolset,
  missing: readonly string[],
  report: Report,
): Promise<void> {
  for (const [name, packagePath] of Object.entries(toolset.programs)) {
    if (!missing.includes(name)) continue;
    const started = performance.now();
    report(`Building ${name} ${toolset.version} ...`);
    const path = programPath(toolset, name);
    await mkdir(dirname(path), { recursive: true });
    // A build that is cut short must not look like a finished one.
    const unfinished = `${path}.${process.pid}`;
    await runCommand(
      "nice",
      ["-n", "10", "go", ...buildArguments(toolset, packagePath, unfinished)],
      {
        cwd: join(kubernetesDir, "build", "modules", toolset.module),
        env: { GOTOOLCHAIN: "local", CGO_ENABLED: "0", GOFLAGS: "" },
        timeoutMs: buildTimeoutMs,
      },
    );
    await rename(unfinished, path);
    report(
      `Built ${name} ${toolset.version} in ${Math.round((performance.now() - started) / 1000)} s.`,
    );
  }
}

async function requireGo(): Promise<void> {
  const needed = `Go ${goVersionMin.major}.${goVersionMin.minor} or newer`;
  const answer = await tryCommand("go", ["version"], { env: { GOTOOLCHAIN: "local" } }).catch(
    () => {
      throw new Error(
        `The Kubernetes under the tests is built from Go modules: install ${needed}.`,
      );
    },
  );
  const version = parseGoVersion(answer.stdout);
  const enough =
    version !== undefined &&
    (version.major > goVersionMin.major ||
      (version.major === goVersionMin.major && version.minor >= goVersionMin.minor));
  if (!enough) {
    throw new Error(
      `The Kubernetes under the tests needs ${needed}; found: ${answer.stdout.trim()}.`,
    );
  }
}
