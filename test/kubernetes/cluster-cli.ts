// npm run cluster -- up | down | status: a three-node Kubernetes with TigerChat on it, for a
// person.
import { dirname } from "node:path";
import { binaryPaths } from "./build/binaries.ts";
import { findRemains, isClean, removeCluster } from "./cleanup.ts";
import type { Cluster } from "./cluster.ts";
import { startCluster } from "./cluster.ts";
import type { ClusterRecord } from "./cluster-record.ts";
import { clusterState, readClusterRecord } from "./cluster-record.ts";
import type { ImageArchive } from "./images.ts";
import { buildTigerchatImages, installTigerchat } from "./install-tigerchat.ts";
import { tryCommand } from "./process/command.ts";

const usage = `Usage: npm run cluster -- COMMAND
  up         starts three nodes, installs the chart, applies the example RoomShard
  up --bare  starts three nodes only
  status     says what runs
  down       ends it and leaves nothing`;

const started = performance.now();

function report(line: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${seconds.padStart(6)} s  ${line}`);
}

async function up(bare: boolean): Promise<number> {
  const record = await readClusterRecord();
  if (record !== undefined && clusterState(record) === "kept") {
    console.log("A cluster is up already.");
    printHowTo(record.kubeconfigFile);
    return 0;
  }
  const images = bare ? undefined : buildTigerchatImages(report);
  // Said when it is waited for: the nodes come first.
  images?.catch(() => undefined);
  const cluster = await startInterruptibly();
  report("Three nodes are Ready.");
  const failure = images === undefined ? undefined : await install(cluster, images);
  cluster.keep();
  printHowTo(cluster.kubeconfigFile);
  if (failure === undefined) return 0;
  console.error(`The nodes are up, but TigerChat is not installed. ${failure}`);
  return 1;
}

async function startInterruptibly(): Promise<Cluster> {
  const interrupt = (): void => {
    console.error("Interrupted: removing the cluster ...");
    removeCluster().then(
      () => process.exit(130),
      () => process.exit(1),
    );
  };
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  const cluster = await startCluster(report);
  process.off("SIGINT", interrupt);
  process.off("SIGTERM", interrupt);
  return cluster;
}

async function install(
  cluster: Cluster,
  images: Promise<readonly ImageArchive[]>,
): Promise<string | undefined> {
  try {
    await installTigerchat(cluster, images, report);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

async function down(): Promise<number> {
  const record = await readClusterRecord();
  if (record !== undefined && clusterState(record) === "in_use") {
    console.error(
      `A test run uses the cluster (process ${record.owner?.pid}); it removes it itself.`,
    );
    return 1;
  }
  if (isClean(await findRemains())) {
    console.log("No cluster is up.");
    return 0;
  }
  await removeCluster();
  report("Removed: no process, namespace, link, mount, cgroup or file is left.");
  return 0;
}

async function status(): Promise<number> {
  const record = await readClusterRecord();
  const state = clusterState(record);
  if (record === undefined || state === "none") console.log("No cluster is up.");
  else if (state === "abandoned") console.log("A cluster was left behind; `down` removes it.");
  else await printCluster(record);
  return 0;
}

async function printCluster(record: ClusterRecord): Promise<void> {
  const queries = [
    ["get", "nodes", "-o", "wide"],
    ["get", "pods", "-A", "-o", "wide"],
    ["get", "roomshards", "-A"],
  ];
  for (const query of queries) {
    const args = ["--kubeconfig", record.kubeconfigFile, "--request-timeout=5s", ...query];
    const answer = await tryCommand(binaryPaths().kubectl, args);
    if (answer.code === 0) console.log(answer.stdout);
  }
  printHowTo(record.kubeconfigFile);
}

function printHowTo(kubeconfigFile: string): void {
  const { kubectl, helm } = binaryPaths();
  console.log(`export KUBECONFIG=${kubeconfigFile}`);
  console.log(`export PATH=${dirname(kubectl)}:${dirname(helm)}:$PATH`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function main(args: readonly string[]): Promise<number> {
  const [command, option] = args;
  if (command === "up" && (option === undefined || option === "--bare")) {
    return up(option === "--bare");
  }
  if (command === "down") return down();
  if (command === "status") return status();
  console.error(usage);
  return 2;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
