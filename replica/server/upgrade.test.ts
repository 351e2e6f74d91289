// Goal: the machine's version changes at one op everywhere, or not at all (rule A12). Method: three
// production hosts on virtual time, some of them of an older build.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { pipelineMax } from "#replica/base/limits.ts";
import { HostClient } from "#test/support/host-client.ts";
import { HostCluster } from "#test/support/host-cluster.ts";

const bodyBytes = 100;
const old = { min: 1, max: 1 };
const both = { min: 1, max: 2 };

function started(builds: readonly { min: number; max: number }[], posts: number) {
  const cluster = new HostCluster();
  builds.forEach((build, index) => {
    cluster.builds[index] = { ...build };
    cluster.kill(index);
    cluster.open(index);
  });
  const client = new HostClient(cluster);
  client.connect();
  client.createRoom();
  for (let i = 0; i < posts; i += 1) client.post(i, bodyBytes);
  return { cluster, client };
}

function versions(cluster: HostCluster): readonly (number | undefined)[] {
  return cluster.seats.map(({ host }) => host?.replica.machineVersion);
}

/** Asks as an operator does: again and again. */
function upgradeUntilDone(cluster: HostCluster): void {
  cluster.runUntil("the upgrade", 5_000, () => cluster.upgrade(2) === "done");
  cluster.runUntil("everybody's upgrade", 5_000, () => versions(cluster).every((v) => v === 2));
}

test("upgrade: an idle shard comes to its next checkpoint by itself; requests go on after", () => {
  const { cluster, client } = started([both, both, both], 3);
  deepStrictEqual(versions(cluster), [1, 1, 1]);
  strictEqual(cluster.upgrade(2), "pending");
  upgradeUntilDone(cluster);
  for (let i = 3; i < 20; i += 1) client.post(i, bodyBytes);
  const all = Array.from({ length: 20 }, (_, i) => i + 1);
  deepStrictEqual(client.read(client.primary, 0), all);
  strictEqual(cluster.upgrade(2), "done", "asked again");
});

test("upgrade: all replicas switch at one checkpoint op, behind a pipeline of no-ops", () => {
  const { cluster, client } = started([both, both, both], 1);
  const seen = new Map<number, { kind: string; version: number; min: number }>();
  const { passes } = cluster;
  cluster.passes = (from, to, message) => {
    if (message.kind === "prepare") {
      const { header } = message.prepare;
      const { kind, machineVersion: version } = header;
      seen.set(header.op, { kind, version, min: header.commitMax });
    }
    return passes(from, to, message);
  };
  strictEqual(cluster.upgrade(2), "pending");
  // It stands behind what came before and is not waited for.
  for (let i = 1; i < 15; i += 1) client.post(i, bodyBytes);
  upgradeUntilDone(cluster);
  const at = [...seen].find(([, { kind }]) => kind === "upgrade")?.[0] ?? 0;
  ok(at > 0, "an UPGRADE was sent");
  for (let op = at + 1; op <= at + pipelineMax; op += 1) {
    deepStrictEqual([seen.get(op)?.kind, seen.get(op)?.version], ["noop", 1], `op ${op}`);
  }
  for (const [op, { version, min }] of seen) {
    strictEqual(version, op > at + pipelineMax ? 2 : 1, `version of op ${op}`);
    if (version === 2) ok(min >= at, "made after the UPGRADE was committed");
  }
});

test("upgrade: refused while one of three cannot run it, with what to do", () => {
  const { cluster, client } = started([both, both, old], 2);
  const refusal = cluster.upgrade(2);
  const sentence =
    "The build of replica 2 runs versions 1 to 1 of the machine; " +
    "start it with one that runs version 2 first.";
  deepStrictEqual(refusal, { refused: sentence });
  cluster.kill(2);
  cluster.run(300);
  deepStrictEqual(cluster.upgrade(2), {
    refused: "An upgrade needs all three, and replica 2 is not heard; start it first.",
  });
  deepStrictEqual(cluster.upgrade(3), {
    refused:
      `The build of replica ${client.primary} runs versions 1 to 2 of the machine; ` +
      "start it with one that runs version 3 first.",
  });
  cluster.builds[2] = both;
  cluster.open(2);
  cluster.runUntil("replica 2", 3_000, () => cluster.upgrade(2) === "pending");
  upgradeUntilDone(cluster);
});

test("upgrade: an older build refuses a newer build's volume, which stays sound", () => {
  const { cluster, client } = started([both, both, both], 2);
  upgradeUntilDone(cluster);
  for (let i = 2; i < 30; i += 1) client.post(i, bodyBytes);
  cluster.run(500);
  const backup = (client.primary + 1) % 3;
  ok(cluster.host(backup).replica.checkpointOp > 0);
  cluster.kill(backup);
  let said = "";
  cluster.onStop = (_, why) => {
    said = why;
  };
  cluster.builds[backup] = old;
  cluster.open(backup);
  strictEqual(
    said,
    "The checkpoint is of version 2 of the machine, and this build runs versions 1 to 1; " +
      "start this replica with a build that runs version 2, its volume is sound.",
  );
  cluster.builds[backup] = both;
  cluster.open(backup);
  const { head } = cluster.host(client.primary).replica;
  cluster.runUntil("the backup", 3_000, () => cluster.host(backup).replica.commitMin >= head);
});

test("upgrade: an older build that comes back in the middle of one stops before it", () => {
  const { cluster, client } = started([both, both, both], 2);
  const backup = (client.primary + 1) % 3;
  let proposed = false;
  cluster.passes = (_, __, message) => {
    if (message.kind === "prepare") proposed ||= message.prepare.header.kind === "upgrade";
    return true;
  };
  strictEqual(cluster.upgrade(2), "pending");
  cluster.runUntil("the UPGRADE", 3_000, () => proposed);
  cluster.kill(backup);
  let said = "";
  cluster.onStop = (index, why) => {
    strictEqual(index, backup);
    said = why;
  };
  cluster.builds[backup] = old;
  cluster.open(backup);
  cluster.runUntil("its end", 5_000, () => said !== "");
  const remedy = "start this replica with a build that runs it, its volume is sound";
  ok(said.endsWith(`and this build runs versions 1 to 1; ${remedy}`), said);
  cluster.builds[backup] = both;
  cluster.open(backup);
  cluster.runUntil("everybody's upgrade", 5_000, () => versions(cluster).every((v) => v === 2));
});

test("upgrade: a view change in the middle neither loses nor repeats it", () => {
  for (const afterMs of [1, 2, 3, 5, 8, 12]) {
    const { cluster, client } = started([both, both, both], 2);
    const { primary } = client;
    strictEqual(cluster.upgrade(2), "pending");
    cluster.run(afterMs);
    cluster.kill(primary);
    cluster.run(2_000);
    const alive = [0, 1, 2].filter((index) => index !== primary);
    const [a, b] = alive.map((index) => cluster.host(index).replica.machineVersion);
    strictEqual(a, b, `after ${afterMs} ms`);
    cluster.open(primary);
    cluster.runUntil("a refusal or the end", 5_000, () => {
      const asked = cluster.upgrade(2);
      return asked === "done" || asked === "pending";
    });
    upgradeUntilDone(cluster);
  }
});
