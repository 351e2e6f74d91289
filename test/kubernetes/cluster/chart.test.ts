// Goal: what the chart makes is right before any cluster sees it. Method: the real helm renders a
// matrix of values; the objects are judged as data, flags and files by the code that reads them.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { parse } from "yaml";
import { configFrom } from "#edge/server/config.ts";
import { validateRoomShard } from "#operator/api/validate.ts";
import { operatorApp, shardLabels } from "#operator/desired/labels.ts";
import { networkPolicyOf } from "#operator/desired/network-policy.ts";
import { flagsFrom } from "#operator/server/flags.ts";
import { ensureBinaries } from "../build/binaries.ts";
import { chartPrograms } from "../build/versions.ts";
import { runCommand } from "../process/command.ts";
import type { Flow, FlowPod, FlowPolicy } from "./allowed-flow.ts";
import { allowedFlow } from "./allowed-flow.ts";
import type { ChartCase, ChartObject } from "./render-chart.ts";
import { chartCases, chartDir, rendered, renderChart, tryValue } from "./render-chart.ts";
import { report } from "./stage.ts";

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly resources: {
    readonly requests?: object;
    readonly limits?: { readonly memory?: string };
  };
  readonly livenessProbe?: object;
  readonly readinessProbe?: object;
  readonly securityContext: Record<string, unknown>;
}

interface Workload {
  readonly replicas?: number;
  readonly selector: { readonly matchLabels: Record<string, string> };
  readonly template: {
    readonly metadata: { readonly labels: Record<string, string> };
    readonly spec: {
      readonly automountServiceAccountToken?: boolean;
      readonly securityContext: Record<string, unknown>;
      readonly containers: readonly Container[];
      readonly volumes?: readonly object[];
    };
  };
}

let helm = "";
const objectsOf = new Map<ChartCase, readonly ChartObject[]>();

let helm4 = "";

before(async () => {
  ({ helm, helm4 } = await ensureBinaries(chartPrograms, report));
  for (const one of chartCases) objectsOf.set(one, await renderChart(helm, one));
});

function caseNamed(what: string): readonly ChartObject[] {
  const found = [...objectsOf].find(([one]) => one.what === what);
  assert.ok(found !== undefined, what);
  return found[1];
}

function workloads(objects: readonly ChartObject[]): readonly Workload[] {
  return objects.filter(({ kind }) => kind === "Deployment").map(({ spec }) => spec as Workload);
}

function containersOf(objects: readonly ChartObject[]): readonly Container[] {
  return workloads(objects).flatMap(({ template }) => template.spec.containers);
}

function named(objects: readonly ChartObject[], kind: string, name: string): ChartObject {
  const found = objects.find((one) => one.kind === kind && one.metadata.name === name);
  assert.ok(found !== undefined, `${kind} ${name}`);
  return found;
}

test("chart: helm lint --strict finds nothing in any case", async () => {
  for (const { values } of chartCases) {
    const sets = values.flatMap((value) => ["--set", value]);
    await runCommand(helm, ["lint", "--strict", chartDir, ...sets]);
    await runCommand(helm4, ["lint", "--strict", chartDir, ...sets]);
  }
});

test("chart: Helm 4 renders what Helm 3 does", async () => {
  const byName = (objects: readonly ChartObject[]) =>
    [...objects].sort((a, b) => nameOf(a).localeCompare(nameOf(b)));
  for (const [one, objects] of objectsOf) {
    assert.deepEqual(byName(await renderChart(helm4, one)), byName(objects), one.what);
  }
});

function nameOf({ kind, metadata }: ChartObject): string {
  return `${kind}/${metadata.name}`;
}

test("chart: an unknown or wrong value is refused with its name", async () => {
  const wrong = [
    "edge.replica=3",
    "operator.scope=Galaxy",
    "image.pullPolicy=Sometimes",
    "edge.image.digest=latest",
    "edge.publicUrl=chat.example",
    "edge.autoscaling.cpuPercent=0",
  ];
  for (const value of wrong) {
    const answer = await tryValue(helm, value);
    assert.notEqual(answer.code, 0, value);
    assert.match(answer.stderr, new RegExp(/\.?(\w+)=/.exec(value)?.[1] ?? "?"), value);
  }
});

test("chart: no template makes a Secret, and every object is labelled as ours", () => {
  for (const [{ what }, objects] of objectsOf) {
    for (const { kind, metadata } of objects) {
      assert.notEqual(kind, "Secret", what);
      if (/CustomResource|Admission/.test(kind)) continue;
      assert.equal(metadata.labels?.["app.kubernetes.io/part-of"], "tigerchat", metadata.name);
      assert.equal(metadata.labels?.["app.kubernetes.io/managed-by"], "Helm", metadata.name);
    }
  }
});

