// Goal: a replica whose copy of a block is damaged, and whose peers have merged that segment away,
// goes on from their checkpoint instead of asking for ever.
// Method: three production hosts; one is down while the others merge; its old segments get damaged.
import { ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { HostClient } from "#test/support/host-client.ts";
import { HostCluster } from "#test/support/host-cluster.ts";

const tablesBytes = 8192;
const blockHeaderBytes = 64;

test("starved: a block that peers have merged away is passed by a sync to their checkpoint", () => {
  const cluster = new HostCluster();
  const client = new HostClient(cluster);
  client.connect();
  client.createRoom();
  const backup = ((cluster.primary ?? 0) + 1) % 3;
  const primary = cluster.primary ?? 0;
  let next = 0;
  const postTo = (op: number): void => {
    for (; cluster.host(primary).replica.head < op; next += 1) client.post(next);
    cluster.run(200);
  };
  postTo(122);
  strictEqual(cluster.host(backup).replica.checkpointOp, 120);
  cluster.kill(backup);
  postTo(157);
  // Garbage goes when nobody has asked for a chunk for a while.
  cluster.run(15_000);
  const left = [...(cluster.seats[primary]?.disk.files.keys() ?? [])];
  ok(!left.includes("segments/h0-12-0"), left.join());
  const files = cluster.seats[backup]?.disk.files;
  const old = files?.get("segments/h0-12-0");
  ok(old !== undefined, "the backup still needs it for its own merge");
  const at = tablesBytes + blockHeaderBytes;
  old[at] = (old[at] ?? 0) ^ 1;
  cluster.open(backup);
  cluster.runUntil("the backup to follow", 20_000, () => {
    const { commitMin, checkpointOp } = cluster.host(backup).replica;
    return checkpointOp >= 156 && commitMin === cluster.host(primary).replica.head;
  });
  ok(cluster.alarms.some((what) => what.includes("h0-12-0/0 is damaged")));
});
