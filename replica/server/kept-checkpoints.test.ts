// Goal: after any restart a replica still offers a checkpoint that a quorum had, with its segments.
// Method: three production hosts; one falls behind the ring, one is lost for ever, and the third
// restarts when only it has its newest checkpoint.
import { ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { opFrom } from "#replica/base/brands.ts";
import { HostClient } from "#test/support/host-client.ts";
import { HostCluster } from "#test/support/host-cluster.ts";

interface Wedge {
  readonly cluster: HostCluster;
  readonly client: HostClient;
  readonly ahead: number;
  readonly behind: number;
}

/** One is behind the ring, one gone; the third is down and has a checkpoint that no quorum has. */
function soleCheckpoint(): Wedge {
  const cluster = new HostCluster();
  const client = new HostClient(cluster);
  client.connect();
  client.createRoom();
  for (let i = 0; i < 5; i += 1) client.post(i);
  const ahead = cluster.primary ?? 0;
  const behind = (ahead + 1) % 3;
  const gone = (ahead + 2) % 3;
  cluster.kill(behind);
  for (let i = 5; i < 100; i += 1) client.post(i);
  cluster.run(300);
  // From here on nobody hears of the other one's checkpoints.
  const known = cluster.host(gone).replica.checkpointOp;
  ok(known > 60);
  cluster.alter = (from, _to, message) => {
    if (from !== gone || message.kind !== "prepare_ok") return message;
    return { ...message, checkpointOp: opFrom(Math.min(message.checkpointOp, known)) };
  };
  let next = 100;
  for (; cluster.host(ahead).replica.checkpointOp === known; next += 1) client.post(next);
  cluster.run(300);
  cluster.kill(ahead);
  cluster.kill(gone);
  return { cluster, client, ahead, behind };
}

test("kept checkpoints: the sole holder of a newer one still offers the quorum's", () => {
  const { cluster, ahead, behind } = soleCheckpoint();
  cluster.open(ahead);
  cluster.open(behind);
  cluster.runUntil("both to agree", 20_000, () => {
    const [one, other] = [cluster.host(ahead).replica, cluster.host(behind).replica];
    return one.status === "normal" && other.commitMin === one.head && one.commitMin === one.head;
  });
});

test("kept checkpoints: segments of all of them stay at open and go when a quorum moves on", () => {
  const { cluster, client, ahead, behind } = soleCheckpoint();
  const files = (): readonly string[] => {
    const names = [...(cluster.seats[ahead]?.disk.files.keys() ?? [])];
    return names.filter((name) => name.startsWith("segments/")).sort();
  };
  const before = files();
  const manifests = before.filter((name) => name.startsWith("segments/m"));
  ok(manifests.length >= 2, manifests.join());
  cluster.open(ahead);
  // A merge that was under way when the process ended begins again.
  const merges = before.filter((name) => !files().includes(name));
  ok(
    merges.every((name) => name.startsWith("segments/h1")),
    merges.join(),
  );
  cluster.open(behind);
  cluster.run(3_000);
  for (let i = 500; i < 600; i += 1) client.post(i);
  cluster.run(20_000);
  const left = files();
  for (const name of manifests) ok(!left.includes(name), `${name} of ${left.join()}`);
  strictEqual(cluster.host(behind).replica.commitMin, cluster.host(ahead).replica.commitMin);
});
