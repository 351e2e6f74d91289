// Goal: what the chart promises on a real three-node cluster, end to end: install, apply, chat,
// lose the primary, evict, delete, install again. Method: the images and manifests that ship;
// kubectl, helm and a WebSocket client; scenarios in order on one cluster.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { ensureBinaries } from "../build/binaries.ts";
import { chartPrograms } from "../build/versions.ts";
import {
  applyExample,
  helm,
  helmInstall,
  release,
  waitForEdges,
  waitForShards,
} from "../install-tigerchat.ts";
import { waitFor } from "../process/wait.ts";
import { EdgeApi } from "./edge-api.ts";
import { chartCases, renderText } from "./render-chart.ts";
import type { Acknowledged, RoomClient } from "./room-client.ts";
import { report, Stage } from "./stage.ts";

const room = "lobby";
const goneTimeoutMs = 90_000;
/** Writing stands still for about a second when a primary goes; what a busy test machine adds. */
const pauseLimitMs = 10_000;

let opened: Stage | undefined;
let ownObjects: readonly string[] = [];
const acknowledged: Acknowledged[] = [];

function stageOf(): Stage {
  assert.ok(opened !== undefined, "the cluster did not start");
  return opened;
}

before(async () => {
  await ensureBinaries(chartPrograms, report);
  opened = await Stage.open();
  ownObjects = await opened.clusterObjects();
});

afterEach(async (context) => {
  if ("passed" in context && !context.passed) console.error(await opened?.describe());
});

after(async () => {
  await opened?.close();
});

test("cluster: helm install --wait is Ready without any RoomShard, pods restricted", async () => {
  const stage = stageOf();
  await helmInstall(stage.cluster);
  report("Chart installed.");
  const ready = await stage.kubectl(
    "get",
    "deploy",
    "-o",
    "jsonpath={.items[*].status.readyReplicas}",
  );
  assert.equal(ready, "2 2");
});

test("cluster: the API server accepts everything that the chart can render", async () => {
  const { cluster } = stageOf();
  const file = join(dirname(cluster.kubeconfigFile), "rendered.yaml");
  for (const one of chartCases.filter(({ monitoring }) => monitoring !== true)) {
    await writeFile(file, await renderText(cluster.binaries.helm, one));
    const dry = ["apply", "--dry-run=server", "--validate=strict", "-f", file];
    const answer = await cluster.kubectl.attempt(...dry, "--namespace", release.namespace);
    assert.equal(answer.code, 0, `${one.what}: ${answer.stderr}`);
    assert.doesNotMatch(answer.stderr, /would violate PodSecurity/, one.what);
  }
  report("Every rendering is accepted.");
});

test("cluster: kubectl apply of the example makes three replicas on three nodes", async () => {
  const stage = stageOf();
  await applyExample(stage.cluster);
  await waitForShards(stage.cluster);
  await stage.settled();
  const label = "app.kubernetes.io/name=tigerchat-replica";
  const path = "jsonpath={range .items[*]}{.spec.nodeName}{'\\n'}{end}";
  const nodes = (await stage.kubectl("get", "pods", "-l", label, "-o", path)).trim().split("\n");
  assert.deepEqual(nodes.sort(), ["node1", "node2", "node3"]);
  report("The example RoomShard is Ready.");
});

test("cluster: get, describe and explain tell a person what is going on", async () => {
  const stage = stageOf();
  const table = (await stage.kubectl("get", "roomshards")).trim().split("\n");
  assert.match(table[0] ?? "", /^NAME +READY +PHASE +PRIMARY +VIEW +VOTING +SLOTS +VERSION +AGE$/);
  assert.match(table[1] ?? "", /^lobby +True +Serving +[0-2] +\d+ +3\/3 +4096 +\S+ +\S+$/);
  const described = await stage.kubectl("describe", "roomshard", "lobby");
  assert.match(described, /ReplicasIdentified/, "events stand beside the shard");
  assert.match(described, /QuorumServing/);
  const explained = await stage.kubectl("explain", "roomshard.spec.storage.walSize");
  assert.match(explained, /write-ahead log/);
});

