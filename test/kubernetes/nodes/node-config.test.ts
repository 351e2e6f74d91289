import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import type { NodeFiles } from "./node-config.ts";
import {
  kubeletFlags,
  renderCni,
  renderContainerd,
  renderKubelet,
  renderProxy,
} from "./node-config.ts";
import type { NodePlan } from "./topology.ts";
import { addresses, nodePlans } from "./topology.ts";

const files: NodeFiles = {
  authority: "/n/ca.crt",
  certificate: "/n/kubelet.crt",
  key: "/n/kubelet.key",
  kubeletKubeconfig: "/n/kubelet.kubeconfig",
  proxyKubeconfig: "/n/proxy.kubeconfig",
  cniDir: "/n/cni",
};
const [, second] = nodePlans as readonly [NodePlan, NodePlan, NodePlan];

test("node: containerd lowers no oom_score_adj and leaves the host no namespace", () => {
  const text = renderContainerd(files);
  assert.match(text, /^\s+restrict_oom_score_adj = true$/m);
  assert.match(text, /^\s+netns_mounts_under_state_dir = true$/m);
  assert.match(text, /^\s+conf_dir = "\/n\/cni"$/m);
});

test("node: pods get addresses of their own node's range", () => {
  const cni = JSON.parse(renderCni(second));
  assert.deepEqual(cni.plugins[0].ipam.ranges, [[{ subnet: "198.18.2.0/24" }]]);
  assert.equal(cni.plugins.length, 1);
});

test("node: the kubelet asks who comes, stays in its cgroup, collects no image", () => {
  const config = parse(renderKubelet(second, files));
  assert.equal(config.authentication.anonymous.enabled, false);
  assert.equal(config.authorization.mode, "Webhook");
  assert.equal(config.cgroupRoot, "/tigerchat-node2");
  assert.equal(config.imageGCHighThresholdPercent, 100);
  assert.equal(config.failSwapOn, false);
  assert.deepEqual(config.clusterDNS, [addresses.dnsService]);
});

test("node: its zone and its address are flags of the kubelet", () => {
  const flags = kubeletFlags(second, files, "/n/kubelet.yaml");
  assert.ok(flags.includes("--node-labels=topology.kubernetes.io/zone=zone-2"));
  assert.ok(flags.includes("--node-ip=198.18.255.12"));
});

test("node: kube-proxy leaves the machine's connection table alone", () => {
  const config = parse(renderProxy(second, files));
  assert.deepEqual(config.conntrack, { maxPerCore: 0, min: 0 });
  assert.equal(config.mode, "nftables");
});
