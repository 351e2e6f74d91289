// Goal: the objects that a manifest becomes keep the rules that shards depend on.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RoomShard } from "#operator/api/room-shard.ts";
import { validateRoomShard } from "#operator/api/validate.ts";
import { parseReplicaConfig } from "#replica/admin/replica-config.ts";
import { networkPolicyOf } from "./network-policy.ts";
import { operatorRules, ownRules } from "./permissions.ts";
import { podTemplateOf } from "./pod-template.ts";
import {
  emptyRouting,
  genesisSlots,
  routingFrom,
  routingText,
  routingWith,
} from "./routing-table.ts";
import { keySecretOf, podConfigOf } from "./shard-objects.ts";
import { statefulSetOf } from "./stateful-set.ts";
import { canonicalText, templateFactsOf, templateHash } from "./template-facts.ts";

const cluster = "0f".repeat(16);

function shardOf(name: string, spec: object = {}): RoomShard {
  const manifest = {
    apiVersion: "tigerchat.dev/v1alpha1",
    kind: "RoomShard",
    metadata: { name, namespace: "chat", uid: `uid-${name}` },
    spec,
  };
  const validated = validateRoomShard(manifest);
  assert.ok(validated.ok, validated.ok ? "" : validated.faults.join());
  return validated.value;
}

const inputs = { image: "i", imagePullPolicy: "Never", imagePullSecrets: [], hash: "h" };

test("desired: the configuration of every valid manifest is one that the replica accepts", () => {
  for (const walSize of ["32Mi", "64Mi", "1G", "40000000"]) {
    const shard = shardOf("lobby", { storage: { size: "8Gi", walSize } });
    const checked = parseReplicaConfig(podConfigOf(shard, cluster));
    assert.ok(checked.ok, checked.ok ? "" : checked.sentence);
    assert.equal(checked.value.peers[2]?.host, "lobby-2.lobby.chat.svc");
  }
});

test("desired: pods satisfy the restricted profile and hold no token", () => {
  const { spec } = podTemplateOf(shardOf("lobby"), inputs);
  assert.equal(spec.automountServiceAccountToken, false);
  assert.equal(spec.securityContext.runAsNonRoot, true);
  assert.equal(spec.securityContext.seccompProfile.type, "RuntimeDefault");
  const [container] = spec.containers;
  assert.deepEqual(container?.securityContext.capabilities, { drop: ["ALL"] });
  assert.equal(container?.securityContext.readOnlyRootFilesystem, true);
  assert.equal(container?.securityContext.allowPrivilegeEscalation, false);
  assert.deepEqual(container?.resources.limits, { memory: "2Gi" });
  assert.equal(JSON.stringify(spec).includes("subPath"), false);
});

test("desired: the StatefulSet starts all at once, replaces none and keeps claims", () => {
  const template = podTemplateOf(shardOf("lobby"), inputs);
  const { spec } = statefulSetOf(shardOf("lobby"), { template, templateHash: "h", records: {} });
  assert.equal(spec.podManagementPolicy, "Parallel");
  assert.equal(spec.updateStrategy.type, "OnDelete");
  assert.deepEqual(spec.persistentVolumeClaimRetentionPolicy, {
    whenDeleted: "Retain",
    whenScaled: "Retain",
  });
});

test("desired: what decrypts the claims has no owner", () => {
  assert.equal("ownerReferences" in keySecretOf(shardOf("lobby"), "k").metadata, false);
});

test("desired: the template hash follows what matters and nothing else", () => {
  const identity = (text: string): string => text;
  const of = (spec: object, image = "i") => {
    const shard = shardOf("lobby", spec);
    return templateHash(templateFactsOf(shard, image, podConfigOf(shard, cluster), "k"), (text) =>
      [...identity(text)]
        .reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 2 ** 31, 7)
        .toString(),
    );
  };
  const base = of({});
  assert.equal(of({ primary: { preferred: 1 } }), base);
  assert.equal(of({ paused: true }), base);
  assert.equal(of({ storage: { size: "30Gi" } }), base);
  assert.notEqual(of({}, "j"), base);
  assert.notEqual(of({ resources: { requests: { cpu: "2" } } }), base);
  assert.notEqual(of({ timing: { suspectMs: 120 } }), base);
  assert.equal(canonicalText({ b: 1, a: [2] }), canonicalText({ a: [2], b: 1 }));
});

