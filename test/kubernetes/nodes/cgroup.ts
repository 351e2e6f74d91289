import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const cgroupRoot = "/sys/fs/cgroup";

/**
 * The controllers' hierarchies of cgroup v1, one folder each. Throws on a machine that has only v2.
 */
export async function cgroupHierarchies(): Promise<string[]> {
  if (existsSync(join(cgroupRoot, "cgroup.controllers"))) {
    throw new Error("The three-node cluster needs cgroup v1; this machine has only cgroup v2.");
  }
  const names = await readdir(cgroupRoot);
  const dirs = names.map((name) => join(cgroupRoot, name));
  return dirs.filter((dir) => existsSync(join(dir, "cgroup.procs")));
}

/**
 * Creates a cgroup in every hierarchy. A cpuset takes no process before it has CPUs and memory
 * nodes.
 */
export async function createCgroup(name: string): Promise<void> {
  for (const hierarchy of await cgroupHierarchies()) {
    if (hierarchy.endsWith("/unified")) continue;
    const dir = join(hierarchy, name);
    await mkdir(dir, { recursive: true });
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      if (!existsSync(join(dir, file))) continue;
      await writeFile(join(dir, file), await readFile(join(hierarchy, file), "utf8"));
    }
  }
}

/**
 * All folders of the cgroup `name`, itself included, the deepest first: the order to remove them
 * in.
 */
export async function cgroupDirs(name: string): Promise<string[]> {
  const found: string[] = [];
  for (const hierarchy of await cgroupHierarchies()) {
    await collect(join(hierarchy, name), found);
  }
  return found;
}

/** The processes in these cgroups. */
export async function cgroupPids(dirs: readonly string[]): Promise<number[]> {
  const texts = await Promise.all(
    dirs.map((dir) => readFile(join(dir, "cgroup.procs"), "utf8").catch(() => "")),
  );
  const pids = texts.flatMap((text) => text.split("\n").filter((line) => line !== ""));
  return [...new Set(pids.map(Number))];
}

async function collect(dir: string, found: string[]): Promise<void> {
  if (!existsSync(dir)) return;
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (entry.isDirectory()) await collect(join(dir, entry.name), found);
  }
  found.push(dir);
}
