import assert from "node:assert/strict";
import { test } from "node:test";
import { networkSteps } from "./network.ts";
import { addresses, containerdSocket, hostLink, lanNetns, nodePlans } from "./topology.ts";

const lines = networkSteps(nodePlans).map((step) =>
  step.kind === "ip" ? step.args.join(" ") : `forward ${step.netns}`,
);

test("network: every address is one set apart for benchmarks (198.18.0.0/15)", () => {
  const found = lines.join("\n").match(/\d+\.\d+\.\d+\.\d+/g) ?? [];
  assert.ok(found.length > 20);
  for (const address of found) assert.match(address, /^198\.1[89]\./);
});

test("network: no namespace is used before it exists", () => {
  const made = new Set<string>();
  for (const line of lines) {
    const added = /^netns add (\S+)$/.exec(line)?.[1];
    if (added !== undefined) made.add(added);
    for (const used of line.matchAll(/(?:-n|netns|forward) (tigerchat-\S+)/g)) {
      assert.ok(made.has(used[1] ?? ""), line);
    }
  }
  assert.equal(made.size, nodePlans.length + 1);
});

test("network: everybody has a route to every pod range but the own one", () => {
  for (const node of nodePlans) {
    const routes = lines.filter((line) => line.includes(`route add ${node.podRange} via`));
    assert.equal(routes.length, nodePlans.length + 1);
    assert.ok(!routes.some((line) => line.startsWith(`-n ${node.netns}`)));
  }
});

test("network: kube-proxy takes all pod ranges for pods, and no node", () => {
  const third = (address: string): number => Number(address.split(".")[2]);
  assert.equal(addresses.pods, "198.18.0.0/22");
  for (const node of nodePlans) {
    assert.ok(third(node.podRange) < 4);
    assert.ok(third(node.address) >= 4);
  }
});

test("network: names fit the kernel's limits", () => {
  for (const name of [hostLink, ...nodePlans.map((node) => node.name)])
    assert.ok(name.length <= 15);
  for (const node of nodePlans) assert.ok(containerdSocket(node).length <= 107);
  assert.match(lanNetns, /^tigerchat-/);
});
