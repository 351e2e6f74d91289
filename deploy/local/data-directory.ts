import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type ProcessIdentity, identityOf, isAlive } from "./process-identity.ts";
import { codeOf, Refusal } from "./refusal.ts";

/** What a data directory says of itself; written once, when it is made. */
export interface LocalFleet {
  readonly format: 1;
  /** The fleet's cluster id, 32 hex digits. */
  readonly cluster: string;
  readonly shards: number;
}

const fleetFile = "tigerchat-local.json";
const runFile = "run.json";

interface Run {
  readonly owner: ProcessIdentity;
  readonly children: readonly ProcessIdentity[];
}

/** The folder in which a local fleet keeps everything, held by one run at a time. */
export class DataDirectory {
  readonly path: string;
  readonly fleet: LocalFleet;
  /** True when this run made it. */
  readonly isNew: boolean;
  private children: readonly ProcessIdentity[] = [];

  private constructor(path: string, fleet: LocalFleet, isNew: boolean) {
    this.path = path;
    this.fleet = fleet;
    this.isNew = isNew;
  }

  /**
   * Opens or makes the directory, ends what a killed run left running, and takes it for this
   * process. Throws a Refusal for a foreign or corrupt directory, other shards, or a live run.
   */
  static open(given: string, shards: number | null, newCluster: () => string): DataDirectory {
    const path = resolve(given);
    const found = readFleet(path);
    if (found !== null && shards !== null && shards !== found.shards) {
      throw new Refusal(
        `${path} was made with --shards ${found.shards}; start it with that number, ` +
          "or name another --data directory.",
      );
    }
    endPreviousRun(path);
    const fleet = found ?? { format: 1, cluster: newCluster(), shards: shards ?? 1 };
    if (found === null) writeAtomically(join(path, fleetFile), JSON.stringify(fleet));
    const directory = new DataDirectory(path, fleet, found === null);
    directory.recordChildren([]);
    return directory;
  }

  /** A path below the directory; the folders above it are made. */
  file(...parts: readonly string[]): string {
    const path = join(this.path, ...parts);
    mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
    return path;
  }

  /** A folder below the directory, made if it is not there. */
  folder(...parts: readonly string[]): string {
    const path = join(this.path, ...parts);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  }

  /** Writes down which processes run, so that the next run can end them if this one is killed. */
  recordChildren(children: readonly ProcessIdentity[]): void {
    this.children = children;
    const run: Run = { owner: identityOf(process.pid), children: this.children };
    writeAtomically(join(this.path, runFile), JSON.stringify(run));
  }

  /** Gives the directory back: nothing of this run is left. */
  release(): void {
    rmSync(join(this.path, runFile), { force: true });
  }
}

/** Writes a small file so that a crash leaves the old or the new content. */
export function writeAtomically(path: string, text: string): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, text, { mode: 0o600, flush: true });
  renameSync(temporary, path);
}

function readFleet(path: string): LocalFleet | null {
  let names: readonly string[];
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    names = readdirSync(path);
  } catch (error) {
    throw new Refusal(`${path} cannot be used (${codeOf(error)}); name another --data directory.`);
  }
  if (!names.includes(fleetFile)) {
    if (names.length === 0) return null;
    throw new Refusal(
      `${path} is not empty and was not made by this program; name another --data directory.`,
    );
  }
  const file = join(path, fleetFile);
  try {
    return checkFleet(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(
      `${file} is corrupt; restore it from a backup, or name another --data directory.`,
    );
  }
}

function checkFleet(value: unknown): LocalFleet {
  if (typeof value !== "object" || value === null) throw new TypeError("not an object");
  const { format, cluster, shards } = value as Record<string, unknown>;
  if (format !== 1) {
    if (!Number.isSafeInteger(format)) throw new TypeError("format");
    throw new Refusal(
      `The data directory has format ${String(format)}; this program reads 1. Start it with the ` +
        "version that made it, or name another --data directory.",
    );
  }
  if (typeof cluster !== "string" || !/^[0-9a-f]{32}$/.test(cluster))
    throw new TypeError("cluster");
  if (!Number.isSafeInteger(shards) || Number(shards) < 1) throw new TypeError("shards");
  return { format, cluster, shards: Number(shards) };
}

function endPreviousRun(path: string): void {
  let run: Run;
  try {
    run = JSON.parse(readFileSync(join(path, runFile), "utf8")) as Run;
  } catch {
    return;
  }
  if (isAlive(run.owner)) {
    throw new Refusal(
      `${path} is in use by process ${run.owner.pid}; ` +
        "stop it first, or name another --data directory.",
    );
  }
  for (const child of run.children) {
    if (isAlive(child)) process.kill(child.pid, "SIGKILL");
  }
}
