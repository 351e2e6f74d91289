// Goal: no disk that lost what it promised has a vote (rule A11). Method: three production hosts
// on virtual time.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { setMutations } from "#replica/base/mutation.ts";
import { HostClient } from "#test/support/host-client.ts";
import { HostCluster } from "#test/support/host-cluster.ts";

/** Bodies small enough that no checkpoint says what only the log should. */
const bodyBytes = 100;

interface Rollback {
  readonly cluster: HostCluster;
  readonly client: HostClient;
  readonly primary: number;
  readonly stale: number;
}

/**
 * A primary and one backup acknowledge what the other backup lacks; then the primary is lost and
 * the first backup's volume goes back to an older copy. The two that are left are started again.
 */
function rolledBack(postsAfterCopy: number): Rollback {
  const cluster = new HostCluster();
  const client = new HostClient(cluster);
  client.connect();
  client.createRoom();
  for (let i = 0; i < 3; i += 1) client.post(i, bodyBytes);
  cluster.run(1_500);
  const { primary } = client;
  const restored = (primary + 1) % 3;
  const stale = (primary + 2) % 3;
  // It hears that the others live, and nothing of the log.
  const lost = ["prepare", "commit", "start_view", "headers"];
  cluster.passes = (_, to, message) => to !== stale || !lost.includes(message.kind);
  const disk = cluster.seats[restored]?.disk;
  ok(disk !== undefined);
  const copy = disk.snapshot();
  for (let i = 3; i < 3 + postsAfterCopy; i += 1) client.post(i, bodyBytes);
  cluster.run(1_500);
  for (const replica of [primary, restored, stale]) cluster.kill(replica);
  // Frames that were on their way are lost.
  cluster.run(5);
  disk.restore(copy);
  cluster.passes = () => true;
  cluster.open(restored);
  cluster.open(stale);
  return { cluster, client, primary, stale };
}

test("host: a rolled-back backup and a stale one never lead without what was acknowledged", () => {
  const { cluster, client, primary, stale } = rolledBack(4);
  cluster.run(5_000);
  strictEqual(cluster.primary, null, "two that may lack what was acknowledged do not serve");
  ok(cluster.alarms.some((what) => what.includes("was rolled back")));
  cluster.open(primary);
  cluster.runUntil("a primary", 5_000, () => cluster.primary !== null);
  const { head } = cluster.host(cluster.primary ?? 0).replica;
  cluster.runUntil("the stale one", 5_000, () => cluster.host(stale).replica.commitMin >= head);
  deepStrictEqual(client.read(stale, 0), [1, 2, 3, 4, 5, 6, 7]);
});

test("host: without the rule the same steps lose what was acknowledged", () => {
  setMutations(["forget_peers"]);
  try {
    const { cluster, client } = rolledBack(4);
    cluster.runUntil("a primary", 5_000, () => cluster.primary !== null);
    const seqs = client.read(cluster.primary ?? 0, 0);
    ok(seqs.length <= 3, `${seqs.length} of 7 that were acknowledged are left`);
  } finally {
    setMutations([]);
  }
});