test("cluster: two people chat through the edge's Service", async () => {
  const stage = stageOf();
  await waitForEdges(stage.cluster);
  const api = await EdgeApi.find(stage.cluster);
  await api.createRoom(room);
  const [ann, ben] = [await api.connect(room, "ann"), await api.connect(room, "ben")];
  acknowledged.push(await ann.post("hello ben"), await ben.post("hello ann"));
  for (const person of [ann, ben]) {
    await person.until(2);
    assert.deepEqual(
      person.seen.map(({ body }) => body),
      ["hello ben", "hello ann"],
    );
    person.close();
  }
});

test("cluster: helm test chats too; upgrading the operator restarts no replica", async () => {
  const stage = stageOf();
  const label = "app.kubernetes.io/name=tigerchat-replica";
  const lives = ["get", "pods", "-l", label, "-o", "jsonpath={.items[*].metadata.uid}"];
  const before = await stage.kubectl(...lives);
  await helmInstall(stage.cluster, ["operator.logLevel=debug"]);
  await helm(stage.cluster, "test", release.name, "--timeout", "90s");
  await applyExample(stage.cluster);
  assert.equal(await stage.kubectl(...lives), before);
  const restarts = "jsonpath={.items[*].status.containerStatuses[0].restartCount}";
  assert.equal(await stage.kubectl("get", "pods", "-l", label, "-o", restarts), "0 0 0");
  report("Upgraded.");
});

test("cluster: the primary's pod is deleted; chat goes on, nothing lost or doubled", async () => {
  const stage = stageOf();
  const api = await EdgeApi.find(stage.cluster);
  const writers = [await api.connect(room, "ann"), await api.connect(room, "ben")];
  let stopped = false;
  const writing = writers.map((writer, index) => writeUntil(writer, `w${index}`, () => stopped));
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const before = await stage.primary();
  await stage.kubectl("delete", "pod", `lobby-${before}`, "--wait=true");
  const changed = await stage.primary();
  report(`Replica ${before} led, now ${changed} does.`);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  stopped = true;
  for (const posted of await Promise.all(writing)) acknowledged.push(...posted);
  const slowestMs = Math.max(...writers.map((writer) => writer.slowestMs));
  report(`${acknowledged.length} messages; the slowest took ${Math.round(slowestMs)} ms.`);
  assert.notEqual(changed, before);
  assert.ok(slowestMs < pauseLimitMs, `a post took ${slowestMs} ms`);
  await assertHistory(api);
  const last = Math.max(...acknowledged.map(({ seq }) => seq));
  for (const writer of writers) {
    await writer.until(last);
    const seqs = writer.seen.map(({ seq }) => seq);
    assert.deepEqual(
      seqs,
      Array.from({ length: last }, (_, index) => index + 1),
    );
    writer.close();
  }
});

async function writeUntil(
  writer: RoomClient,
  name: string,
  stopped: () => boolean,
): Promise<readonly Acknowledged[]> {
  const posted: Acknowledged[] = [];
  for (let number = 1; !stopped() && number < 10_000; number += 1) {
    posted.push(await writer.post(`${name} message ${number}`));
    // Under the edge's five a second for one connection.
    await new Promise((resolve) => setTimeout(resolve, 210));
  }
  return posted;
}

/** The room holds exactly what was acknowledged, at the acknowledged places, each once. */
async function assertHistory(api: EdgeApi): Promise<void> {
  const history = await api.history(room);
  const expected = [...acknowledged].sort((a, b) => a.seq - b.seq);
  assert.deepEqual(
    history.map(({ seq, key, body }) => ({ key, body, seq })),
    expected,
  );
}

