// Three production hosts on virtual time: what the composition adds to consensus and machine.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { HostClient } from "#test/support/host-client.ts";
import { HostCluster } from "#test/support/host-cluster.ts";

function started(): { readonly cluster: HostCluster; readonly client: HostClient } {
  const cluster = new HostCluster();
  const client = new HostClient(cluster);
  client.connect();
  client.createRoom();
  return { cluster, client };
}

function settle(cluster: HostCluster): void {
  const head = cluster.host(cluster.primary ?? 0).replica.head;
  cluster.runUntil("all to follow", 5_000, () =>
    cluster.seats.every(({ host }) => host === null || host.replica.commitMin >= head),
  );
}

test("host: the same events give the same messages, byte for byte of the trace", () => {
  const traces = [0, 1].map(() => {
    const { cluster, client } = started();
    for (let i = 0; i < 30; i += 1) client.post(i);
    settle(cluster);
    return cluster.trace;
  });
  ok((traces[0]?.length ?? 0) > 100);
  deepStrictEqual(traces[0], traces[1]);
});

test("host: checkpoints are at the same ops on all replicas, and survive a restart", () => {
  const { cluster, client } = started();
  for (let i = 0; i < 60; i += 1) client.post(i);
  settle(cluster);
  cluster.run(500);
  const ops = cluster.seats.map(({ host }) => host?.replica.checkpointOp ?? 0);
  ok((ops[0] ?? 0) > 36, `checkpoints at ${ops.join()}`);
  strictEqual(new Set(ops).size, 1);
  const backup = ((cluster.primary ?? 0) + 1) % 3;
  cluster.kill(backup);
  cluster.open(backup);
  client.post(60);
  settle(cluster);
  deepStrictEqual(client.read(backup, 55), [56, 57, 58, 59, 60, 61]);
  deepStrictEqual(cluster.alarms, []);
});

test("host: a replica behind the ring fetches a checkpoint while newer ones appear", () => {
  const { cluster, client } = started();
  for (let i = 0; i < 5; i += 1) client.post(i);
  settle(cluster);
  const away = ((cluster.primary ?? 0) + 1) % 3;
  cluster.kill(away);
  for (let i = 5; i < 120; i += 1) client.post(i);
  cluster.run(300);
  cluster.open(away);
  for (let i = 120; i < 150; i += 1) client.post(i);
  settle(cluster);
  cluster.run(300);
  const checkpoint = cluster.host(away).replica.checkpointOp;
  ok(checkpoint > 100, `its checkpoint is at ${checkpoint}`);
  deepStrictEqual(client.read(away, 147), [148, 149, 150]);
  deepStrictEqual(client.read(away, 0).slice(0, 3), [1, 2, 3]);
});
