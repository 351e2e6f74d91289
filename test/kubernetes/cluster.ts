import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Binaries, Report } from "./build/binaries.ts";
import { ensureBinaries } from "./build/binaries.ts";
import { ensureDebianPackages } from "./build/debian-packages.ts";
import { ensurePause } from "./build/pause.ts";
import { clusterPrograms } from "./build/versions.ts";
import { removeCluster, sysctlFile } from "./cleanup.ts";
import type { ClusterRecord } from "./cluster-record.ts";
import { clusterState, readClusterRecord, writeClusterRecord } from "./cluster-record.ts";
import type { ControlPlane } from "./control-plane.ts";
import { startControlPlane, watching } from "./control-plane.ts";
import type { ImageArchive } from "./images.ts";
import { buildProgramImage } from "./images.ts";
import type { Kubectl } from "./kubectl.ts";
import { createKubectl } from "./kubectl.ts";
import { corednsImage, corednsObjects } from "./nodes/coredns.ts";
import { createNetwork } from "./nodes/network.ts";
import type { NodeProcesses } from "./nodes/node.ts";
import { importImage, startAgents, startRuntime } from "./nodes/node.ts";
import { pauseImage } from "./nodes/node-config.ts";
import type { NodePlan } from "./nodes/topology.ts";
import {
  addresses,
  apiServerPort,
  clusterDir,
  lanNetns,
  nodePlans,
  volumePath,
  volumeSize,
  volumesPerNode,
} from "./nodes/topology.ts";
import type { Daemon } from "./process/daemon.ts";
import { startTicksOf } from "./process/daemon.ts";
import { withLock } from "./process/lock.ts";
import { waitFor } from "./process/wait.ts";
import { localVolume, storageClass } from "./storage.ts";

/**
 * A running cluster of three nodes. Its API server, pods, services and node ports answer from this
 * host.
 */
export interface Cluster {
  readonly binaries: Binaries;
  readonly controlPlane: ControlPlane;
  readonly kubeconfigFile: string;
  readonly kubectl: Kubectl;
  readonly nodes: readonly NodePlan[];
  /** Puts images onto all three nodes, where pods find them with imagePullPolicy Never. */
  importImages(archives: readonly ImageArchive[]): Promise<void>;
  /** Hands the cluster over: it stays when this process ends, until `cluster down`. */
  keep(): void;
  /** Ends all and removes all. */
  stop(): Promise<void>;
}

/** Settings of the whole machine that a kubelet changes at its start. */
const kubeletSysctls = [
  "vm.overcommit_memory",
  "vm.panic_on_oom",
  "kernel.panic",
  "kernel.panic_on_oops",
  "kernel.keys.root_maxkeys",
  "kernel.keys.root_maxbytes",
];

/** Patience with another process that is just starting or ending the cluster. */
const claimTimeoutMs = 60_000;

/** Starts the one cluster of this machine, first removing what a crashed run has left. */
export async function startCluster(report: Report): Promise<Cluster> {
  await requireFree();
  await ensureDebianPackages(report);
  const binaries = await ensureBinaries(clusterPrograms, report);
  const system = [
    await buildProgramImage({ name: pauseImage, file: await ensurePause() }, report),
    await buildProgramImage({ name: corednsImage, file: binaries.coredns }, report),
  ];
  const ledger = await withLock("cluster", claimTimeoutMs, async () => {
    await requireFree();
    await removeCluster();
    return openLedger();
  });
  try {
    return await assemble(binaries, system, ledger);
  } catch (error) {
    if (process.env["TIGERCHAT_CLUSTER_KEEP_FAILED"] === undefined) await removeCluster();
    throw error;
  }
}

/** The record of this run, written again after each new process. */
interface Ledger {
  readonly started: (daemon: Daemon) => void;
  readonly disown: () => void;
}

async function requireFree(): Promise<void> {
  const state = clusterState(await readClusterRecord());
  if (state === "kept") {
    throw new Error("A cluster is up on this machine. End it first: npm run cluster -- down");
  }
  if (state === "in_use") throw new Error("Another process of this machine runs the cluster.");
}

