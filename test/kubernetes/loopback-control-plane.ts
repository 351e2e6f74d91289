import { writeFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Report } from "./build/binaries.ts";
import { ensureBinaries } from "./build/binaries.ts";
import { controlPlanePrograms } from "./build/versions.ts";
import type { ControlPlane } from "./control-plane.ts";
import { startControlPlane } from "./control-plane.ts";
import type { Kubectl } from "./kubectl.ts";
import { createKubectl } from "./kubectl.ts";
import type { Daemon } from "./process/daemon.ts";
import { isRunning, startTicksOf, stopDaemon } from "./process/daemon.ts";
import { freePorts } from "./process/free-port.ts";

/**
 * A control plane on 127.0.0.1 without any node agent: the caller makes Nodes and plays their
 * kubelets.
 */
export interface LoopbackControlPlane extends ControlPlane {
  readonly kubectl: Kubectl;
  /** Path of the kubectl program that belongs to it. */
  readonly kubectlFile: string;
  /** Holds its logs under `log/`; gone after stop. */
  readonly dir: string;
  /** Ends its processes and removes its files. May be called again. */
  stop(): Promise<void>;
}

/** What a run writes down, so that a later one can clean up after a crash. */
interface RunRecord {
  readonly owner: Pick<Daemon, "pid" | "startTicks">;
  readonly daemons: readonly Daemon[];
}

const dirPrefix = "tigerchat-apiserver-";

/**
 * Starts etcd, API server, controller manager and scheduler; cleans up after crashed runs first.
 */
export async function startLoopbackControlPlane(report: Report): Promise<LoopbackControlPlane> {
  const binaries = await ensureBinaries(controlPlanePrograms, report);
  await removeAbandonedRuns();
  const dir = await mkdtemp(join(tmpdir(), dirPrefix));
  const daemons: Daemon[] = [];
  const owner = { pid: process.pid, startTicks: startTicksOf(process.pid) };
  const record = (): void => writeRecord(dir, { owner, daemons });
  const stop = async (): Promise<void> => {
    await stopAll(daemons);
    await rm(dir, { recursive: true, force: true });
  };
  try {
    record();
    const [etcdClient = 0, etcdPeer = 0, apiServer = 0, controllerManager = 0, scheduler = 0] =
      await freePorts(5);
    const controlPlane = await startControlPlane({
      binaries,
      prefix: [],
      parts: {
        dir,
        address: "127.0.0.1",
        ports: { etcdClient, etcdPeer, apiServer, controllerManager, scheduler },
        serviceRange: "198.19.0.0/24",
        serviceAddress: "198.19.0.1",
        realNodes: false,
      },
      started: (daemon) => {
        daemons.push(daemon);
        record();
      },
    });
    const stopOnce = async (): Promise<void> => {
      controlPlane.api.close();
      await stop();
    };
    const kubectlFile = binaries.kubectl;
    const kubectl = createKubectl(kubectlFile, controlPlane.kubeconfigFile);
    return { ...controlPlane, kubectl, kubectlFile, dir, stop: stopOnce };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Ends the processes and removes the files of runs whose starter is gone. */
export async function removeAbandonedRuns(): Promise<void> {
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith(dirPrefix));
  for (const name of names) {
    const dir = join(tmpdir(), name);
    const found = await readRecord(dir);
    if (found === undefined || isRunning(found.owner)) continue;
    await stopAll(found.daemons);
    await rm(dir, { recursive: true, force: true });
  }
}

async function stopAll(daemons: readonly Daemon[]): Promise<void> {
  // Nothing of theirs is kept, so nothing is asked of them: they are killed, last started first.
  for (const daemon of [...daemons].reverse()) await stopDaemon(daemon, 0);
}

function writeRecord(dir: string, record: RunRecord): void {
  writeFileSync(join(dir, "run.json"), JSON.stringify(record));
}

async function readRecord(dir: string): Promise<RunRecord | undefined> {
  try {
    return JSON.parse(await readFile(join(dir, "run.json"), "utf8")) as RunRecord;
  } catch {
    return undefined;
  }
}
