import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { bundle, bundlePage } from "#deploy/images/bundle.ts";
import type { Report } from "./build/binaries.ts";
import { ensureDebianPackages } from "./build/debian-packages.ts";
import type { Cluster } from "./cluster.ts";
import type { ImageArchive } from "./images.ts";
import { buildImage, ensureBaseImage } from "./images.ts";
import { repositoryDir } from "./paths.ts";
import { runCommand } from "./process/command.ts";
import { waitFor } from "./process/wait.ts";

/** Our processes, each with a Dockerfile of its name in deploy/images. */
const processNames = ["replica", "operator", "edge"] as const;

/** Name of the Helm release, and the namespace it goes to. */
export const release = { name: "tigerchat", namespace: "tigerchat" } as const;

const edgeLabel = "app.kubernetes.io/name=tigerchat-edge";
const installTimeout = "120s";
const servingTimeoutMs = 120_000;

/**
 * Puts our images onto the nodes, installs the chart and applies the example RoomShard; returns
 * when one can chat.
 */
export async function installTigerchat(
  cluster: Cluster,
  images: Promise<readonly ImageArchive[]>,
  report: Report,
): Promise<void> {
  await cluster.importImages(await images);
  report("Images are on all nodes.");
  await helmInstall(cluster);
  report("Chart installed.");
  await applyExample(cluster);
  await waitForShards(cluster);
  report("The example RoomShard is Ready.");
  await waitForEdges(cluster);
  report("The edges reach its primary.");
}

/**
 * Bundles our processes and builds their images from the Dockerfiles that ship. Needs no cluster:
 * started before one, it is done when that is up.
 */
export async function buildTigerchatImages(report: Report): Promise<ImageArchive[]> {
  await ensureDebianPackages(report);
  const base = await ensureBaseImage(report);
  const archives: ImageArchive[] = [];
  await bundlePage();
  for (const name of processNames) {
    await bundle(name);
    const spec = {
      name: `docker.io/tigerchat/${name}:dev`,
      dockerfile: join(repositoryDir, "deploy", "images", `${name}.Dockerfile`),
      contextDir: repositoryDir,
      buildArguments: { BASE_IMAGE: base },
    };
    archives.push(await buildImage(spec, report));
  }
  return archives;
}

/**
 * Installs the chart, or upgrades it, with images taken from the nodes and more values; returns
 * when its pods are Ready. `program`: the helm to use, for one of another major.
 */
export async function helmInstall(
  cluster: Cluster,
  more: readonly string[] = [],
  program = cluster.binaries.helm,
): Promise<void> {
  const chart = join(repositoryDir, "charts", "tigerchat");
  const all = ["image.tag=dev", "image.pullPolicy=Never", ...more];
  const values = all.flatMap((value) => ["--set", value]);
  const wait = ["--wait", "--timeout", installTimeout];
  const place = ["--create-namespace", ...values, ...wait];
  try {
    await runHelm(cluster, program, ["upgrade", "--install", release.name, chart, ...place]);
  } catch (error) {
    throw new Error(`${messageOf(error)}\n${await describePods(cluster)}`);
  }
}

/** Runs helm in the release's namespace; its files lie, and go, with the cluster. */
export function helm(cluster: Cluster, ...args: readonly string[]): Promise<string> {
  return runHelm(cluster, cluster.binaries.helm, args);
}

async function runHelm(
  cluster: Cluster,
  program: string,
  args: readonly string[],
): Promise<string> {
  const dir = join(dirname(cluster.kubeconfigFile), "helm");
  const homes = ["CACHE", "CONFIG", "DATA"].map((each) => [`HELM_${each}_HOME`, dir]);
  const options = { timeoutMs: 150_000, env: Object.fromEntries(homes) };
  const base = ["--kubeconfig", cluster.kubeconfigFile, "--namespace", release.namespace];
  return runCommand(program, [...base, ...args], options);
}

/** Applies deploy/examples/roomshard.yaml, the manifest that `npm start` reads too. */
export async function applyExample(cluster: Cluster): Promise<void> {
  const manifest = join(repositoryDir, "deploy", "examples", "roomshard.yaml");
  await cluster.kubectl.apply(await readFile(manifest, "utf8"), release.namespace);
}

/** Waits until every RoomShard of the release's namespace is Ready. */
export async function waitForShards(cluster: Cluster): Promise<void> {
  const path = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}';
  await waitFor(
    "the RoomShard to be Ready",
    servingTimeoutMs,
    async () => {
      const said = await cluster.kubectl.run("get", "rsh", "-n", release.namespace, "-o", path);
      const states = said.split(" ").filter((state) => state !== "");
      if (states.length > 0 && states.every((state) => state === "True")) return true;
      throw new Error(await describePods(cluster));
    },
    { intervalMs: 1_000 },
  );
}

/** Waits until every edge reaches the primary of the example's shard. */
export async function waitForEdges(cluster: Cluster): Promise<void> {
  const path = "jsonpath={range .items[*]}{.status.podIP} {end}";
  const query = ["get", "pods", "-n", release.namespace, "-l", edgeLabel, "-o", path];
  await waitFor(
    "the edges to reach the shard",
    servingTimeoutMs,
    async () => {
      const found = (await cluster.kubectl.run(...query)).trim();
      const edges = found === "" ? [] : found.split(" ");
      const texts = await Promise.all(edges.map((ip) => metricsOf(ip)));
      const reaching = /^tigerchat_edge_shard_has_primary\{[^}]*\} 1$/m;
      return texts.length > 0 && texts.every((text) => reaching.test(text));
    },
    { intervalMs: 500 },
  );
}

async function metricsOf(ip: string): Promise<string> {
  const answer = await fetch(`http://${ip}:8082/metrics`, { signal: AbortSignal.timeout(3_000) });
  return answer.text();
}

async function describePods(cluster: Cluster): Promise<string> {
  const pods = await cluster.kubectl.run("get", "pods,rsh", "-n", release.namespace, "-o", "wide");
  const events = await cluster.kubectl.run("get", "events", "-n", release.namespace);
  return `${pods}\n${events.split("\n").slice(-12).join("\n")}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