async function openLedger(): Promise<Ledger> {
  const sysctls: Record<string, string> = {};
  for (const name of kubeletSysctls) {
    const file = sysctlFile(name);
    if (existsSync(file)) sysctls[name] = (await readFile(file, "utf8")).trim();
  }
  let record: ClusterRecord = {
    owner: { pid: process.pid, startTicks: startTicksOf(process.pid) },
    kubeconfigFile: join(clusterDir, "kubeconfig"),
    daemons: [],
    sysctls,
    netnsDirExisted: existsSync("/run/netns"),
  };
  writeClusterRecord(record);
  return {
    started: (daemon) => {
      record = { ...record, daemons: [...record.daemons, daemon] };
      writeClusterRecord(record);
    },
    disown: () => {
      record = { ...record, owner: null };
      writeClusterRecord(record);
    },
  };
}

async function assemble(
  binaries: Binaries,
  system: readonly ImageArchive[],
  ledger: Ledger,
): Promise<Cluster> {
  await createNetwork();
  const [controlPlane, runtimes] = await allSettled([
    startControlPlane({
      binaries,
      prefix: ["nsenter", `--net=/run/netns/${lanNetns}`],
      parts: {
        dir: clusterDir,
        address: addresses.lan,
        ports: {
          etcdClient: 2379,
          etcdPeer: 2380,
          apiServer: apiServerPort,
          controllerManager: 10257,
          scheduler: 10259,
        },
        serviceRange: addresses.services,
        serviceAddress: addresses.kubernetesService,
        realNodes: true,
      },
      started: ledger.started,
    }),
    allSettled(nodePlans.map((node) => startNodeRuntime(node, system, ledger))),
  ]);
  const agents: Daemon[] = [];
  for (const [index, node] of nodePlans.entries()) {
    const runtime = runtimes[index];
    if (runtime === undefined) continue;
    const context = { binaries, controlPlane, started: ledger.started };
    agents.push(...(await startAgents(node, runtime.holder, context)));
  }
  await applyFurniture(controlPlane);
  await waitForNodes(controlPlane, agents);
  await waitForDns(controlPlane, agents);
  return {
    binaries,
    controlPlane,
    kubeconfigFile: controlPlane.kubeconfigFile,
    kubectl: createKubectl(binaries.kubectl, controlPlane.kubeconfigFile),
    nodes: nodePlans,
    async importImages(archives) {
      for (const { file } of archives) {
        await Promise.all(nodePlans.map((node) => importImage(node, file)));
      }
    },
    keep() {
      controlPlane.api.close();
      ledger.disown();
    },
    async stop() {
      controlPlane.api.close();
      await removeCluster();
    },
  };
}

/**
 * Like Promise.all, but fails only once nothing is under way any more: cleaning up must come last.
 */
async function allSettled<T extends readonly unknown[]>(
  work: readonly [...{ [K in keyof T]: Promise<T[K]> }],
): Promise<T> {
  await Promise.allSettled(work);
  return (await Promise.all(work)) as unknown as T;
}

async function startNodeRuntime(
  node: NodePlan,
  system: readonly ImageArchive[],
  ledger: Ledger,
): Promise<NodeProcesses> {
  const runtime = await startRuntime(node, ledger.started);
  for (const { file } of system) await importImage(node, file);
  return runtime;
}

async function applyFurniture(controlPlane: ControlPlane): Promise<void> {
  await controlPlane.api.apply(storageClass());
  for (const object of corednsObjects()) await controlPlane.api.apply(object);
  for (const node of nodePlans) {
    for (let index = 0; index < volumesPerNode; index += 1) {
      const volume = { node: node.name, index, path: volumePath(index), size: volumeSize };
      await controlPlane.api.apply(localVolume(volume));
    }
  }
}

async function waitForNodes(controlPlane: ControlPlane, agents: readonly Daemon[]): Promise<void> {
  for (const node of nodePlans) {
    await waitFor(
      `node ${node.name} to be Ready`,
      60_000,
      async () => isReady(await controlPlane.api.get(`/api/v1/nodes/${node.name}`)),
      { ...watching(agents), intervalMs: 200 },
    );
  }
}

async function waitForDns(controlPlane: ControlPlane, agents: readonly Daemon[]): Promise<void> {
  const path = "/apis/apps/v1/namespaces/kube-system/deployments/coredns";
  await waitFor(
    "CoreDNS to be ready",
    90_000,
    async () => {
      const found = (await controlPlane.api.get(path)) as { status?: { readyReplicas?: number } };
      return (found.status?.readyReplicas ?? 0) >= 1;
    },
    { ...watching(agents), intervalMs: 200 },
  );
}

function isReady(node: unknown): boolean {
  const found = node as
    | { status?: { conditions?: { type: string; status: string }[] } }
    | undefined;
  const conditions = found?.status?.conditions ?? [];
  return conditions.some((each) => each.type === "Ready" && each.status === "True");
}