test("cluster: until an evicted replica is caught up, evicting another answers 429", async () => {
  const stage = stageOf();
  await stage.settled();
  const { kubectl } = stage.cluster;
  const evict = (pod: string) => kubectl.evict(pod, release.namespace);
  const uid = ["get", "pod", "lobby-1", "-o", "jsonpath={.metadata.uid}"];
  const before = await stage.kubectl(...uid);
  assert.equal(await evict("lobby-1"), "evicted");
  assert.equal(await evict("lobby-2"), "refused");
  let refusals = 1;
  await waitFor(
    "the second eviction to be allowed",
    120_000,
    async () => {
      if ((await evict("lobby-2")) === "evicted") return true;
      refusals += 1;
      return undefined;
    },
    { intervalMs: 200 },
  );
  assert.notEqual(await stage.kubectl(...uid), before, "lobby-1 was made anew");
  const path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';
  assert.equal(await stage.kubectl("get", "pod", "lobby-1", "-o", path), "True");
  report(`${refusals} evictions were refused before lobby-1 was caught up.`);
  await stage.settled();
  await assertHistory(await EdgeApi.find(stage.cluster));
});

test("cluster: the operator was refused nothing: its permissions are what it needs", async () => {
  const stage = stageOf();
  const path = "jsonpath={.items[*].status.podIP}";
  const label = "app.kubernetes.io/name=tigerchat-operator";
  const ips = (await stage.kubectl("get", "pods", "-l", label, "-o", path)).split(" ");
  let requests = 0;
  for (const ip of ips) {
    const metrics = await fetch(`http://${ip}:8081/metrics`).then((answer) => answer.text());
    const counted = metrics.split("\n").filter((line) => line.startsWith("rest_client_requests_"));
    requests += counted.length;
    assert.deepEqual(
      counted.filter((line) => line.includes('code="403"')),
      [],
    );
  }
  assert.ok(requests > 0);
});

test("cluster: neither shard nor definition can be deleted without the annotation", async () => {
  const { kubectl } = stageOf().cluster;
  const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const shards = `/apis/tigerchat.dev/v1alpha1/namespaces/${release.namespace}/roomshards`;
  const attempts = [
    ["delete", "roomshard", "--all", "--namespace", release.namespace],
    ["delete", "crd", "roomshards.tigerchat.dev"],
    ["delete", "--raw", shards],
    ["delete", "--raw", definitions],
  ];
  for (const attempt of attempts) {
    const answer = await kubectl.attempt(...attempt);
    assert.notEqual(answer.code, 0, attempt.join(" "));
    assert.match(answer.stderr, /tigerchat\.dev\/allow-delete/);
  }
});

test("cluster: after delete and uninstall only CRD, claims and their keys remain", async () => {
  const stage = stageOf();
  await stage.kubectl("annotate", "roomshard", "--all", "tigerchat.dev/allow-delete=true");
  await stage.kubectl("delete", "roomshard", "--all");
  await helm(stage.cluster, "uninstall", release.name, "--wait", "--timeout", "90s");
  const kept = [0, 1, 2].map((replica) => `persistentvolumeclaim/data-lobby-${replica}`);
  const wanted = [...kept, "secret/lobby-keys"];
  let found: readonly string[] = [];
  await waitFor(
    "everything else to go",
    goneTimeoutMs,
    async () => {
      found = await stage.objects();
      return found.length <= wanted.length;
    },
    { intervalMs: 1_000, explain: () => found.join("\n") },
  );
  assert.deepEqual(found, wanted);
  const crd = "customresourcedefinition.apiextensions.k8s.io/roomshards.tigerchat.dev";
  const others = (await stage.clusterObjects()).filter((name) => !ownObjects.includes(name));
  assert.deepEqual(others, [crd]);
  report("Uninstalled.");
});

test("cluster: installed by Helm 4 and applied again, the same rooms are back", async () => {
  const stage = stageOf();
  await helmInstall(stage.cluster, [], stage.cluster.binaries.helm4);
  await applyExample(stage.cluster);
  await waitForShards(stage.cluster);
  await waitForEdges(stage.cluster);
  report("Installed and applied again.");
  const api = await EdgeApi.find(stage.cluster);
  await assertHistory(api);
  const ann = await api.connect(room, "ann");
  const [first] = acknowledged;
  assert.ok(first !== undefined);
  const again = await ann.post(first.body, first.key);
  assert.equal(again.seq, first.seq, "a key is remembered across the reinstallation");
  acknowledged.push(await ann.post("still here"));
  await assertHistory(api);
  ann.close();
});
