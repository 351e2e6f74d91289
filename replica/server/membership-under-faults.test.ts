// Goal: membership changes together with kills and partitions lose nothing that was acknowledged
// and leave no hole. Method: three production hosts on virtual time.
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { HostClient } from "#test/support/host-client.ts";
import { HostCluster } from "#test/support/host-cluster.ts";

const bodyBytes = 100;

/** One directed link after the other is cut, each for less than a suspicion. */
function wanderingCut(cluster: HostCluster): void {
  cluster.passes = (from, to) => {
    const turn = Math.floor(cluster.nowMs / 60);
    return from !== turn % 3 || to !== (turn + 1 + (turn % 2)) % 3;
  };
}

function follows(cluster: HostCluster): void {
  cluster.runUntil("all to be level", 20_000, () => {
    const ops = cluster.seats.map(({ host }) => host?.replica.commitMin ?? -1);
    return ops.every((op) => op === ops[0] && op >= 0);
  });
}

test("host: replacements amid kills and cuts lose nothing (NATS #7545, RedisRaft #44)", () => {
  const cluster = new HostCluster();
  const client = new HostClient(cluster);
  client.connect();
  client.createRoom();
  let posts = 0;
  const post = (count: number): void => {
    for (let i = 0; i < count; i += 1, posts += 1) client.post(posts, bodyBytes);
  };
  post(6);
  for (let turn = 0; turn < 3; turn += 1) {
    const { primary } = client;
    const lost = (primary + 1 + (turn % 2)) % 3;
    cluster.kill(lost);
    // Past a ring now and then: who comes then has to fetch a state, not only a log.
    post(3 + 30 * turn);
    wanderingCut(cluster);
    strictEqual(cluster.replace(lost), "");
    // The one that holds everything dies while the new one still learns.
    const leader = cluster.primary ?? primary;
    cluster.kill(leader);
    cluster.run(400);
    cluster.open(leader);
    cluster.run(300);
    cluster.passes = () => true;
    cluster.runUntil("the new volume to vote", 20_000, () => cluster.host(lost).replica.voting);
    post(2);
    // Its vote counts: one of the two old ones goes.
    const { primary: leads } = client;
    const other = [0, 1, 2].find((index) => index !== lost && index !== leads) ?? 0;
    cluster.kill(other);
    post(2);
    cluster.open(other);
    follows(cluster);
  }
  const seqs = Array.from({ length: posts }, (_, i) => i + 1);
  for (const index of [0, 1, 2]) {
    deepStrictEqual(client.read(index, 0), seqs, `replica ${index}`);
  }
});
