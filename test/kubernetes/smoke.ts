// Brings the three-node cluster up, has it do what the project needs of it, and takes it down
// again.
// Run it as: npm run cluster:smoke
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { findRemains, isClean } from "./cleanup.ts";
import type { Cluster } from "./cluster.ts";
import { startCluster } from "./cluster.ts";
import { buildImage, ensureBaseImage } from "./images.ts";
import type { Kubectl } from "./kubectl.ts";
import { setNodeLink } from "./nodes/network.ts";
import { nodePlans } from "./nodes/topology.ts";
import { waitFor } from "./process/wait.ts";
import { smokeDockerfile, smokeObjects, smokeProgram } from "./smoke-workload.ts";

const image = "docker.io/tigerchat/smoke:dev";
const replicas = 3;
const readyTimeoutMs = 90_000;

const started = performance.now();
const report = (line: string): void => {
  console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${line}`);
};

async function main(): Promise<void> {
  const archive = await buildSmokeImage();
  report("image built");
  const cluster = await startCluster(report);
  report("cluster up");
  try {
    await cluster.importImages([archive]);
    report("image on all nodes");
    await exercise(cluster);
  } finally {
    await cluster.stop();
  }
  const remains = await findRemains();
  if (!isClean(remains)) throw new Error(`Left behind: ${JSON.stringify(remains)}`);
  report("cluster down, nothing left");
}

async function buildSmokeImage(): Promise<{ name: string; file: string }> {
  const context = await mkdtemp(join(tmpdir(), "tigerchat-smoke-"));
  try {
    const dockerfile = join(context, "Dockerfile");
    await writeFile(join(context, "smoke.mjs"), smokeProgram);
    await writeFile(dockerfile, smokeDockerfile);
    const buildArguments = { BASE_IMAGE: await ensureBaseImage(report) };
    return await buildImage(
      { name: image, dockerfile, contextDir: context, buildArguments },
      report,
    );
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

async function exercise(cluster: Cluster): Promise<void> {
  const { kubectl } = cluster;
  const manifests = smokeObjects(image, replicas).map((object) => stringify(object));
  await kubectl.apply(manifests.join("---\n"));
  await waitReady(kubectl);
  report("three pods Ready");
  await checkSpread(kubectl);
  await checkPaths(kubectl);
  report("pod, ClusterIP, NodePort, DNS, exec, logs answer");
  await checkRestart(kubectl);
  report("a deleted pod came back with its data");
  await checkEviction(kubectl);
  report("second eviction answered 429, first pod came back");
  await checkCut(kubectl);
  report("a node was cut off and joined again");
}

async function waitReady(kubectl: Kubectl): Promise<void> {
  // A pod that is being deleted still counts in the StatefulSet's own status.
  const path =
    "jsonpath={range .items[*]}{.metadata.deletionTimestamp}" +
    '{.status.conditions[?(@.type=="Ready")].status}{" "}{end}';
  const wanted = Array.from({ length: replicas }, () => "True").join(" ");
  await waitFor(`${replicas} ready pods`, readyTimeoutMs, async () => {
    const states = await kubectl.run("get", "pods", "-l", "app=smoke", "-o", path);
    if (states.trim() === wanted) return true;
    throw new Error(await kubectl.run("get", "pods", "-o", "wide"));
  });
}

async function checkSpread(kubectl: Kubectl): Promise<void> {
  const path = "jsonpath={.items[*].spec.nodeName}";
  const nodes = (await kubectl.run("get", "pods", "-l", "app=smoke", "-o", path)).split(" ").sort();
  expect("one pod per node", nodes.join(), nodePlans.map((node) => node.name).join());
}

async function checkPaths(kubectl: Kubectl): Promise<void> {
  const podIp = await kubectl.run("get", "pod", "smoke-0", "-o", "jsonpath={.status.podIP}");
  expect("pod by address", await fetchText(`http://${podIp}:8080/name`), "smoke-0");
  const clusterIp = await kubectl.run("get", "svc", "smoke", "-o", "jsonpath={.spec.clusterIP}");
  expect(
    "ClusterIP from the host",
    (await fetchText(`http://${clusterIp}/name`)).slice(0, 6),
    "smoke-",
  );
  for (const node of nodePlans) {
    const answer = await fetchText(`http://${node.address}:30080/name`);
    expect(`NodePort of ${node.name}`, answer.slice(0, 6), "smoke-");
  }
  // From inside, by name: a headless name of one pod, then the service.
  const peer = encodeURIComponent("http://smoke-1.smoke-peers.default.svc.cluster.local:8080/name");
  expect("pod by name", await fetchText(`http://${podIp}:8080/fetch?url=${peer}`), "smoke-1");
  const service = encodeURIComponent("http://smoke/name");
  const viaService = await fetchText(`http://${podIp}:8080/fetch?url=${service}`);
  expect("service by name", viaService.slice(0, 6), "smoke-");
  const user = ["exec", "smoke-2", "--", "/usr/local/bin/node", "-p", "process.getuid()"];
  expect("exec", (await kubectl.run(...user)).trim(), "65532");
  expect("logs", (await kubectl.run("logs", "smoke-1")).includes("listening"), true);
}

async function checkRestart(kubectl: Kubectl): Promise<void> {
  const script = "require('fs').readFileSync('/data/boots','utf8')";
  const boots = (): Promise<string> =>
    kubectl.run("exec", "smoke-0", "--", "/usr/local/bin/node", "-p", script);
  const before = (await boots()).trim().length;
  await kubectl.run("delete", "pod", "smoke-0", "--wait=true");
  await waitReady(kubectl);
  expect("boots on the same volume", (await boots()).trim().length, before + 1);
}

async function checkEviction(kubectl: Kubectl): Promise<void> {
  expect("first eviction", await kubectl.evict("smoke-1"), "evicted");
  expect("second eviction", await kubectl.evict("smoke-2"), "refused");
  await waitReady(kubectl);
  await waitFor("the eviction to be allowed again", readyTimeoutMs, async () => {
    return (await kubectl.evict("smoke-2")) === "evicted";
  });
  await waitReady(kubectl);
}

async function checkCut(kubectl: Kubectl): Promise<void> {
  const [node] = nodePlans;
  if (node === undefined) return;
  const field = `--field-selector=spec.nodeName=${node.name}`;
  const path = "jsonpath={.items[0].status.podIP}";
  const podIp = await kubectl.run("get", "pods", "-l", "app=smoke", field, "-o", path);
  await setNodeLink(node, "down");
  const cut = fetch(`http://${podIp}:8080/name`, { signal: AbortSignal.timeout(1_500) });
  expect(
    "answers from a node that is cut off",
    (await Promise.allSettled([cut]))[0].status,
    "rejected",
  );
  await setNodeLink(node, "up");
  await fetchText(`http://${podIp}:8080/name`);
}

async function fetchText(url: string): Promise<string> {
  return waitFor(`an answer of ${url}`, 15_000, async () => {
    const answer = await fetch(url, { signal: AbortSignal.timeout(3_000) });
    if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
    return answer.text();
  });
}

function expect<T>(what: string, seen: T, wanted: T): void {
  if (seen !== wanted) throw new Error(`${what}: saw ${String(seen)}, wanted ${String(wanted)}`);
}

await main();
