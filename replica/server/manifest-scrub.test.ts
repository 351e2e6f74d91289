// Goal: a damaged block of a manifest is written again from memory when a scrub reads it.
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { test } from "node:test";
import { HostClient } from "#test/support/host-client.ts";
import { HostCluster } from "#test/support/host-cluster.ts";

test("scrub: a damaged manifest is mended without a peer, and a restart finds it whole", () => {
  const cluster = new HostCluster();
  const client = new HostClient(cluster);
  client.connect();
  client.createRoom();
  for (let i = 0; i < 60; i += 1) client.post(i);
  cluster.run(1_000);
  const backup = ((cluster.primary ?? 0) + 1) % 3;
  const { host, disk } = cluster.seats[backup] ?? {};
  ok(host && disk);
  const names = [...disk.files.keys()].filter((name) => name.startsWith("segments/m"));
  ok(names.length > 0);
  for (const name of names) {
    const bytes: Uint8Array | undefined = disk.files.get(name);
    ok(bytes !== undefined);
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
    let read: readonly Uint8Array[] | null | undefined;
    host.blocks.load([{ segment: name.slice("segments/".length), block: 0 }], (blocks) => {
      read = blocks;
    });
    cluster.run(50);
    strictEqual(read?.length, 1, name);
  }
  strictEqual(host.blocks.repairedCount, names.length);
  deepStrictEqual(cluster.alarms, []);
  cluster.kill(backup);
  cluster.open(backup);
  deepStrictEqual(cluster.alarms, []);
});
