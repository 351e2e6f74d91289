// Goal: what a crash left behind goes at open, what is needed stays, nothing else is touched.
// Method: three production hosts on disks in memory; stray segments beside the real ones.
import { deepStrictEqual, ok } from "node:assert/strict";
import { test } from "node:test";
import { HostClient } from "#test/support/host-client.ts";
import { HostCluster } from "#test/support/host-cluster.ts";

function segmentsOf(cluster: HostCluster, index: number): readonly string[] {
  const names = [...(cluster.seats[index]?.disk.files.keys() ?? [])];
  return names.filter((name) => name.startsWith("segments/")).sort();
}

test("leftovers: segments that no manifest names go at open, the checkpoint's stay", () => {
  const cluster = new HostCluster();
  const client = new HostClient(cluster);
  client.connect();
  client.createRoom();
  for (let i = 0; i < 60; i += 1) client.post(i);
  cluster.run(20_000);
  const backup = ((cluster.primary ?? 0) + 1) % 3;
  const live = segmentsOf(cluster, backup);
  ok(live.length >= 2, `segments: ${live.join()}`);
  cluster.kill(backup);
  const files = cluster.seats[backup]?.disk.files;
  for (const id of ["l0-999-0", "m999", "l3-5-1"]) {
    files?.set(`segments/${id}`, new Uint8Array(3 * 4096).fill(7));
  }
  cluster.open(backup);
  deepStrictEqual(segmentsOf(cluster, backup), live);
  for (let i = 60; i < 120; i += 1) client.post(i);
  cluster.run(1_000);
  deepStrictEqual(client.read(backup, 117), [118, 119, 120]);
  deepStrictEqual(cluster.alarms, []);
});
