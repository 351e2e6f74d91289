import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { clusterDir } from "./nodes/topology.ts";
import type { Daemon } from "./process/daemon.ts";
import { isRunning } from "./process/daemon.ts";

/**
 * What the running cluster writes down, for status, for down, and for whoever cleans up after a
 * crash.
 */
export interface ClusterRecord {
  /** Whoever started it and will stop it; null once `cluster up` has handed it to a person. */
  readonly owner: Pick<Daemon, "pid" | "startTicks"> | null;
  readonly kubeconfigFile: string;
  readonly daemons: readonly Daemon[];
  /** Kernel settings that kubelets change for the whole machine, with the values to restore. */
  readonly sysctls: Readonly<Record<string, string>>;
  /** Whether `ip netns` had been used before on this machine; else its folder goes too. */
  readonly netnsDirExisted: boolean;
}

/** What to make of the files of an earlier cluster. */
export type ClusterState = "none" | "abandoned" | "kept" | "in_use";

/** Judges a record: whose it is, and whether anybody still needs it. */
export function clusterState(
  record: ClusterRecord | undefined,
  running: (daemon: Pick<Daemon, "pid" | "startTicks">) => boolean = isRunning,
): ClusterState {
  if (record === undefined) return "none";
  if (record.owner !== null) return running(record.owner) ? "in_use" : "abandoned";
  return record.daemons.some(running) ? "kept" : "abandoned";
}

/** Reads the record of the cluster; undefined when there is none. */
export async function readClusterRecord(): Promise<ClusterRecord | undefined> {
  try {
    return JSON.parse(await readFile(recordFile(), "utf8")) as ClusterRecord;
  } catch {
    return undefined;
  }
}

/**
 * Writes the record in one step, so that no reader ever sees half of it, and no other writer comes
 * between.
 */
export function writeClusterRecord(record: ClusterRecord): void {
  mkdirSync(clusterDir, { recursive: true });
  const unfinished = `${recordFile()}.new`;
  writeFileSync(unfinished, JSON.stringify(record, null, 2));
  renameSync(unfinished, recordFile());
}

function recordFile(): string {
  return join(clusterDir, "cluster.json");
}