test("chart: every pod satisfies Pod Security restricted, with a read-only root", () => {
  for (const [{ what }, objects] of objectsOf) {
    for (const { template } of workloads(objects)) {
      const { securityContext, containers, volumes = [] } = template.spec;
      assert.deepEqual(securityContext["seccompProfile"], { type: "RuntimeDefault" }, what);
      assert.equal(securityContext["runAsNonRoot"], true);
      for (const container of containers) {
        assert.equal(container.securityContext["allowPrivilegeEscalation"], false);
        assert.equal(container.securityContext["readOnlyRootFilesystem"], true);
        assert.deepEqual(container.securityContext["capabilities"], { drop: ["ALL"] });
      }
      for (const volume of volumes) {
        const kinds = Object.keys(volume).filter((key) => key !== "name");
        assert.ok(kinds.every((kind) => ["configMap", "secret", "projected"].includes(kind)));
      }
    }
  }
});

test("chart: probes, memory limit = request, no CPU limit, no version in selectors", () => {
  for (const objects of objectsOf.values()) {
    for (const { selector, template } of workloads(objects)) {
      assert.ok(!Object.keys(selector.matchLabels).some((name) => name.includes("version")));
      for (const [name, value] of Object.entries(selector.matchLabels)) {
        assert.equal(template.metadata.labels[name], value);
      }
    }
    for (const { livenessProbe, readinessProbe, resources } of containersOf(objects)) {
      assert.ok(livenessProbe !== undefined && readinessProbe !== undefined);
      const requests = resources.requests as { readonly memory?: string };
      assert.equal(resources.limits?.memory, requests.memory);
      assert.ok(!("cpu" in (resources.limits ?? {})));
    }
  }
});

test("chart: the operator's own parser accepts the flags that it gets", () => {
  for (const objects of objectsOf.values()) {
    const container = containersOf(objects).find(({ name }) => name === "operator");
    const flags = flagsFrom(container?.args ?? []);
    assert.ok(flags.ok, flags.ok ? "" : flags.why);
    assert.equal(flags.value.ownNamespace, rendered.namespace);
  }
  const containers = containersOf(caseNamed("a private registry"));
  const flags = flagsFrom(containers.find(({ name }) => name === "operator")?.args ?? []);
  assert.ok(flags.ok);
  assert.deepEqual(flags.value.imagePullSecrets, ["one", "two"]);
  assert.equal(flags.value.replicaImage, "registry.example/tigerchat/replica:v9");
});

test("chart: the edge's own parser accepts the configuration that it gets", () => {
  for (const [{ what }, objects] of objectsOf) {
    const map = objects.find(({ metadata }) => metadata.name === "tigerchat-edge-config");
    if (what === "no edge") {
      assert.equal(map, undefined);
      continue;
    }
    const value = JSON.parse(map?.data?.["edge.json"] ?? "") as object;
    // In a pod it comes from the routing table.
    const config = configFrom({ ...value, cluster: "0".repeat(32) }, "edge.json");
    assert.equal(config.fleet, what === "public address" ? "second" : "default");
  }
});

test("chart: a digest wins over a tag, and the autoscaler alone counts edges", () => {
  for (const { image } of containersOf(caseNamed("images by digest"))) {
    assert.match(image, /^docker\.io\/tigerchat\/(operator|edge)@sha256:[0-9a-f]{64}$/);
  }
  const edges = (objects: readonly ChartObject[]) =>
    (named(objects, "Deployment", "tigerchat-edge").spec as Workload).replicas;
  assert.equal(edges(caseNamed("the defaults")), 2);
  assert.equal(edges(caseNamed("autoscaling")), undefined);
});

test("chart: serving one namespace needs no permission beyond it", () => {
  const kinds = caseNamed("one namespace").map(({ kind }) => kind);
  assert.ok(!kinds.includes("ClusterRole") && !kinds.includes("ClusterRoleBinding"));
  assert.ok(caseNamed("the defaults").some(({ kind }) => kind === "ClusterRole"));
});

test("chart: monitors and alerts come where their kinds exist, dashboards are valid JSON", () => {
  const kinds = (what: string) => caseNamed(what).map(({ apiVersion }) => apiVersion);
  assert.ok(!kinds("the defaults").includes("monitoring.coreos.com/v1"));
  assert.ok(!kinds("everything optional off").includes("monitoring.coreos.com/v1"));
  const monitors = caseNamed("monitoring").filter(({ kind }) => kind === "PodMonitor");
  assert.deepEqual(monitors.map(({ metadata }) => metadata.name).sort(), [
    "tigerchat-edge",
    "tigerchat-operator",
    "tigerchat-replica",
  ]);
  const { spec } = named(caseNamed("monitoring"), "PrometheusRule", "tigerchat");
  const { groups } = spec as {
    readonly groups: readonly { readonly rules: readonly Record<string, unknown>[] }[];
  };
  for (const rule of groups.flatMap(({ rules }) => rules)) {
    const {
      summary,
      description,
      runbook_url: url,
    } = rule["annotations"] as Record<string, string>;
    assert.ok(summary !== undefined && description !== undefined);
    assert.match(url ?? "", /^https:\/\/[^/]+\/runbooks\/[a-z-]+$/);
    assert.match(String(rule["for"]), /^[1-9][0-9]*[mh]$/);
  }
  const { data = {} } = named(caseNamed("the defaults"), "ConfigMap", "tigerchat-dashboards");
  for (const text of Object.values(data)) checkDashboard(JSON.parse(text));
});