test("desired: the first shard gets the whole space, later ones what they ask or nothing", () => {
  const first = shardOf("lobby");
  const empty = emptyRouting("default", cluster);
  const whole = genesisSlots(empty, first);
  assert.deepEqual(whole, { ok: true, value: { first: 0, count: 4096 } });
  const table = routingWith(empty, first, { first: 0, count: 4096 }, 1);
  assert.equal(table.epoch, 1);
  assert.equal(routingWith(table, first, { first: 0, count: 4096 }, 1), table);
  const second = genesisSlots(table, shardOf("annex"));
  assert.deepEqual(second, { ok: true, value: { first: 0, count: 0 } });
  const greedy = shardOf("greedy", { initialSlots: { first: 4095, count: 1 } });
  assert.deepEqual(genesisSlots(table, greedy), { ok: false, reason: "slots_taken" });
  const tenant = genesisSlots(table, shardOf("acme", { tenant: "acme" }));
  assert.deepEqual(tenant, { ok: true, value: { first: 0, count: 4096 } });
  assert.deepEqual(routingFrom(routingText(table)), table);
  assert.equal(routingFrom("{"), null);
});

interface Peer {
  readonly podSelector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly namespaceSelector?: { readonly matchLabels?: Readonly<Record<string, string>> };
}

function matches(
  labels: Readonly<Record<string, string>>,
  wanted?: Readonly<Record<string, string>>,
) {
  return Object.entries(wanted ?? {}).every(([name, value]) => labels[name] === value);
}

/** Evaluates the ingress of a policy as a network plugin would. */
function admits(
  from: { labels: Record<string, string>; namespace: string },
  port: number,
): boolean {
  const { spec } = networkPolicyOf(shardOf("lobby"), "system");
  return spec.ingress.some(
    (rule: { from?: readonly Peer[]; ports: readonly { port: number }[] }) => {
      if (!rule.ports.some((one) => one.port === port)) return false;
      if (rule.from === undefined) return true;
      return rule.from.some(({ podSelector, namespaceSelector }) => {
        const name = namespaceSelector?.matchLabels?.["kubernetes.io/metadata.name"] ?? "chat";
        return name === from.namespace && matches(from.labels, podSelector?.matchLabels);
      });
    },
  );
}

test("desired: the network policy admits exactly the flows of the table", () => {
  const pod = (app: string, more: Record<string, string> = {}, namespace = "chat") => ({
    labels: { "app.kubernetes.io/name": app, "tigerchat.dev/fleet": "default", ...more },
    namespace,
  });
  const own = pod("tigerchat-replica", { "app.kubernetes.io/instance": "lobby" });
  const sibling = pod("tigerchat-replica", { "app.kubernetes.io/instance": "annex" });
  const edge = pod("tigerchat-edge");
  const operator = pod("tigerchat-operator", {}, "system");
  const stranger = pod("stranger");
  const table = [
    { from: own, ports: [7101, 7102, 7104] },
    { from: sibling, ports: [7102, 7104] },
    { from: edge, ports: [7102, 7104] },
    { from: operator, ports: [7103, 7104] },
    { from: stranger, ports: [7104] },
  ];
  for (const { from, ports } of table) {
    const open = [7101, 7102, 7103, 7104].filter((port) => admits(from, port));
    assert.deepEqual(open, ports, JSON.stringify(from));
  }
});

test("desired: the operator's permissions have no wildcard and cannot list Secrets", () => {
  for (const rule of [...operatorRules, ...ownRules]) {
    assert.equal(JSON.stringify(rule).includes("*"), false);
    if (rule.resources.includes("secrets")) {
      assert.deepEqual(rule.verbs, ["get", "create", "patch"]);
    }
  }
});
