import { existsSync } from "node:fs";
import { readdir, readlink, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ClusterRecord } from "./cluster-record.ts";
import { readClusterRecord } from "./cluster-record.ts";
import { cgroupDirs, cgroupPids } from "./nodes/cgroup.ts";
import { clusterDir, hostLink, lanNetns, nodePlans } from "./nodes/topology.ts";
import { runCommand, tryCommand } from "./process/command.ts";
import { isRunning } from "./process/daemon.ts";
import { waitFor } from "./process/wait.ts";

/** What is left of a cluster on this machine. */
export interface Remains {
  /**
   * Every process of ours: recorded, in one of our network namespaces, or in one of our cgroups.
   */
  readonly pids: readonly number[];
  readonly netns: readonly string[];
  readonly links: readonly string[];
  /** The deepest first. */
  readonly cgroups: readonly string[];
  readonly dirs: readonly string[];
  readonly sysctls: Readonly<Record<string, string>>;
  /** Set when the folder of network namespaces is ours alone, and so goes with the last of them. */
  readonly netnsDir: string | undefined;
}

/** One thing to do, in an order in which each can succeed. */
export type CleanupStep =
  | { readonly kind: "kill"; readonly pids: readonly number[] }
  | { readonly kind: "netns"; readonly name: string }
  | { readonly kind: "link"; readonly name: string }
  | { readonly kind: "cgroup"; readonly dir: string }
  | { readonly kind: "dir"; readonly dir: string }
  | { readonly kind: "sysctl"; readonly name: string; readonly value: string }
  | { readonly kind: "netns_dir"; readonly dir: string };

const netnsDir = "/run/netns";
const killTimeoutMs = 20_000;

/** Orders the cleaning: processes hold namespaces, mounts and cgroups, so they go first. */
export function planCleanup(remains: Remains): CleanupStep[] {
  const steps: CleanupStep[] = [];
  if (remains.pids.length > 0) steps.push({ kind: "kill", pids: remains.pids });
  for (const name of remains.links) steps.push({ kind: "link", name });
  for (const name of remains.netns) steps.push({ kind: "netns", name });
  for (const dir of remains.cgroups) steps.push({ kind: "cgroup", dir });
  for (const [name, value] of Object.entries(remains.sysctls)) {
    steps.push({ kind: "sysctl", name, value });
  }
  if (remains.netnsDir !== undefined) steps.push({ kind: "netns_dir", dir: remains.netnsDir });
  for (const dir of remains.dirs) steps.push({ kind: "dir", dir });
  return steps;
}

/** Whether nothing is left. */
export function isClean(remains: Remains): boolean {
  return planCleanup(remains).length === 0;
}

/**
 * Removes whatever is left of a cluster, of this run or of a crashed one. Needs no record of it.
 */
export async function removeCluster(): Promise<void> {
  for (const step of planCleanup(await findRemains())) await take(step);
  const left = await findRemains();
  if (!isClean(left)) throw new Error(`Could not remove the cluster: ${JSON.stringify(left)}`);
}

/** Looks for what is left of a cluster. */
export async function findRemains(): Promise<Remains> {
  const record = await readClusterRecord();
  const ours = [lanNetns, ...nodePlans.map((node) => node.netns)];
  const netns = ours.filter((name) => existsSync(join(netnsDir, name)));
  const cgroups: string[] = [];
  for (const node of nodePlans) cgroups.push(...(await cgroupDirs(node.cgroup).catch(() => [])));
  return {
    pids: await findPids(record, netns, cgroups),
    netns,
    links: existsSync(`/sys/class/net/${hostLink}`) ? [hostLink] : [],
    cgroups,
    dirs: existsSync(clusterDir) ? [clusterDir] : [],
    sysctls: record?.sysctls ?? {},
    netnsDir: record?.netnsDirExisted === false && existsSync(netnsDir) ? netnsDir : undefined,
  };
}

async function findPids(
  record: ClusterRecord | undefined,
  netns: readonly string[],
  cgroups: readonly string[],
): Promise<number[]> {
  const recorded = (record?.daemons ?? []).filter(isRunning).map((daemon) => daemon.pid);
  const inodes = await Promise.all(netns.map((name) => namespaceId(join(netnsDir, name))));
  const inside: number[] = [];
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const link = await readlink(`/proc/${entry}/ns/net`).catch(() => "");
    if (inodes.includes(link)) inside.push(Number(entry));
  }
  return [...new Set([...recorded, ...inside, ...(await cgroupPids(cgroups))])];
}

async function namespaceId(file: string): Promise<string> {
  return `net:[${(await stat(file)).ino}]`;
}

async function take(step: CleanupStep): Promise<void> {
  switch (step.kind) {
    case "kill":
      return killAll();
    case "netns":
      await runCommand("ip", ["netns", "delete", step.name]);
      return;
    case "link":
      await tryCommand("ip", ["link", "delete", step.name]);
      return;
    case "cgroup":
      await waitFor(`cgroup ${step.dir} to be free`, 10_000, () => removeCgroup(step.dir));
      return;
    case "sysctl":
      await writeFile(sysctlFile(step.name), step.value);
      return;
    case "netns_dir":
      await removeNetnsDir(step.dir);
      return;
    case "dir":
      await rm(step.dir, { recursive: true, force: true, maxRetries: 10 });
      return;
    default:
      step satisfies never;
  }
}

/** Kills until nobody is left: what is killed last may have started another one before. */
async function killAll(): Promise<void> {
  await waitFor("the cluster's processes to end", killTimeoutMs, async () => {
    const { pids } = await findRemains();
    for (const pid of pids) kill(pid);
    return pids.length === 0;
  });
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

async function removeCgroup(dir: string): Promise<boolean> {
  if (!existsSync(dir)) return true;
  // A container that was just being started may have made one below since we looked.
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeCgroup(join(dir, entry.name));
  }
  await rmdir(dir);
  return true;
}

async function removeNetnsDir(dir: string): Promise<void> {
  if ((await readdir(dir)).length > 0) return;
  // `ip netns add` had mounted it onto itself.
  await tryCommand("umount", [dir]);
  await rmdir(dir);
}

/** The file of a kernel setting, such as vm.overcommit_memory. */
export function sysctlFile(name: string): string {
  return join("/proc/sys", ...name.split("."));
}