interface Dashboard {
  readonly editable: boolean;
  readonly panels: readonly {
    readonly title: string;
    readonly description: string;
    readonly fieldConfig: { readonly defaults: { readonly unit: string } };
    readonly targets: readonly { readonly expr: string }[];
  }[];
}

function checkDashboard({ editable, panels }: Dashboard): void {
  assert.equal(editable, false);
  for (const { title, description, fieldConfig, targets } of panels) {
    assert.ok(title !== "" && description !== "" && fieldConfig.defaults.unit !== "", title);
    for (const { expr } of targets) {
      assert.match(expr, /job=~"\$job", instance=~"\$instance"/, title);
      if (/_total/.test(expr)) assert.match(expr, /(rate|increase)\([^)]*\[\$__rate_interval\]/);
    }
  }
}

const replica: FlowPod = {
  namespace: rendered.namespace,
  labels: shardLabels("lobby", "default"),
};
const otherShard: FlowPod = { ...replica, labels: shardLabels("hall", "default") };
const otherFleet: FlowPod = { ...replica, labels: shardLabels("hall", "second") };
const dns: FlowPod = { namespace: "kube-system", labels: { "k8s-app": "kube-dns" } };
const stranger: FlowPod = { namespace: rendered.namespace, labels: { app: "stranger" } };

test("chart: network policies let through what the parts need, and nothing else", () => {
  const objects = caseNamed("the defaults");
  const podsOf = (name: string): FlowPod => {
    const { template } = named(objects, "Deployment", name).spec as Workload;
    return { namespace: rendered.namespace, labels: template.metadata.labels };
  };
  const [operator, edge] = [podsOf("tigerchat-operator"), podsOf("tigerchat-edge")];
  assert.equal(operator.labels["app.kubernetes.io/name"], operatorApp);
  const policies = objects.filter(
    ({ kind }) => kind === "NetworkPolicy",
  ) as unknown as FlowPolicy[];
  for (const name of ["lobby", "hall"]) policies.push(shardPolicy(name));
  const wanted: readonly Flow[] = [
    { from: replica, to: replica, port: 7101 },
    { from: edge, to: replica, port: 7102 },
    { from: otherShard, to: replica, port: 7102 },
    { from: operator, to: replica, port: 7103 },
    { from: null, to: replica, port: 7104 },
    { from: stranger, to: edge, port: 8080 },
    { from: null, to: edge, port: 8080 },
    { from: null, to: edge, port: 8082 },
    { from: null, to: operator, port: 8081 },
    { from: operator, to: null, port: 6443 },
    ...[replica, edge, operator].map((from) => ({ from, to: dns, port: 53, protocol: "UDP" })),
  ];
  for (const flow of wanted) assert.ok(allowedFlow(policies, flow), JSON.stringify(flow));
  const refused: readonly Flow[] = [
    ...[7101, 7102, 7103].map((port) => ({ from: stranger, to: replica, port })),
    ...[7101, 7103].map((port) => ({ from: edge, to: replica, port })),
    { from: operator, to: replica, port: 7102 },
    { from: otherShard, to: replica, port: 7101 },
    { from: otherFleet, to: replica, port: 7102 },
    { from: edge, to: otherFleet, port: 7102 },
    { from: edge, to: null, port: 443 },
    { from: replica, to: null, port: 443 },
    { from: null, to: replica, port: 7102 },
    { from: stranger, to: operator, port: 6443 },
  ];
  for (const flow of refused) assert.ok(!allowedFlow(policies, flow), JSON.stringify(flow));
});

function shardPolicy(name: string): FlowPolicy {
  const text = `{apiVersion: tigerchat.dev/v1alpha1, kind: RoomShard, metadata: {name: ${name}}}`;
  const shard = validateRoomShard(parse(text));
  assert.ok(shard.ok);
  const metadata = { ...shard.value.metadata, namespace: rendered.namespace, uid: "1" };
  return networkPolicyOf({ ...shard.value, metadata }, rendered.namespace) as FlowPolicy;
}
