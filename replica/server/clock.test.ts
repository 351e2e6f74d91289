// Goal: one clock that is set wrong does not bend log time (rule A10). Method: three production
// hosts on virtual time, each with a wall clock of its own.
import { ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { HostClient } from "#test/support/host-client.ts";
import { HostCluster } from "#test/support/host-cluster.ts";

const hourUs = 3_600_000_000;
const startUs = 1_800_000_000_000_000;

function started() {
  const cluster = new HostCluster();
  const client = new HostClient(cluster);
  client.connect();
  client.createRoom();
  cluster.run(300);
  let lastUs = 0;
  cluster.passes = (_, __, message) => {
    if (message.kind === "prepare") lastUs = message.prepare.header.timestampUs;
    return true;
  };
  const ahead = () => lastUs - startUs - cluster.nowMs * 1000;
  return { cluster, client, ahead };
}

test("host: a primary whose clock is set an hour ahead gives the time of the two others", () => {
  const { cluster, client, ahead } = started();
  client.post(0);
  ok(Math.abs(ahead()) < 1_000_000);
  cluster.wallOffsetsUs[client.primary] = hourUs;
  cluster.run(500);
  client.post(1);
  ok(Math.abs(ahead()) <= 1_100_000, `${ahead()} us ahead`);
});

test("host: two clocks that differ without a third: requests are refused, and it is said", () => {
  const { cluster, client } = started();
  const { primary } = client;
  cluster.kill((primary + 1) % 3);
  cluster.wallOffsetsUs[primary] = hourUs;
  cluster.run(3_000);
  const { replica } = cluster.host(primary);
  strictEqual(replica.status, "normal");
  ok(
    replica.alarms.some((what) => what.includes("clock of replica")),
    replica.alarms.join(),
  );
  const { head } = replica;
  const refused = cluster.host(primary).replica;
  cluster.wallOffsetsUs[primary] = 0;
  cluster.run(500);
  strictEqual(refused.head, head, "nothing was proposed meanwhile");
  client.post(1);
  cluster.run(300);
  strictEqual(replica.alarms.length, 0);
});
