import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Binaries } from "../build/binaries.ts";
import type { ControlPlane } from "../control-plane.ts";
import { watching } from "../control-plane.ts";
import { runCommand, tryCommand } from "../process/command.ts";
import type { Daemon } from "../process/daemon.ts";
import { startDaemon } from "../process/daemon.ts";
import { waitFor } from "../process/wait.ts";
import { createCgroup } from "./cgroup.ts";
import type { NodeFiles } from "./node-config.ts";
import {
  kubeletFlags,
  renderCni,
  renderContainerd,
  renderKubelet,
  renderProxy,
} from "./node-config.ts";
import type { NodePlan } from "./topology.ts";
import { containerdSocket, volumePath, volumesPerNode } from "./topology.ts";

/** Called as soon as a process exists, so that a crash of the caller cannot lose it. */
export type Started = (daemon: Daemon) => void;

/**
 * A node's processes. The holder keeps its mount namespace, in which /run, /var/lib and /var/log
 * are its own.
 */
export interface NodeProcesses {
  readonly holder: Daemon;
  readonly containerd: Daemon;
}

/**
 * Starts a node's mount namespace and containerd, and waits until that answers. Needs no API
 * server.
 */
export async function startRuntime(node: NodePlan, started: Started): Promise<NodeProcesses> {
  const files = nodeFiles(node);
  await createCgroup(node.cgroup);
  await makeDirs(node);
  await writeFile(join(node.dir, "containerd.toml"), renderContainerd(files));
  await writeFile(join(files.cniDir, "10-pods.conflist"), renderCni(node));
  const holder = await startHolder(node, started);
  const containerd = await startIn(node, holder, started, {
    name: "containerd",
    command: "containerd",
    args: ["--config", join(node.dir, "containerd.toml")],
  });
  const socket = containerdSocket(node);
  await waitFor(
    `containerd of ${node.name}`,
    30_000,
    async () => (await tryCommand("ctr", ["-a", socket, "version"])).code === 0,
    watching([holder, containerd]),
  );
  return { holder, containerd };
}

/** Starts a node's kubelet and kube-proxy. */
export async function startAgents(
  node: NodePlan,
  holder: Daemon,
  context: { binaries: Binaries; controlPlane: ControlPlane; started: Started },
): Promise<Daemon[]> {
  const files = nodeFiles(node);
  const { controlPlane } = context;
  const serving = await controlPlane.authority.issue({
    commonName: `system:node:${node.name}`,
    organizations: ["system:nodes"],
    dnsNames: [node.name],
    addresses: [node.address],
  });
  const kubeletConfig = join(node.dir, "kubelet.yaml");
  const proxyConfig = join(node.dir, "kube-proxy.yaml");
  await Promise.all([
    writeFile(files.authority, controlPlane.authority.certificate),
    writeFile(files.certificate, serving.certificate),
    writeFile(files.key, serving.key, { mode: 0o600 }),
    writeFile(kubeletConfig, renderKubelet(node, files)),
    writeFile(proxyConfig, renderProxy(node, files)),
    controlPlane.writeKubeconfig(files.kubeletKubeconfig, `system:node:${node.name}`, [
      "system:nodes",
    ]),
    controlPlane.writeKubeconfig(files.proxyKubeconfig, "system:kube-proxy", []),
  ]);
  const kubelet = await startIn(node, holder, context.started, {
    name: "kubelet",
    command: context.binaries.kubelet,
    args: kubeletFlags(node, files, kubeletConfig),
  });
  const proxy = await startIn(node, holder, context.started, {
    name: "kube-proxy",
    command: context.binaries["kube-proxy"],
    args: [`--config=${proxyConfig}`],
  });
  return [kubelet, proxy];
}

/** Unpacks an OCI archive into a node's containerd, under the names that the archive carries. */
export async function importImage(node: NodePlan, archive: string): Promise<void> {
  const args = ["-a", containerdSocket(node), "-n", "k8s.io", "images", "import", archive];
  await runCommand("ctr", args, { timeoutMs: 180_000 });
}

function nodeFiles(node: NodePlan): NodeFiles {
  return {
    authority: join(node.dir, "ca.crt"),
    certificate: join(node.dir, "kubelet.crt"),
    key: join(node.dir, "kubelet.key"),
    kubeletKubeconfig: join(node.dir, "kubelet.kubeconfig"),
    proxyKubeconfig: join(node.dir, "kube-proxy.kubeconfig"),
    cniDir: join(node.dir, "cni"),
  };
}

async function makeDirs(node: NodePlan): Promise<void> {
  const volumes = Array.from({ length: volumesPerNode }, (_, index) =>
    join(node.dir, "lib", volumePath(index).slice("/var/lib/".length)),
  );
  const dirs = ["run", "lib", "log", "cni"].map((name) => join(node.dir, name));
  for (const dir of [...dirs, ...volumes]) await mkdir(dir, { recursive: true });
}

async function startHolder(node: NodePlan, started: Started): Promise<Daemon> {
  const own = [
    ["run", "/run"],
    ["lib", "/var/lib"],
    ["log", "/var/log"],
  ].map(([name = "", target = ""]) => `mount --bind ${join(node.dir, name)} ${target}`);
  const ready = join(node.dir, "holder.ready");
  const script = [...own, `touch ${ready}`, "exec sleep infinity"].join(" && ");
  const holder = await startDaemon({
    name: `holder of ${node.name}`,
    command: "nsenter",
    // Not `ip netns exec`: that mounts a new /sys, in which the cgroups are missing.
    args: [
      `--net=/run/netns/${node.netns}`,
      ...["unshare", "--mount", "--propagation", "private"],
      ...["sh", "-c", script],
    ],
    logFile: join(node.dir, "log", "holder.log"),
  });
  started(holder);
  await waitFor(
    `the mounts of ${node.name}`,
    10_000,
    async () => (await tryCommand("test", ["-e", ready])).code === 0,
    { ...watching([holder]), intervalMs: 20 },
  );
  return holder;
}

async function startIn(
  node: NodePlan,
  holder: Daemon,
  started: Started,
  program: { name: string; command: string; args: readonly string[] },
): Promise<Daemon> {
  const daemon = await startDaemon({
    name: `${program.name} of ${node.name}`,
    command: "nsenter",
    args: [`--target=${holder.pid}`, "--net", "--mount", program.command, ...program.args],
    logFile: join(node.dir, "log", `${program.name}.log`),
  });
  started(daemon);
  return daemon;
}
