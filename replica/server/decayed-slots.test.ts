// Goal: what decays in the log below the checkpoint is mended while there are peers, so that a
// later restart knows the head of its log. Method: three production hosts on virtual time.
import { ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import type { SlotFault } from "#replica/storage/scrubber.ts";
import { HostClient } from "#test/support/host-client.ts";
import { HostCluster } from "#test/support/host-cluster.ts";

const slotBytes = 4 * 4096;
const op = 5;

/** A shard whose replicas have op 5 below their checkpoint; that slot of one of them decays. */
function decayed(): {
  readonly client: HostClient;
  readonly cluster: HostCluster;
  readonly index: number;
} {
  const cluster = new HostCluster();
  const client = new HostClient(cluster);
  client.connect();
  client.createRoom();
  for (let i = 0; i < 20; i += 1) client.post(i);
  cluster.run(1_000);
  const index = (client.primary + 1) % 3;
  ok(cluster.host(index).replica.checkpointOp > op);
  const bytes = cluster.seats[index]?.disk.files.get("prepares");
  bytes?.fill(0xbb, op * slotBytes + 100, op * slotBytes + 200);
  return { client, cluster, index };
}

/** Looks at the slot as the scrub does. */
function look(cluster: HostCluster, index: number): SlotFault | null {
  let found: SlotFault | null | undefined;
  cluster.seats[index]?.storage?.scrubSlot(op, (_, fault) => {
    found = fault;
  });
  cluster.run(1);
  ok(found !== undefined);
  return found;
}

test("scrub: a slot decayed below the checkpoint is fetched from a peer and whole again", () => {
  const { cluster, index } = decayed();
  const fault = look(cluster, index);
  ok(fault !== null && fault.op === op);
  cluster.host(index).onSlotFault(fault);
  cluster.run(1_000);
  ok(cluster.seats[index]?.storage?.holdsPrepare(op), "clean again");
  strictEqual(look(cluster, index), null);
  strictEqual(cluster.host(index).replica.alarms.length, 0);
  for (const each of [0, 1, 2]) cluster.kill(each);
  cluster.open(index);
  strictEqual(cluster.host(index).replica.status, "normal");
});

test("scrub: one rotten body of old on each of two and a power cut: the shard goes on", () => {
  // Simulator seed 2010: two unknown heads stalled a shard that had lost nothing.
  const { client, cluster, index } = decayed();
  const second = (index + 1) % 3;
  const bytes = cluster.seats[second]?.disk.files.get("prepares");
  bytes?.fill(0xbb, (op + 1) * slotBytes + 100, (op + 1) * slotBytes + 200);
  for (const each of [0, 1, 2]) cluster.kill(each);
  for (const each of [0, 1, 2]) cluster.open(each);
  for (const each of [index, second]) {
    strictEqual(cluster.host(each).replica.status === "recovering_head", false);
  }
  const before = cluster.host(index).replica.commitMin;
  client.post(20);
  cluster.run(2_000);
  for (const each of [0, 1, 2]) ok(cluster.host(each).replica.commitMin > before);
  ok(cluster.seats[index]?.storage?.holdsPrepare(op), "fetched and clean again");
  ok(cluster.seats[second]?.storage?.holdsPrepare(op + 1), "fetched and clean again");
});

test("scrub: what no peer holds any more stays lost, and is not asked for for ever", () => {
  const { cluster, index } = decayed();
  const fault = look(cluster, index);
  ok(fault !== null);
  let asked = 0;
  cluster.passes = (from, _, message) => {
    if (message.kind !== "get_prepare" || from !== index) return true;
    asked += 1;
    return false;
  };
  cluster.host(index).onSlotFault(fault);
  cluster.run(2_000);
  const before = asked;
  ok(before >= 20 && before <= 60, String(before));
  cluster.run(2_000);
  strictEqual(asked, before);
  strictEqual(cluster.host(index).replica.alarms.length, 0);
});
