// Goal: what keeps a shard from going on is said, with what is missing (rules A5, A7).
// Method: three production hosts on virtual time.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { checksumFrom } from "#replica/base/brands.ts";
import { HostClient } from "#test/support/host-client.ts";
import { HostCluster } from "#test/support/host-cluster.ts";
import type { PeerMessage } from "#replica/wire/peer-message.ts";

function started(): { readonly cluster: HostCluster; readonly client: HostClient } {
  const cluster = new HostCluster();
  const client = new HostClient(cluster);
  client.connect();
  client.createRoom();
  cluster.run(500);
  return { cluster, client };
}

const other = checksumFrom("e".repeat(64));

/** Checkpoint ids as they would be had the state of that replica gone its own way. */
function forked(odd: number) {
  return (from: number, to: number, message: PeerMessage): PeerMessage => {
    if (from !== odd && to !== odd) return message;
    if (message.kind === "ping" || message.kind === "pong") {
      return message.checkpointOp === 0 ? message : { ...message, checkpointId: other };
    }
    if (message.kind !== "commit" || message.checkpoint.op === 0) return message;
    return { ...message, checkpoint: { ...message.checkpoint, id: other } };
  };
}

test("host: of three checkpoints the odd one's replica stops, primary or not (A7)", () => {
  for (const step of [0, 1]) {
    const { cluster, client } = started();
    const odd = (client.primary + step) % 3;
    const stops: [number, string][] = [];
    cluster.onStop = (index, why) => stops.push([index, why]);
    cluster.alter = forked(odd);
    for (let i = 0; i < 30; i += 1) client.post(i);
    cluster.run(3_000);
    deepStrictEqual(
      stops.map(([index]) => index),
      [odd],
    );
    ok(stops[0]?.[1].includes(`of replica ${odd} differs`));
    ok(cluster.alarms.some((what) => what.includes(`replica ${odd} differs`)));
    client.post(30);
  }
});

test("host: two checkpoints that differ without a third stop both, primary included (A7)", () => {
  const { cluster, client } = started();
  const { primary } = client;
  const stops: number[] = [];
  cluster.onStop = (index) => stops.push(index);
  cluster.kill((primary + 1) % 3);
  cluster.alter = forked(primary);
  cluster.run(500);
  for (let i = 0; i < 11; i += 1) client.post(i);
  cluster.run(3_000);
  deepStrictEqual(stops.toSorted(), [primary, (primary + 2) % 3].toSorted());
});

test("host: a replica without its peers says whom it misses, until they are back", () => {
  const { cluster, client } = started();
  const { primary } = client;
  const alone = (primary + 1) % 3;
  for (const index of [0, 1, 2]) if (index !== alone) cluster.kill(index);
  cluster.run(2_000);
  const { alarms } = cluster.host(alone).replica;
  ok(
    alarms.some((what) => what.includes("not heard")),
    alarms.join(),
  );
  cluster.open(primary);
  client.post(1);
  cluster.run(500);
  deepStrictEqual(cluster.host(alone).replica.alarms, []);
  strictEqual(cluster.host(primary).replica.alarms.length, 0);
});

test("host: two that lost the heads of their logs name what their disks lost", () => {
  const { cluster, client } = started();
  for (let i = 0; i < 5; i += 1) client.post(i);
  cluster.run(300);
  const lost = [(client.primary + 1) % 3, (client.primary + 2) % 3];
  for (const index of [0, 1, 2]) cluster.kill(index);
  for (const index of lost) {
    const files = cluster.seats[index]?.disk.files;
    files?.get("identifiers")?.fill(0xaa);
    const prepares = files?.get("prepares");
    // Every unit of the last slots rots, those of the root stay.
    prepares?.fill(0xbb, 4 * 4 * 4096);
    cluster.open(index);
  }
  cluster.run(3_000);
  const { status, alarms } = cluster.host(lost[0] ?? 0).replica;
  strictEqual(status, "recovering_head");
  ok(
    alarms.some((what) => what.includes("does not know the head")),
    alarms.join(),
  );
  ok(
    alarms.some((what) => what.includes("recovering_head")),
    alarms.join(),
  );
});
