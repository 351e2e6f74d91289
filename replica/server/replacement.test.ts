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

function started(posts: number): { readonly cluster: HostCluster; readonly client: HostClient } {
  const cluster = new HostCluster();
  const client = new HostClient(cluster);
  client.connect();
  client.createRoom();
  for (let i = 0; i < posts; i += 1) client.post(i, bodyBytes);
  cluster.run(500);
  return { cluster, client };
}

function settle(cluster: HostCluster): void {
  const head = cluster.host(cluster.primary ?? 0).replica.head;
  cluster.runUntil("all to follow", 5_000, () =>
    cluster.seats.every(({ host }) => {
      return host === null || host.replica.status === "lost" || host.replica.commitMin >= head;
    }),
  );
}

test("host: a lost volume is replaced: the learner follows, catches up, then votes", () => {
  const { cluster, client } = started(8);
  const { primary } = client;
  const lost = (primary + 1) % 3;
  const other = (primary + 2) % 3;
  const view = cluster.host(primary).replica.view;
  cluster.kill(lost);
  client.post(8, bodyBytes);
  strictEqual(cluster.replace(lost), "");
  strictEqual(cluster.host(lost).replica.status, "learner");
  strictEqual(cluster.host(lost).replica.voting, false);
  client.post(9, bodyBytes);
  cluster.runUntil("the learner to vote", 10_000, () => cluster.host(lost).replica.voting);
  ok(cluster.host(lost).replica.view >= view + 4, "in a view over its vote floor only");
  for (const { host } of cluster.seats) ok((host?.replica.members[lost]?.replaceOp ?? 0) > 9);
  // Its vote counts: the shard goes on without the replica that had all the rest.
  cluster.kill(other);
  client.post(10, bodyBytes);
  cluster.open(other);
  settle(cluster);
  deepStrictEqual(client.read(lost, 7), [8, 9, 10, 11]);
  deepStrictEqual(cluster.alarms, []);
});

test("host: what was acknowledged with the lost volume survives its replacement", () => {
  const { cluster, client, primary, stale } = rolledBack(4);
  const restored = (primary + 1) % 3;
  cluster.run(1_000);
  cluster.open(primary);
  cluster.runUntil("a primary", 5_000, () => cluster.primary !== null);
  settle(cluster);
  strictEqual(cluster.host(restored).replica.status, "lost");
  cluster.kill(restored);
  strictEqual(cluster.replace(restored), "");
  cluster.runUntil("its vote", 10_000, () => cluster.host(restored).replica.voting);
  cluster.kill(primary);
  client.post(7, bodyBytes);
  deepStrictEqual(client.read(stale, 0), [1, 2, 3, 4, 5, 6, 7, 8]);
});

test("host: the old volume of a replaced replica comes back and is heard by nobody", () => {
  const { cluster, client } = started(3);
  const { primary } = client;
  const lost = (primary + 1) % 3;
  cluster.kill(lost);
  const old = cluster.seats[lost]?.disk.snapshot();
  ok(old !== undefined);
  strictEqual(cluster.replace(lost), "");
  cluster.runUntil("its vote", 10_000, () => cluster.host(lost).replica.voting);
  cluster.kill(lost);
  cluster.seats[lost]?.disk.restore(old);
  cluster.open(lost);
  cluster.run(500);
  strictEqual(cluster.host(lost).replica.voting, false);
  cluster.kill(client.primary);
  cluster.run(2_000);
  strictEqual(cluster.primary, null, "with one voter left there is no quorum");
});

test("host: the members of a shard survive checkpoint, state sync and restart", () => {
  const { cluster, client } = started(3);
  const { primary } = client;
  const first = (primary + 1) % 3;
  const second = (primary + 2) % 3;
  cluster.kill(second);
  strictEqual(cluster.replace(second), "");
  cluster.runUntil("its vote", 10_000, () => cluster.host(second).replica.voting);
  const leader = client.primary;
  const away = leader === first ? primary : first;
  cluster.kill(away);
  for (let i = 3; i < 90; i += 1) client.post(i);
  cluster.open(away);
  for (let i = 90; i < 120; i += 1) client.post(i);
  settle(cluster);
  for (let i = 0; i < 3; i += 1) {
    cluster.kill(i);
    cluster.open(i);
    cluster.run(1_000);
    client.post(120 + i);
  }
  settle(cluster);
  const members = cluster.seats.map(({ host }) => host?.replica.members);
  deepStrictEqual(members[0], members[1]);
  deepStrictEqual(members[1], members[2]);
  ok((members[0]?.[second]?.replaceOp ?? 0) > 0);
});

test("host: a replacement needs both peers and is refused beside another learner", () => {
  const { cluster, client } = started(3);
  const { primary } = client;
  const one = (primary + 1) % 3;
  const other = (primary + 2) % 3;
  cluster.kill(one);
  cluster.kill(other);
  cluster.run(300);
  cluster.open(other);
  cluster.run(1_000);
  cluster.passes = (_, to) => to !== one;
  strictEqual(cluster.replace(one), "");
  cluster.run(200);
  strictEqual(cluster.host(one).replica.status, "learner", "cut off, it cannot learn");
  const leader = cluster.primary ?? 0;
  cluster.kill(3 - leader - one);
  const refused = cluster.replace(3 - leader - one);
  ok(refused.includes("learner") || refused.includes("not heard"), refused);
});
